"""The output of a verb: its answer on stdout, and its progress.

Only this module makes consoles. Their text contains data (names of classes, leads and folders,
messages of other programs) and is shown literally: brackets are no markup, `:heart:` is no emoji,
and control characters are escaped, so that no name can clear the terminal.
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
"""Columns of a table in a file or a pipe, which have no width of their own."""

NOTEBOOK_WIDTH = 110
"""Columns of a table in a cell of a notebook."""
_PRE = (
    "white-space: pre; overflow-x: auto; line-height: 1.3; "
    "font-family: Menlo, 'DejaVu Sans Mono', consolas, 'Courier New', monospace"
)


@dataclass(frozen=True, slots=True)
class Output:
    """The output streams of a verb.

    With `--json` the answer is JSON on stdout, and progress goes to stderr; with `--quiet` there is
    no progress.
    """

    answers: Console
    progress: Console
    is_json: bool
    is_quiet: bool

    @classmethod
    def open(cls, *, as_json: bool = False, quiet: bool = False) -> "Output":
        """Open the output on stdout and stderr."""
        answers = open_console()
        progress = open_console(to_stderr=True) if as_json else answers
        return cls(answers, progress, as_json, quiet)

    @property
    def is_live(self) -> bool:
        """Whether progress is redrawn in place, on an interactive terminal."""
        terminal = self.progress.is_terminal and not self.progress.is_dumb_terminal
        return terminal and not self.is_quiet

    @property
    def is_notebook(self) -> bool:
        """Whether progress is shown in a notebook's cell."""
        return self.progress.is_jupyter and not self.is_quiet

    def say(self, text: str | Text) -> None:
        """Write one line of progress."""
        if not self.is_quiet:
            line = text if isinstance(text, Text) else visible(text, one_line=True)
            self.progress.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        """Write an important line on stderr, with `--quiet`, too."""
        sys.stderr.write(f"{visible(text, one_line=True)}\n")
        sys.stderr.flush()

    @contextlib.contextmanager
    def waiting(self, what: str) -> Generator[None]:
        """Show an activity of unknown length while the block runs."""
        if self.is_live:
            with self.progress.status(Text(what)):
                yield
        else:
            self.say(f"{what} ...")
            yield

    def answer(self, value: Any, shown: Iterable[RenderableType]) -> None:
        """Write the answer of the verb: `value` as JSON, or the renderables `shown` as text."""
        if self.is_json:
            text = json.dumps(without_nan(value), indent=2, default=str, allow_nan=False)
            self.answers.print(text, soft_wrap=True)
            return
        for renderable in shown:
            self._show(renderable)

    def answer_line(self, text: str) -> None:
        """Write a part of the answer, one line of JSON, at once."""
        self.answers.print(text, soft_wrap=True)

    def _show(self, renderable: RenderableType) -> None:
        if self.answers.is_terminal:
            self.answers.print(renderable)
            return
        with self.answers.capture() as capture:
            self.answers.print(renderable)
        # rich pads every line of a table to its width: useless in a file.
        lines = [line.rstrip() for line in capture.get().splitlines()]
        self.answers.out("\n".join(lines), highlight=False)


class PlainConsole(Console):
    """A console that shows text literally."""

    def __init__(self, **options: Any) -> None:
        """Take rich's options except highlighting, markup and emoji."""
        super().__init__(**options, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string, such as a cell, as escaped text, so that its width is correct."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render with rich, and escape the control characters that remain in the text."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)


def open_console(*, to_stderr: bool = False) -> PlainConsole:
    """Open a console on stdout or stderr, of `PLAIN_WIDTH` columns without a terminal."""
    console = PlainConsole(stderr=to_stderr)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def as_html(renderable: RenderableType) -> str:
    """Return a renderable as HTML, with the text and background colours of the page around it."""
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
    """Return the line above a table; rich would wrap a title of the table at its width."""
    return Text(visible(text), style="bold")


def grid(columns: Sequence[str], *, right: Sequence[str] = ()) -> Table:
    """Return an empty table; the columns named in `right` are right-aligned, for numbers."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def facts(rows: Mapping[str, object]) -> Table:
    """Return a table of names and values without a header."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, Text(visible(str(value))))
    return table
