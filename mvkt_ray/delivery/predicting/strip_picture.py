"""Draws a model's input for a recording on ECG paper, with its predictions.

A bar below the strip marks, for each predicted class, the window with the highest probability.

Writes: one PNG or SVG file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.data.drawing.ecg_paper import (
    INK,
    LEGEND,
    MM_PER_MV,
    MM_PER_S,
    PULSE_MM,
    EcgPaper,
    open_paper,
)
from mvkt_ray.data.shard_columns import MV_PER_BIT
from mvkt_ray.delivery.predicting.answer_rows import AnswerRows
from mvkt_ray.delivery.predicting.model_file import ModelFile
from mvkt_ray.delivery.predicting.predict_recordings import Predicted
from mvkt_ray.errors import ConfigError
from mvkt_ray.file_guards import writing

SUFFIXES = (".png", ".svg")
_ROW_S = 10.0
_MOST_ROWS = 6
_DPI = 127
_LABEL_MM = 6.0
"""Height above a trace for the name of its lead."""
_BAR_MM = 4.5
"""Height of one bar with its text."""
_LEAST_MM, _MOST_MM = 10.0, 45.0
"""Least and most height above a zero line; below it, half the least and the same most."""
_HEADER_MM, _FOOTER_MM = 17.0, 8.0
_BAR_COLOUR = "#1f5fa8"
_LETTERS = 110
"""Most letters of a recording's name."""
_MOST_CLASSES = 9
"""Most classes in one line."""
_LONGEST_NAME = 200
"""Most letters of a file's name; file systems allow 255 bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bar:
    text: str
    begin_s: float
    end_s: float


def check_picture(path: Path, n_recordings: int) -> None:
    """Check the path for pictures.

    Raises:
        ConfigError: The path is neither a folder nor, for one recording, a PNG or SVG file.
    """
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        if n_recordings != 1:
            raise ConfigError(
                f"--draw {str(path)!r} is one file, but {n_recordings:,} recordings are given. "
                "Give a folder instead."
            )
        if not path.parent.is_dir():
            raise ConfigError(
                f"--draw {str(path)!r}: the folder {path.parent} does not exist; make it."
            )
    elif path.is_file() or (path.suffix and not path.is_dir()):
        raise ConfigError(
            f"--draw {str(path)!r} is neither a folder nor a file in {' or '.join(SUFFIXES)}."
        )


def picture_path(path: Path, record: str) -> Path:
    """Return the file for a recording's picture: `path` itself, or a file in the folder `path`."""
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        return path
    return path / f"{record.replace('/', '-').strip('-. ')[-_LONGEST_NAME:]}.png"


def draw_strips(path: Path, answer: Predicted, model: ModelFile, rows: AnswerRows) -> None:
    """Draw the leads of the model's input at its sampling rate, each minus its median.

    Raises:
        ConfigError: The file cannot be written.
    """
    signal_LS = answer.signal.bits_LS * MV_PER_BIT
    signal_LS = signal_LS - np.median(signal_LS, axis=1, keepdims=True)
    bars = _bars(answer, rows)
    duration_s = signal_LS.shape[1] / model.sampling_rate_hz
    n_rows = min(_MOST_ROWS, max(1, int(np.ceil(duration_s / _ROW_S))))
    above, below = _room(signal_LS[:, : round(n_rows * _ROW_S * model.sampling_rate_hz)])
    strip_mm = above + below
    row_mm = 5.0 * np.ceil((strip_mm * len(model.leads) + len(bars) * _BAR_MM) / 5.0)
    width_mm, height_mm = PULSE_MM + _ROW_S * MM_PER_S + 5.0, row_mm * n_rows
    with (
        writing(path, "Give another file or folder.", ConfigError),
        open_paper(
            width_mm, height_mm, header_mm=_HEADER_MM, footer_mm=_FOOTER_MM, dpi=_DPI
        ) as paper,
    ):
        for row in range(n_rows):
            top_mm, begin_s = height_mm - row * row_mm, row * _ROW_S
            for place, (lead, signal_S) in enumerate(zip(model.leads, signal_LS, strict=True)):
                base_mm = top_mm - place * strip_mm - above
                paper.draw_pulse(base_mm)
                label = lead if n_rows == 1 else f"{lead}, from {begin_s:g} s"
                paper.name_lead(PULSE_MM + 1.5, base_mm + above - 4.5, label)
                _draw_row(paper, signal_S, model.sampling_rate_hz, begin_s, base_mm)
            for level, bar in enumerate(bars):
                y_mm = top_mm - strip_mm * len(model.leads) - (level + 0.3) * _BAR_MM
                _draw_bar(paper, bar, begin_s, y_mm)
        _write_texts(paper, answer, model, rows, min(duration_s, n_rows * _ROW_S), duration_s)
        paper.save(path)


def _bars(answer: Predicted, rows: AnswerRows) -> list[_Bar]:
    """Return, for each predicted class, the window with its highest probability."""
    times_s = rows.window_times_s(answer)
    windows_C = answer.window_probabilities_WC.argmax(axis=0)
    return [
        _Bar(text=name, begin_s=times_s[window][0], end_s=times_s[window][1])
        for name, window, decision in zip(
            rows.classes, windows_C, rows.decisions(answer.probabilities_C), strict=True
        )
        if decision
    ]


def _room(shown_LS: NDArray[np.floating]) -> tuple[float, float]:
    """Return the heights above and below a zero line in mm, multiples of the 5 mm squares."""
    highest, lowest = (MM_PER_MV * float(v) for v in (shown_LS.max(), shown_LS.min()))
    above = _LABEL_MM + min(max(highest, _LEAST_MM), _MOST_MM)
    below = 2.0 + min(max(-lowest, _LEAST_MM / 2), _MOST_MM)
    return 5.0 * float(np.ceil(above / 5.0)), 5.0 * float(np.ceil(below / 5.0))


def _draw_row(
    paper: EcgPaper, signal_S: NDArray[np.floating], rate_hz: int, begin_s: float, base_mm: float
) -> None:
    # One more sample joins the end of a row and the beginning of the next.
    begin, end = round(begin_s * rate_hz), round((begin_s + _ROW_S) * rate_hz) + 1
    part = signal_S[begin:end]
    x_mm = PULSE_MM + np.arange(len(part)) / rate_hz * MM_PER_S
    paper.draw_trace(x_mm, base_mm + part * MM_PER_MV)


def _draw_bar(paper: EcgPaper, bar: _Bar, begin_s: float, y_mm: float) -> None:
    shown_s = (max(bar.begin_s, begin_s), min(bar.end_s, begin_s + _ROW_S))
    if shown_s[0] >= shown_s[1]:
        return
    x_mm = [PULSE_MM + (each - begin_s) * MM_PER_S for each in shown_s]
    paper.axes.plot(x_mm, [y_mm, y_mm], color=_BAR_COLOUR, linewidth=1.6, solid_capstyle="butt")
    paper.axes.text(x_mm[0] + 0.5, y_mm - 0.4, bar.text, fontsize=8, color=_BAR_COLOUR, va="top")


def _write_texts(
    paper: EcgPaper,
    answer: Predicted,
    model: ModelFile,
    rows: AnswerRows,
    shown_s: float,
    duration_s: float,
) -> None:
    (width, height), axes = (paper.axes.get_xlim()[1], paper.axes.get_ylim()[1]), paper.axes
    record = answer.record if len(answer.record) <= _LETTERS else f"...{answer.record[-_LETTERS:]}"
    axes.text(0, height + 10.5, record, fontsize=11, fontweight="bold", color=INK)
    axes.text(0, height + 3.5, "   ".join(_said(answer, rows)), fontsize=10, color=INK)
    axes.text(0, -5.0, LEGEND, fontsize=9, color=INK)
    facts = f"{model.name}; {shown_s:g} of {duration_s:g} s at {model.sampling_rate_hz} Hz"
    axes.text(width, -5.0, f"{facts}, about the median", fontsize=9, ha="right", color=INK)


def _said(answer: Predicted, rows: AnswerRows) -> Iterator[str]:
    """Yield each class with its probability; of many classes only the predicted ones."""
    word = {True: "yes", False: "no", None: "no threshold"}
    decisions = rows.decisions(answer.probabilities_C)
    shows_all = len(rows.classes) <= _MOST_CLASSES
    if not shows_all and not any(decisions):
        yield f"none of {len(rows.classes)} classes"
    for name, probability, decision in zip(
        rows.classes, answer.probabilities_C, decisions, strict=True
    ):
        if shows_all or decision:
            yield f"{name} {probability:.3f} {word[decision]}"
