"""A student leaves a study, on real recordings: finals, export, and the same numbers from files."""

import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import StoredPredictions, read_predictions

STUDY: dict[str, Any] = {
    "name": "leaves",
    "data": {
        "source": "ptbxl",
        "task": "superdiagnostic",
        "folds": {"train": [1], "val": [8], "test": [9]},
    },
    "view": {"crop_s": 2.5, "grid_s": 2.5, "stride_s": 1.25},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 32},
    "student": {"epochs": 2},
    "resources": {"precision": "float32"},
    "space": {"student": "sepconv1d_tiny", "batch_size": 32, "n_negatives": 8},
    "search": {"leads": ["V5", "II"], "n_trials": 6, "pruner": {"kind": "none"}},
    "finals": {"n_seeds": 1, "baselines": ["student_alone"]},
}


def mvkt(*args: object, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == exit_code, result.stderr
    return result.stderr if exit_code else result.stdout


@pytest.fixture(scope="module")
def study(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose finals are over."""
    folder = tmp_path_factory.mktemp("leaves")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    out = folder / "study"
    data = shared_data / "ptbxl"
    mvkt("search", folder / "study.yaml", "--data", data, "--out", out, "--in-process", "--quiet")
    mvkt("finalize", out, "--in-process", "--quiet")
    return out


@pytest.fixture(scope="module")
def model(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student of V5, exported."""
    out = tmp_path_factory.mktemp("exported") / "model"
    mvkt("export", study, out, "--lead", "V5", "--quiet")
    return out


@pytest.fixture(scope="module")
def stored(study: Path, model: Path) -> StoredPredictions:
    """What the finals have of the same student on the test split."""
    made_from = json.loads((model / "model.json").read_text())["made_from"]
    final = StudyFolder(Location.parse(study)).final(1)
    return read_predictions(final.test(made_from["trial"]))


@pytest.fixture(scope="module")
def records(shared_data: Path, stored: StoredPredictions) -> list[Path]:
    """The recordings of the test split, in its order."""
    table = pd.read_csv(shared_data / "ptbxl" / "ptbxl_database.csv", index_col="ecg_id")
    names = table.loc[[int(each) for each in stored.record_ids_N], "filename_lr"]
    return [shared_data / "ptbxl" / name for name in names]


def test_every_file_of_the_artifact_is_in_its_manifest(model: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    assert manifest["kind"] == "model"
    names = {each.name for each in model.iterdir()} - {"manifest.json"}
    assert set(manifest["files"]) == names
    assert names >= {"model.onnx", "weights.safetensors", "model.json", "README.md", "predict.py"}
    assert "intact" in mvkt("verify", model)
    shown = mvkt("inspect", model)
    assert "chosen of V5, seed 0, examined on the test split" in shown
    assert "model.onnx" in shown


def test_predictions_of_a_whole_split_are_those_of_the_finals(
    model: Path, stored: StoredPredictions, records: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "predictions.csv"
    mvkt("predict", model, *records, "--out", out, "--quiet")
    table = pd.read_csv(out)
    assert len(table) == len(stored.record_ids_N) > 300
    said = table[[f"probability_{name}" for name in stored.classes]].to_numpy()
    assert np.abs(said - stored.probabilities_NC).max() <= 1e-4


def test_thresholds_decide_as_the_card_counts(model: Path, study: Path) -> None:
    described = json.loads((model / "model.json").read_text())
    trials = StudyFolder(Location.parse(study)).final(1).trials.local_path
    files = trials / f"{described['made_from']['trial']:05d}" / "validation.arrow"
    validation = read_predictions(Location.parse(files))
    for column, each in enumerate(described["classes"]):
        positive = validation.labels_NC[:, column] > 0.5
        said = validation.probabilities_NC[:, column]
        thresholds = each["thresholds"]
        assert (said[positive] >= thresholds["sensitivity_0.90"]).mean() >= 0.9
        assert (said[~positive] < thresholds["specificity_0.90"]).mean() >= 0.9


def test_the_folder_alone_is_enough_for_another_program(
    model: Path, stored: StoredPredictions, records: list[Path], tmp_path: Path
) -> None:
    """With what `model.json` says, and `wfdb` to read, the numbers of the finals come out."""
    import wfdb

    described: Mapping[str, Any] = json.loads((model / "model.json").read_text())
    session = onnxruntime.InferenceSession(str(model / "model.onnx"))
    window, stride = described["window_samples"], described["stride_samples"]
    for place in (0, 7, 100):
        record = wfdb.rdrecord(str(records[place]))
        assert isinstance(record, wfdb.Record)
        assert record.p_signal is not None
        assert record.sig_name is not None
        lead = record.sig_name.index(described["leads"][0])
        signal = record.p_signal[:, lead].astype(np.float32)
        starts = [*range(0, len(signal) - window, stride), len(signal) - window]
        windows = np.stack([signal[start : start + window] for start in starts])[:, None]
        (said,) = session.run(None, {"signal_mv": windows})
        assert np.asarray(said).max(axis=0) == pytest.approx(
            stored.probabilities_NC[place], abs=1e-4
        )


def test_its_own_program_says_what_the_finals_said(
    model: Path, stored: StoredPredictions, records: list[Path], tmp_path: Path
) -> None:
    """`predict.py` reads a CSV file, and nothing of this package (`-I`: no path is added)."""
    import wfdb

    record = wfdb.rdrecord(str(records[3]))
    assert isinstance(record, wfdb.Record)
    assert record.p_signal is not None
    table = tmp_path / "ecg.csv"
    header = ",".join(record.sig_name or [])
    np.savetxt(table, record.p_signal, "%.3f", ",", header=header, comments="")
    line = [sys.executable, "-I", str(model / "predict.py"), str(table), "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=tmp_path)
    said = json.loads(done.stdout)["probabilities"]
    assert list(said) == list(stored.classes)
    assert list(said.values()) == pytest.approx(stored.probabilities_NC[3], abs=1e-4)


def test_the_same_model_is_not_made_twice_and_another_does_not_replace_it(
    model: Path, study: Path
) -> None:
    before = hashlib.sha256((model / "manifest.json").read_bytes()).hexdigest()
    assert "reused" in mvkt("export", study, model, "--lead", "V5", "--quiet")
    assert "another configuration" in mvkt("export", study, model, "--lead", "II", exit_code=2)
    assert hashlib.sha256((model / "manifest.json").read_bytes()).hexdigest() == before


def test_a_trial_of_the_search_is_marked_as_not_examined(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    said = mvkt("export", study, out, "--from-search", "--lead", "II")
    assert "NOT examined" in said
    assert "**Not examined.**" in (out / "README.md").read_text()
    described = json.loads((out / "model.json").read_text())
    assert described["made_from"]["examined"] is False
    assert described["leads"] == ["II"]


def test_an_export_that_is_killed_leaves_nothing_that_looks_finished(
    study: Path, tmp_path: Path
) -> None:
    """Killed once its first file is there; the same line then makes the model."""
    out = tmp_path / "model"
    program = (
        "import os, signal, sys\n"
        "from mvkt_ray.delivery.exporting import export_model\n"
        "def die(*args, **kwargs):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "export_model.write_checked_graphs = die\n"
        "from mvkt_ray.cli import main\n"
        "main()\n"
    )
    line = [sys.executable, "-c", program, "export", str(study), str(out), "--quiet"]
    killed = subprocess.run(line, capture_output=True, check=False)
    assert killed.returncode == -9
    assert not out.exists()
    assert (tmp_path / "model.partial" / "weights.safetensors").exists()
    mvkt("export", study, out, "--quiet")
    assert (out / "manifest.json").exists()
    assert not (tmp_path / "model.partial").exists()


def test_the_card_gives_the_numbers_of_the_report(model: Path, study: Path) -> None:
    mvkt("report", study, "--quiet")
    with (study / "report" / "classes.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["lead"] == "V5"]
    card = (model / "README.md").read_text()
    scored = [row for row in rows if row["contender"] == "chosen" and row["test_auroc"]]
    assert len(scored) >= 3
    for row in scored:
        assert f"| {row['class']} | {float(row['test_auroc']):.3f} |" in card
