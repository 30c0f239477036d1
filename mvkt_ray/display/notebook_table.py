"""The live table in a notebook: one output of a cell, redrawn in place.

rich's own support needs widgets, which some notebooks lack; all of them show HTML.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.text import Text

from mvkt_ray.display.console import Output, as_html
from mvkt_ray.display.live_table import LiveTable

SECONDS_BETWEEN_DRAWINGS = 0.5
"""Least time between drawings, as the notebook's server keeps each one until the cell is shown."""


class NotebookTable(LiveTable):
    """`LiveTable` in a notebook's cell, where it remains at the end."""

    def __init__(
        self, output: Output, *, show: Callable[[str], "Shown"] | None = None, **options: Any
    ) -> None:
        """Create the table.

        Args:
            output: Output of the verb.
            show: Function that shows HTML; by default IPython's display.
            options: Options of `LiveTable`.
        """
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
        self._read_final_state(kind)
        self._changed(at_once=True)

    def _print_line(self, line: Text) -> None:
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
    """An HTML output of the running cell."""

    def __init__(self, html: str) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._handle: Any = display(HTML(html), display_id=True)

    def update(self, html: str) -> None:
        """Replace the HTML."""
        if self._handle is not None:
            self._handle.update(self._html(html))
