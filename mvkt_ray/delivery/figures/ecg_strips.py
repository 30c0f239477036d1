"""One lead of a recording on ECG paper, true to scale, and all leads as a small sheet.

The scale is that of the sheet of `mvkt inspect` (`data/drawing/`); the SVG is in millimetres.
"""

from html import escape

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.data.drawing.ecg_paper import MM_PER_MV, MM_PER_S, SCALE
from mvkt_ray.data.drawing.ecg_sheet import COLUMN_S, SHEET_ROWS
from mvkt_ray.data.recording import Recording

_ROW_S = 5.0
_N_ROWS = 2
_PULSE_MM, _RIGHT_MM = 10.0, 5.0
_HEAD_MM = 6.0
"""Height of a row's label."""
_LEAST_MM, _MOST_MM = 10.0, 45.0
"""Least and most height above the zero line, and most below it; larger deflections are cut."""

_COLUMN_MM = COLUMN_S * MM_PER_S
_MAX_RATE_HZ = 250.0
"""Sampling rate of the drawn line; at `MM_PER_S` a higher rate is not visible."""


def draw_strip(recording: Recording, lead: str, name: str) -> str:
    """Return the beginning of one lead as SVG, in rows of `_ROW_S` seconds.

    Args:
        recording: Recording with the lead; without it an empty string is returned.
        lead: Name of the lead.
        name: Id of the figure, unique in the page: letters, digits and hyphens.
    """
    if lead not in recording.leads:
        return ""
    duration_s = recording.signal_mv.shape[1] / recording.sampling_rate_hz
    n_rows = max(1, min(_N_ROWS, int(np.ceil(duration_s / _ROW_S))))
    above, row_mm = _room(_centred_mv(recording, lead)[: _n_samples(recording, n_rows * _ROW_S)])
    width, height = _PULSE_MM + _ROW_S * MM_PER_S + _RIGHT_MM, row_mm * n_rows
    parts = [_paper(name, width, height)]
    for row in range(n_rows):
        base_mm, begin_s = row * row_mm + above, row * _ROW_S
        parts += [
            _pulse(base_mm),
            _trace(recording, lead, begin_s, begin_s + _ROW_S, _PULSE_MM, base_mm),
            _label(_PULSE_MM + 1.5, row * row_mm + 4.5, f"{lead}, from {begin_s:g} s"),
        ]
    title = f"Lead {lead} of recording {recording.record_id}"
    description = f"{n_rows * _ROW_S:g} s at {SCALE}, in rows of {_ROW_S:g} s."
    return _svg(name, "strip", width, height, title, description, parts)


def draw_context(recording: Recording, lead: str, name: str) -> str:
    """Return the usual sheet, three rows with `COLUMN_S` of each lead, as SVG; `lead` is marked."""
    shown = [_shown_mv(recording, drawn, column) for leads in SHEET_ROWS
             for column, drawn in enumerate(leads) if drawn in recording.leads]  # fmt: skip
    above, row_mm = _room(np.concatenate(shown))
    width, height = (
        _PULSE_MM + len(SHEET_ROWS[0]) * _COLUMN_MM + _RIGHT_MM,
        row_mm * len(SHEET_ROWS),
    )
    parts = [_paper(name, width, height)]
    for row, leads in enumerate(SHEET_ROWS):
        base_mm = row * row_mm + above
        parts.append(_pulse(base_mm))
        for column, drawn in enumerate(leads):
            begin_s, left_mm = column * COLUMN_S, _PULSE_MM + column * _COLUMN_MM
            if drawn == lead:
                parts.append(
                    f'<rect class="ecg-marked" x="{left_mm:g}" y="{row * row_mm + 0.5:g}" '
                    f'width="{_COLUMN_MM:g}" height="{row_mm - 1:g}"/>'
                )
            text = drawn
            if drawn in recording.leads:
                end_s = begin_s + COLUMN_S
                parts.append(_trace(recording, drawn, begin_s, end_s, left_mm, base_mm))
            else:
                text = f"{drawn} (missing)"
            parts.append(_label(left_mm + 1.5, row * row_mm + 4.5, text))
    title = f"All leads of recording {recording.record_id}"
    description = (
        f"{COLUMN_S:g} s of each lead, one column after the other, at the same ratio of scales."
    )
    return _svg(name, "sheet", width, height, title, description, parts)


def _centred_mv(recording: Recording, lead: str) -> NDArray:
    """Return a lead in mV minus its median, similar to a device's high-pass filter."""
    signal_mv = recording.signal_mv[recording.leads.index(lead)]
    return signal_mv - np.median(signal_mv)


def _n_samples(recording: Recording, seconds: float) -> int:
    return round(seconds * recording.sampling_rate_hz)


def _shown_mv(recording: Recording, lead: str, column: int) -> NDArray:
    begin = _n_samples(recording, column * COLUMN_S)
    return _centred_mv(recording, lead)[begin : _n_samples(recording, (column + 1) * COLUMN_S)]


def _room(shown_mv: NDArray) -> tuple[float, float]:
    """Return the distance of a row's zero line from its top, and its height, in mm.

    Both are multiples of the large squares of 5 mm.
    """
    highest, lowest = (MM_PER_MV * float(v) for v in (shown_mv.max(), shown_mv.min()))
    above = _HEAD_MM + min(max(highest, _LEAST_MM), _MOST_MM)
    below = 2.0 + min(max(-lowest, _LEAST_MM / 2), _MOST_MM)
    above = 5.0 * np.ceil(above / 5.0)
    return above, above + 5.0 * np.ceil(below / 5.0)


def _svg(
    name: str,
    kind: str,
    width: float,
    height: float,
    title: str,
    description: str,
    parts: list[str],
) -> str:
    return (
        f'<svg class="figure ecg ecg-{kind}" role="img" aria-labelledby="{name}-title '
        f'{name}-desc" viewBox="0 0 {width:g} {height:g}" width="{width:g}mm" '
        f'height="{height:g}mm" xmlns="http://www.w3.org/2000/svg">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>\n' + "\n".join(parts) + "</svg>"
    )


def _paper(name: str, width: float, height: float) -> str:
    return (
        f'<defs><pattern id="{name}-mm" width="1" height="1" patternUnits="userSpaceOnUse">'
        '<path class="ecg-small" d="M1 0H0V1"/></pattern>'
        f'<pattern id="{name}-5mm" width="5" height="5" patternUnits="userSpaceOnUse">'
        f'<rect width="5" height="5" fill="url(#{name}-mm)"/>'
        '<path class="ecg-large" d="M5 0H0V5"/></pattern></defs>'
        f'<rect class="ecg-paper" width="{width:g}" height="{height:g}"/>'
        f'<rect width="{width:g}" height="{height:g}" fill="url(#{name}-5mm)"/>'
    )


def _pulse(base_mm: float) -> str:
    """Return the calibration pulse, 1 mV for 0.2 s."""
    top = base_mm - MM_PER_MV
    return f'<path class="ecg-trace" d="M1.5 {base_mm:g}H3V{top:g}H8V{base_mm:g}H9.5"/>'


def _label(x_mm: float, y_mm: float, text: str) -> str:
    return f'<text class="ecg-label" x="{x_mm:g}" y="{y_mm:g}">{escape(text)}</text>'


def _trace(
    recording: Recording, lead: str, begin_s: float, end_s: float, left_mm: float, base_mm: float
) -> str:
    rate_hz = recording.sampling_rate_hz
    # One more sample joins neighbouring strips of a row without a gap.
    begin, end = _n_samples(recording, begin_s), _n_samples(recording, end_s) + 1
    part_mv = _centred_mv(recording, lead)[begin:end]
    if not len(part_mv):
        return ""
    samples, values_mv = _thinned(part_mv, max(1, round(rate_hz / _MAX_RATE_HZ)))
    x_mm = left_mm + samples / rate_hz * MM_PER_S
    y_mm = base_mm - values_mv * MM_PER_MV
    points = " ".join(f"{x:.2f} {y:.2f}" for x, y in zip(x_mm, y_mm, strict=True))
    return f'<path class="ecg-trace" d="M{points}"/>'


def _thinned(values_mv: NDArray, factor: int) -> tuple[NDArray[np.integer], NDArray]:
    """Return the sample farthest from zero of each `factor` samples, which keeps all peaks.

    Returns:
        Positions of the kept samples, and their values in mV.
    """
    if factor == 1:
        return np.arange(len(values_mv)), values_mv
    starts = range(0, len(values_mv), factor)
    kept = np.array([s + int(np.abs(values_mv[s : s + factor]).argmax()) for s in starts])
    return kept, values_mv[kept]
