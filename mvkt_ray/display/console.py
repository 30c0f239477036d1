"""What a verb says: its answer on stdout, progress beside it, numbers as people read them.

The only place that makes consoles. Text on them comes from data (names of classes, leads, folders,
errors of other programs) and is shown as it is: brackets are no markup, `:heart:` is no emoji, and
control characters are written out, so that no name clears a terminal.
"""

import contextlib
import io
import json
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mvkt_ray.display.visible_text import visible
from mvkt_ray.json_values import without_nan

PLAIN_WIDTH = 160
"""Columns of a table that is written to a file or a pipe, which has no width of its own."""

NOTEBOOK_WIDTH = 110
"""Columns of a table in a cell of a notebook."""
_PRE = (
    "white-space: pre; overflow-x: auto; line-height: 1.3; "
    "font-family: Menlo, 'DejaVu Sans Mono', consolas, 'Courier New', monospace"
)


@dataclass(frozen=True, slots=True)
class Output:
    """The two streams of a verb.

    With `--json` the answer is JSON on stdout and everything else goes to stderr; with `--quiet`
    there is no progress.
    """

    answers: Console
    progress: Console
    is_json: bool
    is_quiet: bool

    @classmethod
    def open(cls, *, as_json: bool = False, quiet: bool = False) -> "Output":
        """Look at what stdout and stderr are connected to."""
        answers = open_console()
        progress = open_console(to_stderr=True) if as_json else answers
        return cls(answers, progress, as_json, quiet)

    @property
    def is_live(self) -> bool:
        """Whether progress may redraw itself: a person is looking at a terminal."""
        terminal = self.progress.is_terminal and not self.progress.is_dumb_terminal
        return terminal and not self.is_quiet

    @property
    def is_notebook(self) -> bool:
        """Whether progress is shown in the cell of a notebook."""
        return self.progress.is_jupyter and not self.is_quiet

    def say(self, text: str | Text) -> None:
        """Write one line of progress."""
        if not self.is_quiet:
            line = text if isinstance(text, Text) else visible(text, one_line=True)
            self.progress.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        """Write a line on stderr that must be seen, with `--quiet` too."""
        sys.stderr.write(f"{visible(text, one_line=True)}\n")
        sys.stderr.flush()

    @contextlib.contextmanager
    def waiting(self, what: str) -> Generator[None]:
        """Show that something is going on which cannot tell how far it is."""
        if self.is_live:
            with self.progress.status(Text(what)):
                yield
        else:
            self.say(f"{what} ...")
            yield

    def answer(self, value: Any, shown: Iterable[RenderableType]) -> None:
        """Give the answer of the verb: `value` as JSON, or what is `shown` to a person."""
        if self.is_json:
            text = json.dumps(without_nan(value), indent=2, default=str, allow_nan=False)
            self.answers.print(text, soft_wrap=True)
            return
        for renderable in shown:
            self._show(renderable)

    def answer_line(self, text: str) -> None:
        """Give a part of the answer, one line of JSON, as soon as it is there."""
        self.answers.print(text, soft_wrap=True)

    def _show(self, renderable: RenderableType) -> None:
        if self.answers.is_terminal:
            self.answers.print(renderable)
            return
        with self.answers.capture() as capture:
            self.answers.print(renderable)
        # Rich pads every line of a table, which a file need not keep.
        lines = [line.rstrip() for line in capture.get().splitlines()]
        self.answers.out("\n".join(lines), highlight=False)


class PlainConsole(Console):
    """Shows text as it is."""

    def __init__(self, **options: Any) -> None:
        """Take rich's options, but for those that read text as something else."""
        super().__init__(**options, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make text of a string, such as a cell, whose width is that of what is shown."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as rich does, and write out the control characters that are left in the text."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)


def open_console(*, to_stderr: bool = False) -> PlainConsole:
    """Open stdout or stderr; where no terminal is, tables have a width all the same."""
    console = PlainConsole(stderr=to_stderr)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def as_html(renderable: RenderableType) -> str:
    """Return what is shown as HTML, in the letters and on the ground of the page around it."""
    console = PlainConsole(
        file=io.StringIO(),
        record=True,
        width=NOTEBOOK_WIDTH,
        force_jupyter=False,
        color_system=None,
    )
    console.print(renderable)
    code = console.export_html(inline_styles=True, code_format="{code}")
    return f'<pre style="{_PRE}">{code}</pre>'


def heading(text: str) -> Text:
    """Make the line above a table; a title of the table itself would wrap at its width."""
    return Text(visible(text), style="bold")


def grid(columns: Sequence[str], *, right: Sequence[str] = ()) -> Table:
    """Make an empty table; the columns named in `right` hold numbers."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def facts(rows: Mapping[str, object]) -> Table:
    """Make a table of names and values."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, Text(visible(str(value))))
    return table
