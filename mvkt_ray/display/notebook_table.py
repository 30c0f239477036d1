"""The live table in a notebook: one output of a cell, drawn again in its place as things happen.

Rich's own way wants widgets, which not every notebook has; HTML every one shows.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Group, RenderableType
from rich.text import Text

from mvkt_ray.display.console import Output, as_html
from mvkt_ray.display.live_table import LiveTable
from mvkt_ray.display.study_state import WatchedStudy

if TYPE_CHECKING:
    from mvkt_ray.records import EpochMetrics

SECONDS_BETWEEN_DRAWINGS = 0.5
"""Each of them stays in the message log of the notebook's server until the cell is shown."""


class NotebookTable(LiveTable):
    """Shows what `LiveTable` shows, and leaves it there in the end."""

    def __init__(
        self,
        output: Output,
        *,
        name: str,
        where: str,
        n_epochs: int,
        teacher_epochs: int,
        clock: Callable[[], float] = time.monotonic,
        show: Callable[[str], "Shown"] | None = None,
    ) -> None:
        """Take what a live table takes, and what shows HTML: by default IPython's display."""
        super().__init__(
            output,
            name=name,
            where=where,
            n_epochs=n_epochs,
            teacher_epochs=teacher_epochs,
            clock=clock,
        )
        self._show = show or Shown
        self._shown: Shown | None = None
        self._drawn_at_s = -SECONDS_BETWEEN_DRAWINGS
        self._stages: list[Text] = []

    def __enter__(self) -> Self:
        self._shown = self._show(self._html())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._look_once_more(kind)
        self._draw(at_once=True)

    def stage_started(self, stage: str, what: str) -> None:
        """Show the stage at work."""
        super().stage_started(stage, what)
        self._draw(at_once=True)

    def stage_progress(self, done: int, total: int) -> None:
        """Move the bar."""
        super().stage_progress(done, total)
        self._draw()

    def stage_epoch(self, metrics: "EpochMetrics") -> None:
        """Move the bar by an epoch of the teacher."""
        super().stage_epoch(metrics)
        self._draw()

    def stage_finished(self, stage: str, what: str, reused: bool) -> None:
        """Leave a line above the table for a stage that is done."""
        super().stage_finished(stage, what, reused)
        self._draw(at_once=True)

    def study_opened(self, study: WatchedStudy) -> None:
        """Show the study's table from now on."""
        super().study_opened(study)
        self._draw(at_once=True)

    def study_changed(self) -> None:
        """Look at the study again."""
        super().study_changed()
        self._draw()

    def _leave_line(self, line: Text) -> None:
        self._stages.append(line)

    def _draw(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if self._shown is not None and (
            at_once or now - self._drawn_at_s >= SECONDS_BETWEEN_DRAWINGS
        ):
            self._drawn_at_s = now
            self._shown.update(self._html())

    def _html(self) -> str:
        parts: list[RenderableType] = [*self._stages, self._render()]
        return as_html(Group(*parts))


class Shown:
    """A piece of HTML in the cell that runs."""

    def __init__(self, html: str) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._handle: Any = display(HTML(html), display_id=True)

    def update(self, html: str) -> None:
        """Put another piece in its place."""
        if self._handle is not None:
            self._handle.update(self._html(html))
