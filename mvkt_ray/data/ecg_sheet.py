"""Draws a recording as the usual 12-lead sheet: three rows of four leads, and a rhythm strip.

On a grid of 1 mm, true to scale (`SCALE`) at the resolution that the PNG names.

Writes: one PNG file.
"""

import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mvkt_ray.data.recording import Recording
from mvkt_ray.storage.location import Location

MM_PER_S = 25.0
MM_PER_MV = 10.0
SMALL_SQUARE_MM = 1.0
SCALE = f"{MM_PER_S:g} mm/s and {MM_PER_MV:g} mm/mV"
_MM_PER_INCH = 25.4
SHEET_ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
_RHYTHM_LEAD = "II"
COLUMN_S = 2.5
_SHEET_S = COLUMN_S * len(SHEET_ROWS[0])

_PULSE_MM = 10.0
"""Room for the calibration pulse, left of the leads."""
_ROW_MM = 35.0
_GRID_MM = (_PULSE_MM + _SHEET_S * MM_PER_S + 5.0, _ROW_MM * (len(SHEET_ROWS) + 1))
_MARGIN_MM, _HEADER_MM, _FOOTER_MM = 7.0, 17.0, 8.0
_LABEL_ABOVE_MM = 11.5
_SMALL_COLOUR, _LARGE_COLOUR, _INK = "#f8d9d7", "#eba9a4", "#15151c"


def draw_ecg_sheet(recording: Recording, path: str | Path, *, dpi: int = 254) -> None:
    """Draw as much of a recording's beginning as a sheet holds; a shorter one ends where it ends.

    Each lead is drawn about its median, as devices do by a high-pass: that moves no wave against
    another. A lead that the recording lacks is left blank, and said to be missing.

    Args:
        recording: Any leads, any rate.
        path: Of the PNG file.
        dpi: Dots per inch; 254 makes 10 dots of 1 mm.
    """
    # A name with `$` is no formula, and one in other letters is no reason for a warning.
    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _draw_sheet(recording, path, dpi)


def _draw_sheet(recording: Recording, path: str | Path, dpi: int) -> None:
    width_mm = _GRID_MM[0] + 2 * _MARGIN_MM
    height_mm = _GRID_MM[1] + _HEADER_MM + _FOOTER_MM
    figure = Figure((width_mm / _MM_PER_INCH, height_mm / _MM_PER_INCH), dpi, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    rectangle = (_MARGIN_MM / width_mm, _FOOTER_MM / height_mm,
             _GRID_MM[0] / width_mm, _GRID_MM[1] / height_mm)  # fmt: skip
    axes = figure.add_axes(rectangle, xlim=(0, _GRID_MM[0]), ylim=(0, _GRID_MM[1]))
    axes.set_axis_off()
    _draw_grid(axes)
    for row, leads in enumerate(SHEET_ROWS):
        base_mm = _base_of_row(row)
        _draw_pulse(axes, base_mm)
        for column, lead in enumerate(leads):
            begin_s = column * COLUMN_S
            _draw_lead(axes, recording, lead, base_mm, begin_s, begin_s + COLUMN_S)
            if column:
                _draw_border(axes, base_mm, begin_s)
    base_mm = _base_of_row(len(SHEET_ROWS))
    _draw_pulse(axes, base_mm)
    _draw_lead(axes, recording, _RHYTHM_LEAD, base_mm, 0.0, _SHEET_S)
    _write_texts(axes, recording)
    with Location.parse(path).writing_aside() as aside:
        canvas.print_png(str(aside))


def _base_of_row(row: int) -> float:
    """Return the height of a row's zero line; it lies on a thick line of the grid."""
    return _GRID_MM[1] - _ROW_MM * row - 20.0


def _draw_grid(axes: Axes) -> None:
    width, height = _GRID_MM
    for step_mm, colour, line_width in (
        (SMALL_SQUARE_MM, _SMALL_COLOUR, 0.35),
        (5, _LARGE_COLOUR, 0.7),
    ):
        across = [((0, y), (width, y)) for y in np.arange(0, height + 1, step_mm)]
        down = [((x, 0), (x, height)) for x in np.arange(0, width + 1, step_mm)]
        axes.add_collection(
            LineCollection(across + down, colors=colour, linewidths=line_width, clip_on=False)
        )


def _draw_pulse(axes: Axes, base_mm: float) -> None:
    """Draw 1 mV for 0.2 s, the proof of the scale."""
    x_mm = np.array([1.5, 3.0, 3.0, 8.0, 8.0, 9.5])
    y_mm = base_mm + MM_PER_MV * np.array([0, 0, 1, 1, 0, 0])
    axes.plot(x_mm, y_mm, color=_INK, linewidth=0.8)


def _draw_border(axes: Axes, base_mm: float, time_s: float) -> None:
    x_mm = _PULSE_MM + time_s * MM_PER_S
    axes.plot([x_mm, x_mm], [base_mm - 2.5, base_mm + 2.5], color=_INK, linewidth=0.8)


def _draw_lead(
    axes: Axes, recording: Recording, lead: str, base_mm: float, begin_s: float, end_s: float
) -> None:
    left_mm = _PULSE_MM + begin_s * MM_PER_S
    label = lead
    if lead in recording.leads:
        signal_mv = recording.signal_mv[recording.leads.index(lead)]
        time_s = np.arange(len(signal_mv)) / recording.sampling_rate_hz
        # One sample more joins the strips of a row without a gap.
        shown = slice(*np.searchsorted(time_s, (begin_s, end_s)) + np.array([0, 1]))
        x_mm = _PULSE_MM + time_s[shown] * MM_PER_S
        y_mm = base_mm + (signal_mv[shown] - np.median(signal_mv)) * MM_PER_MV
        # A tall wave goes on over the edge of the grid: cut off, it would look like a lower one.
        axes.plot(x_mm, y_mm, color=_INK, linewidth=0.8, solid_joinstyle="round", clip_on=False)
    else:
        label = f"{lead} (missing)"
    axes.text(
        left_mm + 1.5, base_mm + _LABEL_ABOVE_MM, label, fontsize=11, fontweight="bold",
        color=_INK, va="bottom",
        bbox={"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip


def _write_texts(axes: Axes, recording: Recording) -> None:
    width, height = _GRID_MM
    codes = ", ".join(
        code if likelihood in (0.0, 100.0) else f"{code} ({likelihood:g} %)"
        for code, likelihood in zip(recording.codes, recording.likelihoods, strict=True)
    )
    facts = [
        f"patient {_shortened(recording.patient_id, 30)}",
        recording.age_text,
        recording.sex_text,
    ]
    if recording.fold is not None:
        facts.append(f"fold {recording.fold}")
    title = f"{recording.source}  {_shortened(recording.record_id, 60)}"
    axes.text(0, height + 10.5, title, fontsize=14, fontweight="bold", color=_INK)
    axes.text(width, height + 10.5, ", ".join(facts), fontsize=11, color=_INK, ha="right")
    axes.text(0, height + 3.5, _shortened(codes or "no codes", 150), fontsize=11, color=_INK)
    duration_s = recording.signal_mv.shape[1] / recording.sampling_rate_hz
    square = f"{1000 * SMALL_SQUARE_MM / MM_PER_S:g} ms x {SMALL_SQUARE_MM / MM_PER_MV:g} mV"
    scale = f"{MM_PER_S:g} mm/s   {MM_PER_MV:g} mm/mV   small square {square}"
    axes.text(0, -5.0, scale, fontsize=9, color=_INK)
    shown = (
        f"{min(duration_s, _SHEET_S):g} of {duration_s:g} s at {recording.sampling_rate_hz:g} Hz"
    )
    axes.text(
        width, -5.0, f"{shown}, leads about their medians", fontsize=9, ha="right", color=_INK
    )


def _shortened(text: str, n_letters: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= n_letters else f"{text[: n_letters - 4]} ..."
