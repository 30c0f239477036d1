"""ECG paper: a figure in millimetres with its grid, the pulse that proves the scale, and its file.

What is drawn on it, a sheet of twelve leads or the strips of a model, is in the modules that do.

Writes: one PNG or SVG file.
"""

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mvkt_ray.storage.location import Location

MM_PER_S = 25.0
MM_PER_MV = 10.0
SMALL_SQUARE_MM = 1.0
SCALE = f"{MM_PER_S:g} mm/s and {MM_PER_MV:g} mm/mV"
LEGEND = (
    f"{MM_PER_S:g} mm/s   {MM_PER_MV:g} mm/mV   small square "
    f"{1000 * SMALL_SQUARE_MM / MM_PER_S:g} ms x {SMALL_SQUARE_MM / MM_PER_MV:g} mV"
)
PULSE_MM = 10.0
"""Room for the calibration pulse, left of a lead."""
INK = "#15151c"
MARGIN_MM = 7.0
_MM_PER_INCH = 25.4
_SMALL_COLOUR, _LARGE_COLOUR = "#f8d9d7", "#eba9a4"


@dataclass(frozen=True, slots=True, eq=False)
class EcgPaper:
    """A sheet with a grid; its axes count millimetres from the lower left corner of the grid."""

    figure: Figure
    axes: Axes
    scale: float = 1.0
    """Of the sheet as drawn to what it is on paper; letters and lines are as much smaller."""

    def draw_pulse(self, base_mm: float) -> None:
        """Draw 1 mV for 0.2 s, the proof of the scale."""
        x_mm = np.array([1.5, 3.0, 3.0, 8.0, 8.0, 9.5])
        y_mm = base_mm + MM_PER_MV * np.array([0, 0, 1, 1, 0, 0])
        self.axes.plot(x_mm, y_mm, color=INK, linewidth=0.8 * self.scale)

    def draw_trace(self, x_mm: np.ndarray, y_mm: np.ndarray) -> None:
        """Draw a lead; a tall wave goes on over the edge: cut off, it would look like a lower one.

        Args:
            x_mm: `[n_samples]`.
            y_mm: `[n_samples]`.
        """
        self.axes.plot(
            x_mm, y_mm, color=INK, linewidth=0.8 * self.scale, solid_joinstyle="round",
            clip_on=False,
        )  # fmt: skip

    def name_lead(self, x_mm: float, y_mm: float, name: str) -> None:
        """Write the name of a lead above its trace."""
        self.axes.text(
            x_mm, y_mm, name, fontsize=11 * self.scale, fontweight="bold", color=INK, va="bottom",
            bbox={"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write it as SVG where the suffix says so, else as PNG."""
        with Location.parse(path).writing_aside() as aside:
            if Path(path).suffix.lower() == ".svg":
                FigureCanvasSVG(self.figure).print_svg(str(aside))
            else:
                FigureCanvasAgg(self.figure).print_png(str(aside))


@contextmanager
def open_paper(
    width_mm: float, height_mm: float, *, header_mm: float, footer_mm: float, dpi: int
) -> Generator[EcgPaper]:
    """Give an empty sheet, and draw text on it as it is written.

    Args:
        width_mm: Of the grid, without margins.
        height_mm: Of the grid.
        header_mm: Room above it.
        footer_mm: Room below it.
        dpi: Dots per inch; 254 makes 10 dots of 1 mm.
    """
    # A name with `$` is no formula, and one in other letters is no reason for a warning.
    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        whole_mm = (width_mm + 2 * MARGIN_MM, height_mm + header_mm + footer_mm)
        size_inches = (whole_mm[0] / _MM_PER_INCH, whole_mm[1] / _MM_PER_INCH)
        figure = Figure(size_inches, dpi, facecolor="white")
        rectangle = (MARGIN_MM / whole_mm[0], footer_mm / whole_mm[1],
                     width_mm / whole_mm[0], height_mm / whole_mm[1])  # fmt: skip
        axes = figure.add_axes(rectangle, xlim=(0, width_mm), ylim=(0, height_mm))
        axes.set_axis_off()
        _draw_grid(axes, width_mm, height_mm)
        yield EcgPaper(figure, axes)


@contextmanager
def paper_in(
    axes: Axes, width_mm: float, height_mm: float, *, header_mm: float, footer_mm: float
) -> Generator[EcgPaper]:
    """Make a sheet of somebody else's axes, as large as it fits in there.

    Args:
        axes: Empty; they get no frame, and one unit in them is a millimetre of the sheet.
        width_mm: Of the grid, without margins.
        height_mm: Of the grid.
        header_mm: Room above it.
        footer_mm: Room below it.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    whole_mm = (width_mm + 2 * MARGIN_MM, height_mm + header_mm + footer_mm)
    room = axes.get_window_extent()
    room_mm = (room.width / figure.dpi * _MM_PER_INCH, room.height / figure.dpi * _MM_PER_INCH)
    scale = min(has / needed for has, needed in zip(room_mm, whole_mm, strict=True))
    with mpl.rc_context({"text.parse_math": False}):
        axes.set(
            xlim=(-MARGIN_MM, width_mm + MARGIN_MM),
            ylim=(-footer_mm, height_mm + header_mm),
            aspect="equal",
        )
        axes.set_axis_off()
        _draw_grid(axes, width_mm, height_mm, scale)
        yield EcgPaper(figure, axes, scale)


def _draw_grid(axes: Axes, width_mm: float, height_mm: float, scale: float = 1.0) -> None:
    for step_mm, colour, line_width in (
        (SMALL_SQUARE_MM, _SMALL_COLOUR, 0.35),
        (5, _LARGE_COLOUR, 0.7),
    ):
        across = [((0, y), (width_mm, y)) for y in np.arange(0, height_mm + 1, step_mm)]
        down = [((x, 0), (x, height_mm)) for x in np.arange(0, width_mm + 1, step_mm)]
        axes.add_collection(
            LineCollection(
                across + down, colors=colour, linewidths=line_width * scale, clip_on=False
            )
        )
