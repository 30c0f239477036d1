"""Exports of a tiny study that was really trained: two leads, trained on validation too."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.data.shards import open_shards
from mvkt_ray.delivery.predicting.model_file import ModelFile
from mvkt_ray.delivery.predicting.open_model import read_model
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import read_predictions
from tests.object_store import S3Server

STUDY: dict[str, Any] = {
    "name": "patch",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 120, "seed": 3, "duration_s": 4.0},
        "sampling_rate_hz": 50,
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5], "val": [6, 7], "test": [8, 9, 10]},
    },
    "view": {"crop_s": 2.0, "grid_s": 1.0, "stride_s": 1.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 16},
    "student": {"epochs": 1},
    "resources": {"precision": "float32"},
    "space": {"student": "sepconv1d", "student_width": 4, "student_depth": 1, "n_negatives": 8},
    "search": {"leads": ["I+V5"], "n_trials": 2, "baselines": ["student_alone"]},
    "finals": {"n_seeds": 1, "baselines": [], "refit": True},
}


def mvkt(*args: object, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == exit_code, result.stderr
    return result.stderr if exit_code else result.stdout


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patch")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    out = folder / "study"
    mvkt("search", folder / "study.yaml", "--out", out, "--in-process", "--quiet")
    mvkt("finalize", out, "--in-process", "--quiet")
    return out


@pytest.fixture(scope="module")
def model(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "model"
    mvkt("export", study, out, "--quiet")
    return out


def test_two_leads_leave_in_their_order(model: Path) -> None:
    described = ModelFile.from_json((model / "model.json").read_bytes())
    assert described.leads == ("I", "V5")
    assert (described.window_samples, described.stride_samples) == (100, 50)
    assert "width 4" in (model / "README.md").read_text()


def test_what_was_trained_on_validation_has_no_thresholds(model: Path) -> None:
    described = json.loads((model / "model.json").read_text())
    assert {each for c in described["classes"] for each in c["thresholds"].values()} == {None}
    assert described["temperature"] == 1.0
    assert "choose them on recordings of your own" in (model / "README.md").read_text()


def test_arrays_of_both_leads_are_predicted_as_the_finals_did(
    model: Path, study: Path, tmp_path: Path
) -> None:
    folder = StudyFolder(Location.parse(study))
    stored = read_predictions(folder.final(1).test(0))
    shards = open_shards(folder.shards)
    files = []
    for record_id in stored.record_ids_N:
        recording = shards.recording(shards.row_of(record_id))
        rows = [recording.leads.index(lead) for lead in ("I", "V5")]
        files.append(tmp_path / f"{record_id}.npy")
        np.save(files[-1], recording.signal_mv[rows])
    lines = mvkt("predict", model, *files, "--rate", 50, "--json").splitlines()
    said = [list(json.loads(line)["probabilities"].values()) for line in lines]
    assert np.array(said) == pytest.approx(stored.probabilities_NC, abs=1e-4)


def test_a_model_goes_to_a_store_and_is_read_from_there(study: Path, s3_server: S3Server) -> None:
    out = s3_server.make_bucket("models") / "model"
    mvkt("export", study, out, "--quiet")
    described, graph = read_model(out)
    assert described.leads == ("I", "V5")
    assert graph
    assert "intact" in mvkt("verify", out)


def test_damaged_weights_are_no_model(study: Path, tmp_path: Path) -> None:
    weights = StudyFolder(Location.parse(study)).final(1).trials / "00000" / "student.safetensors"
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:100])
        said = mvkt("export", study, tmp_path / "model", exit_code=2)
    finally:
        weights.write_bytes(whole)
    assert "student.safetensors is not the file that its trial wrote" in said
    assert not (tmp_path / "model").exists()


def test_without_its_recordings_a_student_cannot_be_compared(study: Path, tmp_path: Path) -> None:
    shards = study / "shards"
    aside = shards.rename(study / "aside")
    try:
        said = mvkt("export", study, tmp_path / "model", exit_code=2)
    finally:
        aside.rename(shards)
    assert "are missing" in said
