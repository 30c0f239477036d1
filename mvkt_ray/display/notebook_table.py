"""The live table in a notebook: one output of a cell, drawn again in its place as things happen.

Rich's own way wants widgets, which not every notebook has; HTML every one shows.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.text import Text

from mvkt_ray.display.console import Output, as_html
from mvkt_ray.display.live_table import LiveTable

SECONDS_BETWEEN_DRAWINGS = 0.5
"""Each of them stays in the message log of the notebook's server until the cell is shown."""


class NotebookTable(LiveTable):
    """Shows what `LiveTable` shows, and leaves it there in the end."""

    def __init__(
        self, output: Output, *, show: Callable[[str], "Shown"] | None = None, **options: Any
    ) -> None:
        """Take what a live table takes, and what shows HTML: by default IPython's display."""
        super().__init__(output, **options)
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
        self._changed(at_once=True)

    def _leave_line(self, line: Text) -> None:
        self._stages.append(line)

    def _changed(self, *, at_once: bool = False) -> None:
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
