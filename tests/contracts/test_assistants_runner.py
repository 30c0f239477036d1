"""What every runner must do with assistants: the same study gives the same ones."""

from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.records import EpochMetrics
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.runner import Runner
from mvkt_ray.search.study import Study
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from tests.planned_search import plan_and_run

TINY: dict[str, Any] = {
    "name": "assisted",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 60, "duration_s": 3},
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
    },
    "view": {"crop_s": 1.0, "grid_s": 2.0, "stride_s": 2.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 32, "assistant": True},
    "student": {"epochs": 1},
    "resources": {
        "precision": "float32",
        "teacher": {"cpus_per_worker": 1},
        "max_concurrent_trials": 1,
    },
    "space": {"student": "sepconv1d_tiny", "batch_size": 32, "n_negatives": 8},
    "search": {"leads": ["II", "V5"], "n_trials": 2, "baselines": [], "pruner": {"kind": "none"}},
}


class Steps:
    """A listener that remembers how far the stages said that they were."""

    def __init__(self) -> None:
        self.progress: dict[str, list[tuple[int, int]]] = {}
        self._stage = ""

    def stage_started(self, stage: str, what: str) -> None:
        self._stage = stage

    def stage_progress(self, done: int, total: int) -> None:
        self.progress.setdefault(self._stage, []).append((done, total))

    def stage_finished(self, stage: str, what: str, reused: bool) -> None: ...
    def stage_epoch(self, metrics: EpochMetrics) -> None: ...
    def study_opened(self, study: Study) -> None: ...
    def study_changed(self) -> None: ...


def made(runner: Runner, root: Path) -> list[Any]:
    """Run a study; return its assistants, and what its students came to with them."""
    folder, steps = StudyFolder(Location.parse(root)), Steps()
    study = plan_and_run(study_from_mapping(TINY, "tiny"), folder, runner, steps)
    scores = [record.macro_auroc for record in study.trials()]
    study.close()
    assert steps.progress["assistants"][-1] == (2, 2)
    at = folder.assistants
    assert all(usage.worker_s > 0 for usage in at.read_usage().values())
    parts = [part for lead in ("II", "V5") for part in (at.teacher(lead), at.knowledge(lead))]
    return [*(read_manifest(part).fingerprint for part in parts), *scores]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    found = made(InProcess(), tmp_path_factory.mktemp("expected") / "study")
    assert len(set(found)) == len(found)
    return found


def test_assistants_and_their_students_are_the_same_wherever_they_are_trained(
    runner: Runner, tmp_path: Path, expected: list[Any]
) -> None:
    assert made(runner, tmp_path / "study") == expected
