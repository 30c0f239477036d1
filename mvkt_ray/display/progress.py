"""Progress of one long step: a bar with rate and time left, or plain lines at intervals."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from mvkt_ray.display.console import Output
from mvkt_ray.phrasing import duration

SECONDS_BETWEEN_LINES = 10.0
"""Interval of plain progress: short enough as a sign of life, long enough for a log file."""


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(rate_and_left(task.completed, task.total or 0, task.elapsed or 0.0))


def rate_and_left(done: float, total: float, elapsed_s: float) -> str:
    """Write `120/s, 8 s left`; empty without progress."""
    if done <= 0 or elapsed_s <= 0:
        return ""
    rate = done / elapsed_s
    shown = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
    return f"{shown}, {duration((total - done) / rate)} left" if done < total else shown


class StepProgress:
    """Progress of one step in units such as recordings or crops.

    Use it as a context manager and call `update`. With `--quiet` it shows nothing.
    """

    def __init__(
        self, output: Output, what: str, unit: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._output, self._what, self._unit, self._clock = output, what, unit, clock
        self._started = self._last_line = clock()
        self._bar: Progress | None = None
        if output.is_live:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=None),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f}", markup=False),
                _RateColumn(),
                TimeElapsedColumn(),
                console=output.progress,
                transient=True,
                expand=True,
            )
            self._task = self._bar.add_task(what, total=None, visible=False)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show the progress; `note` is appended to the description."""
        text = f"{self._what}{', ' + note if note else ''}"
        if self._bar is not None:
            self._bar.update(
                self._task, completed=done, total=total, description=text, visible=True
            )
            return
        now = self._clock()
        if done < total and now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        pace = rate_and_left(done, total, now - self._started)
        self._output.say(f"{text}: {done:,} of {total:,} {self._unit}{', ' + pace if pace else ''}")
