from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from mvkt_ray.delivery.predicting.answer_rows import AnswerRows
from mvkt_ray.delivery.predicting.predict_recordings import Predicted
from mvkt_ray.delivery.predicting.prepared_signal import PreparedSignal
from mvkt_ray.delivery.predicting.strip_picture import check_picture, draw_strips, picture_path
from mvkt_ray.errors import ConfigError
from tests.delivery.predicting.model_values import model_class, model_file

DOTS_PER_MM = 5
LEFT_MM, PULSE_MM, HEADER_MM, FOOTER_MM = 7, 10, 17, 8
MODEL = model_file(
    classes=(model_class("MI", (), 0.5), model_class("NORM", (), 0.5)), leads=("I", "V5")
)
ROWS = AnswerRows(MODEL, "f1")


def answer_of(bits_LS: np.ndarray, windows_WC: list[list[float]]) -> Predicted:
    scores_WC = np.array(windows_WC, np.float32)
    starts_W = np.minimum(np.arange(len(scores_WC)) * 125, max(bits_LS.shape[1] - 250, 0))
    return Predicted(
        record="some/r $1",
        probabilities_C=scores_WC.max(axis=0),
        signal=PreparedSignal(bits_LS=bits_LS.astype(np.int16), starts_W=starts_W, remarks=()),
        window_probabilities_WC=scores_WC,
    )


def pulse_of(height_mv: float, n_samples: int = 1000) -> np.ndarray:
    """Two leads at 0; the second one at a height from 2.0 to 2.4 s."""
    bits_LS = np.zeros((2, n_samples))
    bits_LS[1, 200:240] = 1000 * height_mv
    return bits_LS


def blue_spans_s(picture: np.ndarray) -> list[tuple[float, float]]:
    """Return where bars begin and end, in seconds of their row, from the top down."""
    red, green, blue = (picture[..., channel] for channel in range(3))
    is_bar = (blue - red > 0.3) & (blue > green)
    spans: list[tuple[float, float]] = []
    for row in is_bar:
        places = np.flatnonzero(row)
        if len(places) > 0.5 * 25 * DOTS_PER_MM and np.ptp(places) == len(places) - 1:
            ends = (places[[0, -1]] + (0, 1)) / DOTS_PER_MM - LEFT_MM - PULSE_MM
            span = (round(float(ends[0]) / 25, 1), round(float(ends[1]) / 25, 1))
            if span not in spans:
                spans.append(span)
    return spans


def test_the_strips_are_true_to_scale(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    draw_strips(path, answer_of(pulse_of(1.0), [[0.1, 0.1]] * 7), MODEL, ROWS)
    picture = imread(path)[..., :3]
    assert picture.shape[1] == pytest.approx((265 + 2 * LEFT_MM) * DOTS_PER_MM, abs=1)
    ink = picture.max(axis=-1) < 0.35
    left = LEFT_MM + PULSE_MM + 2.0 * 25
    columns = slice(round((left + 1) * DOTS_PER_MM), round((left + 9) * DOTS_PER_MM))
    inside = ink[HEADER_MM * DOTS_PER_MM : -FOOTER_MM * DOTS_PER_MM]
    is_trace = inside[:, columns].all(axis=1)
    flat, plateau = (np.flatnonzero(is_trace)[at] for at in (0, -1))
    # Lead I stays at zero; the top of V5's pulse is its next line, 1 mV above its own zero.
    beside = inside[:, round((left + 20) * DOTS_PER_MM) : round((left + 30) * DOTS_PER_MM)]
    zeros = np.flatnonzero(beside.all(axis=1))
    assert zeros[0] == pytest.approx(flat, abs=1)
    assert (zeros[-1] - plateau) / DOTS_PER_MM == pytest.approx(10, abs=0.4)


def test_a_bar_is_the_window_that_counted(tmp_path: Path) -> None:
    windows_WC = [[0.1, 0.2]] * 2 + [[0.9, 0.1], [0.2, 0.6], *[[0.3, 0.1]] * 3]
    draw_strips(tmp_path / "a.png", answer_of(pulse_of(1.0), windows_WC), MODEL, ROWS)
    assert blue_spans_s(imread(tmp_path / "a.png")) == [(2.5, 5.0), (3.8, 6.2)]


def test_a_class_that_is_not_decided_has_no_bar(tmp_path: Path) -> None:
    draw_strips(tmp_path / "a.png", answer_of(pulse_of(1.0), [[0.4, 0.1]] * 7), MODEL, ROWS)
    assert blue_spans_s(imread(tmp_path / "a.png")) == []


def test_a_long_recording_has_rows_and_a_bar_goes_on_in_the_next(tmp_path: Path) -> None:
    n_windows = -(-(2500 - 250) // 125) + 1
    windows_WC = [[0.1, 0.1]] * n_windows
    windows_WC[7] = [0.9, 0.1]  # 8.75 to 11.25 s
    for name, n_samples in (("one.png", 900), ("three.png", 2500)):
        answer = answer_of(pulse_of(1.0, n_samples), windows_WC[: n_samples // 125])
        draw_strips(tmp_path / name, answer, MODEL, ROWS)
    one, three = (imread(tmp_path / name) for name in ("one.png", "three.png"))
    assert len(three) > 2.5 * len(one) - 2 * (HEADER_MM + FOOTER_MM) * DOTS_PER_MM
    assert blue_spans_s(three) == [(8.8, 10.0), (0.0, 1.2)]


def test_a_recording_shorter_than_a_window_is_drawn(tmp_path: Path) -> None:
    draw_strips(
        tmp_path / "a.png", answer_of(pulse_of(1.0, 150)[:, :150], [[0.9, 0.1]]), MODEL, ROWS
    )
    assert blue_spans_s(imread(tmp_path / "a.png")) == [(0.0, 1.5)]


def test_svg_is_written_where_the_suffix_says_so(tmp_path: Path) -> None:
    draw_strips(tmp_path / "a.svg", answer_of(pulse_of(1.0), [[0.9, 0.1]] * 7), MODEL, ROWS)
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert root.tag.endswith("svg")


def test_where_pictures_go(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    check_picture(file, 1)
    check_picture(tmp_path / "new", 1000)
    check_picture(tmp_path, 2)
    (tmp_path / "of.today").mkdir()
    check_picture(tmp_path / "of.today", 2)
    assert picture_path(file, "r1") == file
    assert picture_path(tmp_path, "some/r1") == tmp_path / "some-r1.png"
    assert picture_path(tmp_path, "/some/r1") == tmp_path / "some-r1.png"
    assert picture_path(tmp_path, "../r1") == tmp_path / "r1.png"
    assert len(picture_path(tmp_path, "x" * 1000).name) < 255


@pytest.mark.parametrize(
    ("name", "n_recordings", "part"),
    [
        ("a.png", 2, "Give a folder"),
        ("nowhere/a.png", 1, "does not exist"),
        ("a.pdf", 1, "neither a folder nor a file in .png or .svg"),
        ("file", 2, "neither a folder"),
    ],
)
def test_other_places_are_refused(tmp_path: Path, name: str, n_recordings: int, part: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=part):
        check_picture(tmp_path / name, n_recordings)
