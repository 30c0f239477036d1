"""Calls that are timed at several sizes: the table of their times, and a plot of each."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Answer = TypeVar("Answer")


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
        for times, took in (
            (self.cpu_s, time.process_time() - cpu),
            (self.wall_s, time.perf_counter() - wall),
        ):
            times.setdefault(what, {}).setdefault(size, []).append(took)
        return answer

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
