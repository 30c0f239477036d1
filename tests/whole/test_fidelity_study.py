"""Studies that search nothing, and studies whose students hear of whole recordings, in short."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.records import EpochMetrics, TrialState
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study import Study
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from tests.planned_search import plan_and_run

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 120, "seed": 3},
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
    },
    "view": {"crop_s": 2.5, "grid_s": 2.5, "stride_s": 2.5},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 16},
    "student": {"epochs": 1, "knowledge": "record"},
    "space": {"student": "sepconv1d_tiny", "batch_size": 16, "n_negatives": 8},
    "search": {"leads": ["I", "V2"], "n_trials": 2, "pruner": {"kind": "none"}, "baselines": []},
}


class Silent:
    """A listener that does not listen."""

    def stage_started(self, stage: str, what: str) -> None: ...
    def stage_progress(self, done: int, total: int) -> None: ...
    def stage_epoch(self, metrics: EpochMetrics) -> None: ...
    def stage_finished(self, stage: str, what: str, reused: bool) -> None: ...
    def study_opened(self, study: Study) -> None: ...
    def study_changed(self) -> None: ...


def run(study: dict[str, Any], root: Path, **options: Any) -> StudyFolder:
    folder = StudyFolder(Location.parse(root))
    config = study_from_mapping(study, "tiny")
    plan_and_run(config, folder, InProcess(), Silent(), **options).close()
    return folder


def test_a_study_of_whole_recordings_caches_one_row_per_recording_and_is_resumed(
    tmp_path: Path,
) -> None:
    folder = run(TINY, tmp_path / "study")
    run(TINY, tmp_path / "study", resume=True)
    _, study = open_study(folder)
    assert [record.state for record in study.trials()] == [TrialState.COMPLETE] * 2
    study.close()
    crops = pa.ipc.open_file(str(folder.knowledge.local_path / "crops.arrow")).read_all()
    manifest = read_manifest(folder.knowledge, "knowledge")
    assert crops.num_rows == manifest.counts["n_recordings"] < manifest.counts["n_crops"]


@pytest.fixture(scope="module")
def without_search(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    study = {**TINY, "search": {**TINY["search"], "n_trials": 0}}
    return run(study, tmp_path_factory.mktemp("none") / "study")


def test_a_study_without_trials_has_its_stages_and_an_empty_ledger(
    without_search: StudyFolder,
) -> None:
    config, study = open_study(without_search)
    assert study.trials() == ()
    assert study.n_trials == config.search.n_trials == 0
    assert [condition.name for condition in study.conditions] == ["I", "V2"]
    study.close()
    for stage in (without_search.shards, without_search.teacher, without_search.knowledge):
        assert read_manifest(stage).fingerprint


def test_status_of_a_study_without_trials_is_shown(without_search: StudyFolder) -> None:
    root = str(without_search.root.local_path)
    answer = CliRunner().invoke(app, ["status", root, "--json"])
    assert answer.exit_code == 0, answer.output
    state = json.loads(answer.stdout)
    assert (state["n_trials"], state["n_finished"]) == (0, 0)
    assert CliRunner().invoke(app, ["status", root]).exit_code == 0


def test_searching_for_nothing_is_done_and_not_a_failure(tmp_path: Path) -> None:
    import yaml

    study = {**TINY, "search": {**TINY["search"], "n_trials": 0}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(study))
    words = ["search", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "study")]
    answer = CliRunner().invoke(app, [*words, "--in-process", "--quiet"])
    assert answer.exit_code == 0, answer.output
