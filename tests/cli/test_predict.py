"""`mvkt predict` as its user meets it: what it prints, writes, refuses, and leaves when stopped."""

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvkt_ray.delivery.predicting import predict_recordings as module
from tests.delivery.predicting.made_up_model import write_model
from tests.delivery.predicting.model_values import model_class
from tests.delivery.predicting.written_recordings import signal_of, write_struct, write_wfdb


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict") / "model"
    write_model(folder)
    return folder


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three that can be predicted, a struct, and one that is flat."""
    folder = tmp_path_factory.mktemp("records")
    for number in range(3):
        write_wfdb(folder / f"r{number}", {"I": signal_of(9, 1000), "v5": signal_of(number, 1000)})
    write_struct(folder / "structs/A0001.mat", np.stack([signal_of(n, 5000) for n in range(12)]))
    write_wfdb(folder / "structs/flat", {"V5": np.zeros(1000)})
    return folder


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_table_tells_probabilities_and_decisions(mvkt: Any, model: Path, records: Path) -> None:
    done = mvkt("predict", model, records, "--quiet")
    assert done.exit_code == 0, done.stderr
    assert f"Decided at f1: MI 0.300, NORM none; recordings of {records}/" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.strip().startswith("r0 "))
    _, score, decision, *_, no_threshold = row.split()
    assert decision == ("yes" if float(score) >= 0.3 else "no")
    assert no_threshold == "-"
    assert "(flat_lead): recording" in done.stdout
    assert "predicted: 4 in" in done.stdout
    assert "refused: 1 flat_lead" in done.stdout


def test_json_is_one_object_per_recording(mvkt: Any, model: Path, records: Path) -> None:
    done = mvkt("predict", model, records, "--json", "--windows")
    values = lines_of(done.stdout)
    names = ["r0", "r1", "r2", "structs/A0001", "structs/flat"]
    assert [value["record"] for value in values] == [f"{records}/{name}" for name in names]
    assert [len(value["windows"]) for value in values[:4]] == [7] * 4
    for value in values[:4]:
        highest = max(window["probabilities"]["MI"] for window in value["windows"])
        assert value["probabilities"]["MI"] == highest
    assert values[4]["error"]["reason"] == "flat_lead"
    assert done.exit_code == 0


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl"])
def test_a_file_has_what_json_has(
    mvkt: Any, model: Path, records: Path, tmp_path: Path, name: str
) -> None:
    done = mvkt("predict", model, records, "--json", "--out", tmp_path / name)
    values, text = lines_of(done.stdout), (tmp_path / name).read_text()
    if name.endswith("jsonl"):
        assert lines_of(text) == values
    else:
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["record"] for row in rows] == [value["record"] for value in values]
        for row, value in zip(rows[:4], values[:4], strict=True):
            assert float(row["probability_MI"]) == value["probabilities"]["MI"]
        assert rows[4]["error"].startswith("flat_lead: ")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_windows_are_rows_of_the_table(mvkt: Any, model: Path, records: Path) -> None:
    done = mvkt("predict", model, records / "r0", "--windows", "--quiet")
    assert "0 to 2.5 s" in done.stdout
    assert "7.5 to 10 s" in done.stdout


def test_the_graph_of_8_bits_says_nearly_the_same(mvkt: Any, model: Path, records: Path) -> None:
    line = ("predict", model, records / "r0", records / "r1", "--json")
    exact, small = (lines_of(mvkt(*line, *flag).stdout) for flag in ((), ("--int8",)))
    for one, other in zip(exact, small, strict=True):
        assert one["probabilities"] != other["probabilities"]
        for name, probability in one["probabilities"].items():
            assert other["probabilities"][name] == pytest.approx(probability, abs=0.05)


def test_thresholds_are_chosen_by_name(mvkt: Any, records: Path, tmp_path: Path) -> None:
    class_ = model_class("MI", (), None)
    thresholds = {"f1": 0.0, "sensitivity_0.95": 1.0, "specificity_0.90": None}
    write_model(
        tmp_path / "model", classes=(type(class_)(name="MI", codes=(), thresholds=thresholds),)
    )
    decided = [
        lines_of(mvkt("predict", tmp_path / "model", records / "r0", "--json", *flag).stdout)[0][
            "decisions"
        ]["MI"]
        for flag in ((), ("--threshold", "sensitivity"), ("--threshold", "specificity"))
    ]
    assert decided == [True, False, None]


def test_a_table_of_many_classes_names_those_that_are_decided(
    mvkt: Any, records: Path, tmp_path: Path
) -> None:
    names = [f"class{n}" for n in range(12)]
    classes = tuple(model_class(name, (), float(n != 3)) for n, name in enumerate(names))
    write_model(tmp_path / "model", classes=classes)
    done = mvkt("predict", tmp_path / "model", records / "r0", "--quiet")
    row = next(line for line in done.stdout.splitlines() if line.strip().startswith("r0 "))
    decided = [word for word in row.split() if word.startswith("class")]
    assert decided[0] == "class3"
    assert len(decided) == 2  # and the class with the highest probability


def test_tables_and_arrays_need_a_rate(mvkt: Any, model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "ecg.npy", signal_of(0, 5000))
    line = ("predict", model, tmp_path / "ecg.npy", "--json")
    mvkt(*line).expect_wrong_input("ecg.npy does not state its sampling rate", "--rate 500")
    assert lines_of(mvkt(*line, "--rate", 500).stdout)[0]["probabilities"].keys() == {"MI", "NORM"}
    for rate in ("0", "-5", "nan", "inf"):
        mvkt(*line, "--rate", rate).expect_wrong_input("--rate must be above 0 Hz")


def test_none_that_can_be_predicted_is_wrong_input(
    mvkt: Any, model: Path, records: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers.csv"
    done = mvkt("predict", model, records / "structs/flat", tmp_path / "nowhere", "--out", out)
    done.expect_wrong_input("none of 2 recordings", "1 flat_lead", "1 missing_file")
    assert "there is no record, file or folder" in done.stdout
    assert len(out.read_text().splitlines()) == 3


def test_wrong_lines(mvkt: Any, model: Path, records: Path, tmp_path: Path) -> None:
    mvkt("predict", model, "").expect_wrong_input("is empty")
    mvkt("predict", "", records).expect_wrong_input("is empty")
    mvkt("predict", tmp_path, records).expect_wrong_input("is no finished model")
    out = tmp_path / "answers.txt"
    mvkt("predict", model, records, "--out", out).expect_wrong_input("make it .csv")
    assert list(tmp_path.iterdir()) == []


def test_without_onnxruntime_the_extra_is_named(
    mvkt: Any, model: Path, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    mvkt("predict", model, records).expect_wrong_input("pip install 'mvkt-ray[predict]'")


def test_stopped_it_leaves_what_it_has_and_says_where(
    mvkt: Any, model: Path, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "answers.jsonl"
    original = module.predict_recordings

    def stopped_after_two(*args: Any, **options: Any) -> Any:
        for number, answer in enumerate(original(*args, **options)):
            if number == 2:
                signal.raise_signal(signal.SIGINT)
            yield answer

    monkeypatch.setattr(module, "predict_recordings", stopped_after_two)
    done = mvkt("predict", model, records, "--out", out)
    assert done.exit_code == 130
    partial = tmp_path / "answers.jsonl.partial"
    assert f"2 of 5 answers are in {partial}" in done.stderr
    assert "Interrupted." in done.stderr
    assert len(lines_of(partial.read_text())) == 2
    assert not out.exists()


def test_it_runs_without_torch_ray_and_optuna(model: Path, records: Path) -> None:
    program = (
        "import sys\n"
        "from mvkt_ray.cli import app\n"
        "try:\n"
        "    app(sys.argv[1:], prog_name='mvkt')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "heavy = {'torch', 'ray', 'optuna', 'sklearn', 'matplotlib', 'onnx'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    line = ("predict", str(model), str(records), "--json")
    done = subprocess.run([sys.executable, "-c", program, *line], capture_output=True, text=True)
    assert len(lines_of(done.stdout)) == 5
    assert done.stderr.splitlines()[-1] == "[]"


def test_real_recordings(mvkt: Any, model: Path, shared_data: Path) -> None:
    """One folder of each layout; each recording is predicted, or refused with a reason."""
    folders = [
        shared_data / "ptbxl/records100/00000",
        shared_data / "cpsc2018_original/TrainingSet1",
        shared_data / "cinc2021/training/georgia/g1",
    ]
    values = lines_of(mvkt("predict", model, *folders, "--json").stdout)
    for folder in folders:
        own = [value for value in values if value["record"].startswith(str(folder))]
        headers = len({path.stem for path in folder.iterdir() if path.suffix in (".hea", ".mat")})
        assert len(own) == headers > 0
        assert sum("probabilities" in value for value in own) > 0.9 * headers


def test_recordings_are_drawn(mvkt: Any, model: Path, records: Path, tmp_path: Path) -> None:
    one, folder = tmp_path / "one.png", tmp_path / "strips"
    mvkt("predict", model, records / "r0", "--draw", one, "--quiet")
    assert one.read_bytes()[:4] == b"\x89PNG"
    done = mvkt("predict", model, records, "--draw", folder, "--quiet")
    assert done.exit_code == 0, done.stderr
    prefix = str(records).strip("/").replace("/", "-")
    drawn = sorted(path.name for path in folder.iterdir())
    assert drawn == [f"{prefix}-{name}.png" for name in ("r0", "r1", "r2", "structs-A0001")]
    assert (folder / f"{prefix}-r0.png").read_bytes() == one.read_bytes()
    out = tmp_path / "answers.csv"
    done = mvkt("predict", model, records, "--draw", one, "--out", out)
    done.expect_wrong_input("Give a folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "strips"]
