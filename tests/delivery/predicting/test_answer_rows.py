import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.delivery.predicting.answer_file import (
    check_answer_file,
    partial_file,
    writing_answers,
)
from mvkt_ray.delivery.predicting.answer_rows import AnswerRows, calibrated
from mvkt_ray.delivery.predicting.model_file import ModelClass
from mvkt_ray.delivery.predicting.predict_recordings import Answer, Predicted, Refused
from mvkt_ray.delivery.predicting.prepared_signal import PreparedSignal
from mvkt_ray.errors import ConfigError
from tests.delivery.predicting.model_values import model_file

THRESHOLDS = {"f1": 0.5, "sensitivity_0.90": 0.25, "specificity_0.90": 0.75}
MODEL = model_file(
    temperature=2.0,
    classes=(
        ModelClass(name="MI", codes=(), thresholds=THRESHOLDS),
        ModelClass(name="NORM", codes=(), thresholds=dict.fromkeys(THRESHOLDS, None)),
    ),
)


def predicted(windows_WC: list[list[float]], n_samples: int = 400, *remarks: str) -> Predicted:
    scores_WC = np.array(windows_WC, np.float32)
    starts_W = np.minimum(np.arange(len(scores_WC)) * 125, max(n_samples - 250, 0))
    signal = PreparedSignal(
        bits_LS=np.zeros((1, n_samples), np.int16), starts_W=starts_W, remarks=remarks
    )
    return Predicted(
        record="a, b",
        probabilities_C=scores_WC.max(axis=0),
        signal=signal,
        window_probabilities_WC=scores_WC,
    )


ANSWER = predicted([[0.5, 0.125], [0.1, 0.2], [0.2, 0.1]], 400, "first", "second")
REFUSED = Refused(record="r2", reason="nan", message="samples that are not numbers")


@given(probability=st.floats(1e-6, 1 - 1e-6), temperature=st.floats(0.01, 100))
def test_calibration_keeps_order_and_sides(probability: float, temperature: float) -> None:
    found = float(calibrated(np.array(probability), temperature))
    assert 0 <= found <= 1
    assert (found > 0.5) <= (probability > 0.5)
    assert float(calibrated(np.array(probability), 1.0)) == pytest.approx(probability)
    opposite = float(calibrated(np.array(1 - probability), temperature))
    assert opposite == pytest.approx(1 - found, abs=1e-6)


def test_calibration_by_hand() -> None:
    # logit(0.8) = ln 4; halved, its sigmoid is 2 / (2 + 1).
    assert float(calibrated(np.array(0.8), 2.0)) == pytest.approx(2 / 3)
    assert calibrated(np.array([0.0, 1.0]), 3.0).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "decision"), [("f1", True), ("sensitivity", True), ("specificity", False)]
)
def test_an_answer_as_json(kind: str, decision: bool) -> None:
    value = json.loads(json.dumps(AnswerRows(MODEL, kind).value(ANSWER)))
    assert value == {
        "record": "a, b",
        "probabilities": {"MI": 0.5, "NORM": 0.2},
        "calibrated": {"MI": 0.5, "NORM": pytest.approx(1 / 3, abs=1e-6)},
        "decisions": {"MI": decision, "NORM": None},
        "remark": "first; second",
    }


def test_windows_have_their_times() -> None:
    value = AnswerRows(MODEL, "f1", with_windows=True).value(ANSWER)
    times = [(each["start_s"], each["end_s"]) for each in value["windows"]]
    assert times == [(0.0, 2.5), (1.25, 3.75), (1.5, 4.0)]
    assert [each["decisions"]["MI"] for each in value["windows"]] == [True, False, False]
    short = AnswerRows(MODEL, "f1", with_windows=True).value(predicted([[0.1, 0.1]], 150))
    assert (short["windows"][0]["start_s"], short["windows"][0]["end_s"]) == (0.0, 1.5)


def test_a_refusal_says_why() -> None:
    rows = AnswerRows(MODEL, "f1")
    assert rows.value(REFUSED)["error"] == {
        "reason": "nan",
        "message": "samples that are not numbers",
    }
    assert rows.rows(REFUSED) == [["r2", *[""] * 7, "nan: samples that are not numbers"]]


def written(path: Path, rows: AnswerRows, answers: list[Answer]) -> str:
    with writing_answers(path, rows) as write:
        for answer in answers:
            write(answer)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("with_windows", [False, True])
def test_a_csv_file_has_the_values_of_json(tmp_path: Path, with_windows: bool) -> None:
    rows = AnswerRows(MODEL, "f1", with_windows=with_windows)
    text = written(tmp_path / "answers.csv", rows, [ANSWER, REFUSED])
    first, *others = csv.DictReader(io.StringIO(text))
    value = rows.value(ANSWER)
    assert list(first) == rows.columns
    assert first["record"] == "a, b"
    assert first["remark"] == "first; second"
    assert first["error"] == ""
    for name in ("MI", "NORM"):
        assert float(first[f"probability_{name}"]) == value["probabilities"][name]
        assert float(first[f"calibrated_{name}"]) == value["calibrated"][name]
    assert (first["decision_MI"], first["decision_NORM"]) == ("1", "")
    assert others[-1]["error"] == "nan: samples that are not numbers"
    assert others[-1]["probability_MI"] == ""
    windows = [(row["start_s"], row["probability_MI"]) for row in others[:-1]]
    assert windows == ([("0.0", "0.5"), ("1.25", "0.1"), ("1.5", "0.2")] if with_windows else [])


def test_a_name_that_is_no_text_is_written_all_the_same(tmp_path: Path) -> None:
    refused = Refused(record="r\udcff", reason="nan", message="of r\udcff")
    for name in ("answers.csv", "answers.jsonl"):
        assert "r\\udcff" in written(tmp_path / name, AnswerRows(MODEL, "f1"), [refused])


def test_json_lines_are_one_answer_each(tmp_path: Path) -> None:
    rows = AnswerRows(MODEL, "f1")
    lines = written(tmp_path / "answers.jsonl", rows, [ANSWER, REFUSED]).splitlines()
    assert [json.loads(line) for line in lines] == [rows.value(ANSWER), rows.value(REFUSED)]


def test_what_ends_early_leaves_what_there_is_aside(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("from before")
    rows = AnswerRows(MODEL, "f1")

    def write_one_of_two() -> None:
        with writing_answers(path, rows) as write:
            write(ANSWER)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_one_of_two()
    assert path.read_text() == "from before"
    assert json.loads(partial_file(path).read_text()) == rows.value(ANSWER)
    written(path, rows, [REFUSED])
    assert json.loads(path.read_text()) == rows.value(REFUSED)
    assert not partial_file(path).exists()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("answers.parquet", "make it .csv, or .jsonl"),
        ("answers", "make it .csv"),
        ("nowhere/answers.csv", "does not exist; make it"),
        ("folder.csv", "is a folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, name: str, part: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match=part):
        check_answer_file(tmp_path / name)


@given(
    probability=st.floats(0, 1, width=32),
    threshold=st.none() | st.floats(0, 1),
)
def test_a_decision_is_at_or_above_its_threshold(probability: float, threshold: Any) -> None:
    each = ModelClass(name="MI", codes=(), thresholds=dict.fromkeys(THRESHOLDS, threshold))
    (decision,) = AnswerRows(model_file(classes=(each,)), "f1").decisions([probability])
    assert decision == (None if threshold is None else probability >= threshold)
