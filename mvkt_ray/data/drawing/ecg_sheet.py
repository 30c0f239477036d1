"""Draws a recording as the usual 12-lead sheet: three rows of four leads, and a rhythm strip.

On ECG paper (`ecg_paper`), true to scale at the resolution that the PNG names.

Writes: one PNG file, unless it draws into the axes of somebody else.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mvkt_ray.data.drawing.ecg_paper import (
    INK,
    LEGEND,
    MARGIN_MM,
    MM_PER_MV,
    MM_PER_S,
    PULSE_MM,
    EcgPaper,
    open_paper,
    paper_in,
)
from mvkt_ray.data.recording import Recording

SHEET_ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
_RHYTHM_LEAD = "II"
COLUMN_S = 2.5
_SHEET_S = COLUMN_S * len(SHEET_ROWS[0])

_ROW_MM = 35.0
_GRID_MM = (PULSE_MM + _SHEET_S * MM_PER_S + 5.0, _ROW_MM * (len(SHEET_ROWS) + 1))
_HEADER_MM, _FOOTER_MM = 17.0, 8.0
SHEET_MM = (_GRID_MM[0] + 2 * MARGIN_MM, _GRID_MM[1] + _HEADER_MM + _FOOTER_MM)
"""Width and height of the whole sheet on paper."""
_LABEL_ABOVE_MM = 11.5


def draw_ecg_sheet(recording: Recording, path: str | Path, *, dpi: int = 254) -> None:
    """Draw as much of a recording's beginning as a sheet holds; a shorter one ends where it ends.

    Each lead is drawn about its median, as devices do by a high-pass: that moves no wave against
    another. A lead that the recording lacks is left blank, and said to be missing.

    Args:
        recording: Any leads, any rate.
        path: Of the PNG file.
        dpi: Dots per inch; 254 makes 10 dots of 1 mm.
    """
    with open_paper(*_GRID_MM, header_mm=_HEADER_MM, footer_mm=_FOOTER_MM, dpi=dpi) as paper:
        _draw(paper, recording)
        paper.save(path)


def draw_ecg_in(recording: Recording, axes: Axes) -> None:
    """Draw the same sheet into axes of a figure, as large as it fits in there."""
    with paper_in(axes, *_GRID_MM, header_mm=_HEADER_MM, footer_mm=_FOOTER_MM) as paper:
        _draw(paper, recording)


def _draw(paper: EcgPaper, recording: Recording) -> None:
    for row, leads in enumerate(SHEET_ROWS):
        base_mm = _base_of_row(row)
        paper.draw_pulse(base_mm)
        for column, lead in enumerate(leads):
            begin_s = column * COLUMN_S
            _draw_lead(paper, recording, lead, base_mm, begin_s, begin_s + COLUMN_S)
            if column:
                _draw_border(paper, base_mm, begin_s)
    base_mm = _base_of_row(len(SHEET_ROWS))
    paper.draw_pulse(base_mm)
    _draw_lead(paper, recording, _RHYTHM_LEAD, base_mm, 0.0, _SHEET_S)
    _write_texts(paper, recording)


def _base_of_row(row: int) -> float:
    """Return the height of a row's zero line; it lies on a thick line of the grid."""
    return _GRID_MM[1] - _ROW_MM * row - 20.0


def _draw_border(paper: EcgPaper, base_mm: float, time_s: float) -> None:
    x_mm = PULSE_MM + time_s * MM_PER_S
    paper.axes.plot(
        [x_mm, x_mm], [base_mm - 2.5, base_mm + 2.5], color=INK, linewidth=0.8 * paper.scale
    )


def _draw_lead(
    paper: EcgPaper, recording: Recording, lead: str, base_mm: float, begin_s: float, end_s: float
) -> None:
    left_mm = PULSE_MM + begin_s * MM_PER_S
    label = lead
    if lead in recording.leads:
        signal_mv = recording.signal_mv[recording.leads.index(lead)]
        time_s = np.arange(len(signal_mv)) / recording.sampling_rate_hz
        # One sample more joins the strips of a row without a gap.
        shown = slice(*np.searchsorted(time_s, (begin_s, end_s)) + np.array([0, 1]))
        x_mm = PULSE_MM + time_s[shown] * MM_PER_S
        y_mm = base_mm + (signal_mv[shown] - np.median(signal_mv)) * MM_PER_MV
        paper.draw_trace(x_mm, y_mm)
    else:
        label = f"{lead} (missing)"
    paper.name_lead(left_mm + 1.5, base_mm + _LABEL_ABOVE_MM, label)


def _write_texts(paper: EcgPaper, recording: Recording) -> None:
    (width, height), axes = _GRID_MM, paper.axes
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
    axes.text(0, height + 10.5, title, fontsize=14 * paper.scale, fontweight="bold", color=INK)
    axes.text(
        width, height + 10.5, ", ".join(facts), fontsize=11 * paper.scale, color=INK, ha="right"
    )
    axes.text(
        0, height + 3.5, _shortened(codes or "no codes", 150), fontsize=11 * paper.scale, color=INK
    )
    duration_s = recording.signal_mv.shape[1] / recording.sampling_rate_hz
    axes.text(0, -5.0, LEGEND, fontsize=9 * paper.scale, color=INK)
    shown = (
        f"{min(duration_s, _SHEET_S):g} of {duration_s:g} s at {recording.sampling_rate_hz:g} Hz"
    )
    axes.text(
        width,
        -5.0,
        f"{shown}, leads about their medians",
        fontsize=9 * paper.scale,
        ha="right",
        color=INK,
    )


def _shortened(text: str, n_letters: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= n_letters else f"{text[: n_letters - 4]} ..."
