"""The common parts of the report's figures: sizes, colours by role, panels, and export to SVG.

One image serves light and dark screens and paper: its colours are stand-ins for custom properties
of the page's style sheet (`var(--fig-ink)`), its text stays text, and it has no background. Ids
contain the figure's name, so that one page can hold many images.

Names from data are never markup: `$` begins no formula, and only tags are rewritten on export.
"""

import io
import re
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.typing import LineStyleType

WIDTH = 860.0
"""Width of a full-column figure in CSS pixels; 1 point of matplotlib is 1 pixel."""

_POINTS_PER_INCH = 72.0


class Colour(StrEnum):
    """Stand-ins for colours, by role; the style sheet defines the colours."""

    INK = "#010a01"
    MUTED = "#010a02"
    FAINT = "#010a03"
    PAPER = "#010a04"
    BAND = "#010a05"
    DISTILLED = "#010b01"
    ALONE = "#010b02"
    PLAIN = "#010b03"
    TEACHER = "#010b04"
    OTHER = "#010b05"
    STEP_1 = "#010c01"
    STEP_2 = "#010c02"
    STEP_3 = "#010c03"
    STEP_4 = "#010c04"
    STEP_5 = "#010c05"

    @property
    def css(self) -> str:
        """Name of the colour in the page's style sheet."""
        return f"var(--fig-{self.name.lower().replace('_', '-')})"


STEPS = (Colour.STEP_1, Colour.STEP_2, Colour.STEP_3, Colour.STEP_4, Colour.STEP_5)
"""Ordinal colours by increasing contrast to the background, light or dark."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """Style of one model's values; markers and lines differ, too, for colour-blind readers."""

    colour: Colour
    marker: str
    line: LineStyleType
    name: str


CHOSEN_STYLE = Style(colour=Colour.DISTILLED, marker="o", line="-", name="distilled")
ALONE_STYLE = Style(colour=Colour.ALONE, marker="D", line=(0, (5, 1.6)), name="student alone")
TEACHER_STYLE = Style(colour=Colour.TEACHER, marker="s", line=(0, (1.2, 1.4)), name="teacher")

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mvkt-ray",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 12.0,
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 12.0,
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "legend.fontsize": 11.5,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 1.0,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 6.5,
    "axes.unicode_minus": True,
    "figure.constrained_layout.use": True,
    "text.color": Colour.INK.value,
    "axes.labelcolor": Colour.INK.value,
    "axes.titlecolor": Colour.INK.value,
    "axes.edgecolor": Colour.MUTED.value,
    "xtick.color": Colour.MUTED.value,
    "ytick.color": Colour.MUTED.value,
    "xtick.labelcolor": Colour.INK.value,
    "ytick.labelcolor": Colour.INK.value,
    "grid.color": Colour.FAINT.value,
    "patch.edgecolor": Colour.INK.value,
    "hatch.color": Colour.MUTED.value,
    "hatch.linewidth": 1.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@contextmanager
def drawing(width: float, height: float) -> Generator[Figure]:
    """Yield an empty figure of a size in pixels; draw and export it inside the block."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # matplotlib's font only measures texts; the browser has the letters that it lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield Figure((width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), _POINTS_PER_INCH)


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Return a figure as an SVG element; deterministic.

    Args:
        figure: Figure in the colours of `Colour`.
        name: Id of the figure, unique in the page: letters, digits and hyphens.
        title: Title, read by screen readers.
        description: Content of the image in a sentence or two, read by screen readers.
    """
    width, height = (inches * _POINTS_PER_INCH for inches in figure.get_size_inches())
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    body = buffer.getvalue()
    body = body[body.index("<defs>") if "<defs>" in body else body.index("<g ") :]
    body = re.sub(r"<style[^>]*>.*?</style>|<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<[^>]*>", lambda tag: _with_page_style(tag[0], name), body)
    body = re.sub(r"\n\s*", "\n", body)
    return (
        f'<svg class="figure" role="img" aria-labelledby="{name}-title {name}-desc" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">\n'
        f'<title id="{name}-title">{escape(title)}</title>\n'
        f'<desc id="{name}-desc">{escape(description)}</desc>\n{body}'
    )


def _with_page_style(tag: str, name: str) -> str:
    """Return a tag with ids of its figure, the page's colours and font, and short numbers."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = tag.replace("url(#", f"url(#{name}-")
    tag = tag.replace('href="#', f'href="#{name}-')
    for colour in Colour:
        tag = tag.replace(colour.value, colour.css)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    return re.sub(r'"[^"]*"', _with_short_numbers, tag)


def _with_short_numbers(attribute: re.Match[str]) -> str:
    """Return an attribute with numbers rounded to hundredths of a pixel."""
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", attribute[0])


def label(text: str, n_most: int) -> str:
    """Return a name from data on one line of at most `n_most` letters.

    The middle of a long name is replaced, as similar names often differ at their ends only.
    """
    text = " ".join(text.split())
    if len(text) <= n_most:
        return text
    n_first = n_most // 2
    return (
        f"{text[:n_first].rstrip()}\N{HORIZONTAL ELLIPSIS}{text[n_first + 1 - n_most :].lstrip()}"
    )


def grid_of(n_panels: int, n_columns: int) -> tuple[int, int]:
    """Return the numbers of rows and columns for panels, with at most `n_columns` columns."""
    columns = max(1, min(n_panels, n_columns))
    return -(-n_panels // columns), columns


def panels(
    figure: Figure,
    n_panels: int,
    n_columns: int,
    *,
    sharex: bool = False,
    sharey: bool = False,
) -> list[Axes]:
    """Return the axes of a grid of panels in reading order; spare cells stay empty."""
    n_rows, columns = grid_of(n_panels, n_columns)
    grid = figure.subplots(n_rows, columns, squeeze=False, sharex=sharex, sharey=sharey)
    axes = list(grid.flat)
    for spare in axes[n_panels:]:
        spare.set_axis_off()
    for lowest in lowest_panels(axes[:n_panels], n_columns):
        lowest.tick_params(labelbottom=True)
    return axes[:n_panels]


def lowest_panels(axes: Sequence[Axes], n_columns: int) -> Sequence[Axes]:
    """Return the panels without another one below them, which need a label of the x axis."""
    _, columns = grid_of(len(axes), n_columns)
    return axes[len(axes) - columns :]


def put_legend(figure: Figure, axes: Sequence[Axes], handles: Sequence[Artist]) -> None:
    """Put the legend into the first spare cell of the grid, or below the figure."""
    spare = figure.axes[len(axes) :]
    if spare:
        spare[0].legend(handles=handles, loc="center left", borderaxespad=0)
    else:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))


def use_log_scale(axes: Axes, which: str, values: Sequence[float]) -> None:
    """Make an axis logarithmic, with ticks at 1, 10, 100, or at 1, 2, 5, 10 for a short range."""
    axis: Axis = getattr(axes, f"{which}axis")
    getattr(axes, f"set_{which}scale")("log")
    is_short = max(values) / min(values) < 60
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if is_short else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def thin(values: Sequence[float], n_most: int) -> list[int]:
    """Return at most `n_most` indices, spread evenly over a sequence, its ends included."""
    if len(values) <= n_most:
        return list(range(len(values)))
    step = (len(values) - 1) / (n_most - 1)
    return sorted({round(index * step) for index in range(n_most)})
