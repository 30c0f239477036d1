"""Calls that are timed at several sizes: the table of their times, and a plot of each."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The straight line that is nearest to what was measured, by least squares."""

    slope: float
    at_zero: float
    largest_deviation: float
    """Of a point from the line, as a part of the largest point."""

    @classmethod
    def through(cls, found: Mapping[int, float]) -> "Line":
        """Fit it to values by size; two sizes at least."""
        sizes, values = np.array(list(found)), np.array(list(found.values()))
        slope, at_zero = np.polyfit(sizes, values, 1)
        off = np.abs(values - (at_zero + slope * sizes)).max() / np.abs(values).max()
        return cls(slope=float(slope), at_zero=float(at_zero), largest_deviation=float(off))


def peak_mb() -> float:
    """Return the most memory that this process has had, with the pages that it maps of files.

    Not `ru_maxrss`: that of a process which was just started begins with its parent's.
    """
    return _status_mb("VmHWM")


def held_mb() -> float:
    """Return the memory that is this process's alone, without what it maps of files."""
    return _status_mb("RssAnon")


def _status_mb(key: str) -> float:
    [line] = [each for each in Path("/proc/self/status").open() if each.startswith(key)]
    return int(line.split()[1]) / 1024


@dataclass
class Growth:
    """Seconds of CPU and on the wall that calls took, by what they do and the size of the thing."""

    cpu_s: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    wall_s: dict[str, dict[int, list[float]]] = field(default_factory=dict)

    def timed(
        self, what: str, size: int, function: Callable[..., Answer], *arguments: Any
    ) -> Answer:
        """Call, and note how long it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        answer = function(*arguments)
        self.note(what, size, time.process_time() - cpu, time.perf_counter() - wall)
        return answer

    def note(self, what: str, size: int, cpu_s: float, wall_s: float) -> None:
        """Note how long something took."""
        for times, took in ((self.cpu_s, cpu_s), (self.wall_s, wall_s)):
            times.setdefault(what, {}).setdefault(size, []).append(took)

    def line(self, what: str) -> "Line":
        """Return the straight line through the medians of CPU time."""
        return Line.through({n: statistics.median(all_s) for n, all_s in self.cpu_s[what].items()})

    def print(self, unit: str) -> None:
        """Print medians, by size; of CPU, which other work beside it disturbs least."""
        sizes = sorted({size for by_size in self.cpu_s.values() for size in by_size})
        shown = "".join(f"{size:>22,}" for size in sizes)
        print(f"\n{'medians, ms CPU (wall)':28}{shown} {unit}")
        for what, by_size in self.cpu_s.items():
            cells = [self._cell(what, size) if size in by_size else "" for size in sizes]
            print(f"{what:28}" + "".join(f"{cell:>22}" for cell in cells), flush=True)

    def plot(self, folder: Path, unit: str) -> None:
        """Write one SVG for each call: every time, and the line through their medians."""
        folder.mkdir(parents=True, exist_ok=True)
        for what, by_size in self.cpu_s.items():
            figure = Figure((5, 3.2), layout="constrained")
            axes = figure.subplots()
            for size, times in by_size.items():
                axes.plot([size] * len(times), times, ".", color="0.6")
            sizes = sorted(by_size)
            axes.plot(sizes, [statistics.median(by_size[size]) for size in sizes], "o-")
            axes.set(xlabel=unit, ylabel="s of CPU", title=what, ylim=(0, None), xlim=(0, None))
            FigureCanvasSVG(figure).print_svg(str(folder / f"{what.replace(' ', '-')}.svg"))

    def _cell(self, what: str, size: int) -> str:
        cpu, wall = (statistics.median(each[what][size]) for each in (self.cpu_s, self.wall_s))
        return f"{1e3 * cpu:,.1f} ({1e3 * wall:,.1f})"
