"""The sheet is a PNG that is true to scale, whatever the recording."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

from mvkt_ray.data.drawing.ecg_sheet import draw_ecg_sheet
from mvkt_ray.data.recording import LEADS, Recording

Make = Callable[..., Any]
DPI = 127
DOTS_PER_MM = DPI / 25.4
LEFT_MM, FOOTER_MM, HEADER_MM = 7, 8, 17


def ink_of(path: Path, lightest: float = 0.35) -> np.ndarray:
    """Return where the PNG is nearly black, or as dark as asked, `[height, width]`."""
    return imread(path)[..., :3].max(-1) < lightest


def square_wave(lead: str, height_mv: float) -> np.ndarray:
    """One lead at 0, but at `height_mv` from 1.0 to 1.2 s of every 2.5 s; the others at 0."""
    signal_mv = np.zeros((12, 5000), np.float32)
    time_s = np.arange(5000) / 500 % 2.5
    signal_mv[LEADS.index(lead), (time_s >= 1.0) & (time_s < 1.2)] = height_mv
    return signal_mv


def test_the_png_says_its_resolution_and_has_the_size_of_the_sheet(
    tmp_path: Path, synthetic_recording: Recording
) -> None:
    draw_ecg_sheet(synthetic_recording, tmp_path / "sheet.png", dpi=DPI)
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)
        assert image.width / DOTS_PER_MM == pytest.approx(265 + 2 * LEFT_MM, abs=0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_one_millivolt_is_ten_millimetres_and_one_second_twenty_five(
    tmp_path: Path, make_recording: Make
) -> None:
    recording = make_recording(1, signal_mv=square_wave("V2", 1.5), rate_hz=500.0)
    draw_ecg_sheet(recording, tmp_path / "sheet.png", dpi=DPI)
    ink = ink_of(tmp_path / "sheet.png")
    # V2: third column, second row; its pulse begins 1.0 s after 5 s.
    left = (LEFT_MM + 10 + 6.0 * 25) * DOTS_PER_MM
    base = (HEADER_MM + 35 + 20) * DOTS_PER_MM
    columns = slice(round(left - 2 * DOTS_PER_MM), round(left + 7 * DOTS_PER_MM))
    top = slice(round(base - 17 * DOTS_PER_MM), round(base - 13 * DOTS_PER_MM))
    rows, places = np.nonzero(ink[top, columns])
    plateau = np.bincount(rows).argmax()
    height_mm = (base - plateau - top.start) / DOTS_PER_MM
    assert height_mm == pytest.approx(15, abs=0.4)
    assert np.ptp(places) / DOTS_PER_MM == pytest.approx(0.2 * 25, abs=0.4)
    assert (places.min() + columns.start - left) / DOTS_PER_MM == pytest.approx(0, abs=0.4)


def test_a_missing_lead_is_blank_and_a_short_recording_ends(
    tmp_path: Path, make_recording: Make
) -> None:
    short = make_recording(1, n_leads=11, n_samples=300, rate_hz=100.0, codes=("a",) * 60,
                           likelihoods=(15.0,) * 60)  # fmt: skip
    draw_ecg_sheet(short, tmp_path / "sheet.png", dpi=DPI)
    ink = ink_of(tmp_path / "sheet.png")
    base = round((HEADER_MM + 2 * 35 + 20) * DOTS_PER_MM)
    band = ink[base - round(5 * DOTS_PER_MM) : base + round(5 * DOTS_PER_MM)]
    first, last = (round((LEFT_MM + 10 + second * 25) * DOTS_PER_MM) for second in (3.2, 10))
    assert band[:, :first].any()
    borders = band[:, first:last].any(0).sum()
    assert borders < 2 * DOTS_PER_MM


def test_a_tall_wave_goes_on_over_the_edge_of_the_grid(
    tmp_path: Path, make_recording: Make
) -> None:
    recording = make_recording(1, signal_mv=square_wave("I", 2.5), rate_hz=500.0)
    draw_ecg_sheet(recording, tmp_path / "sheet.png", dpi=DPI)
    ink = ink_of(tmp_path / "sheet.png", lightest=0.8)
    # From the edge of the grid, 20 mm above the lead's base, to 1 mm below the plateau at 25 mm.
    above = slice(round((HEADER_MM - 4) * DOTS_PER_MM), round((HEADER_MM - 0.5) * DOTS_PER_MM))
    for edge_mm in (25, 30):
        position = round((LEFT_MM + 10 + edge_mm) * DOTS_PER_MM)
        assert ink[above, position - 2 : position + 3].any(1).all()


@pytest.mark.parametrize("name", ["$x_1$", "$", "\\frac{", "\u5fc3\u623f", "two\nlines"])
def test_names_from_data_are_text_and_no_formula(
    tmp_path: Path, make_recording: Make, name: str
) -> None:
    recording = replace(
        make_recording(1), record_id=name, patient_id=name, codes=(name,), likelihoods=(100.0,)
    )
    draw_ecg_sheet(recording, tmp_path / "sheet.png", dpi=50)
    assert ink_of(tmp_path / "sheet.png").any()
