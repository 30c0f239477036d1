"""The same search scored after every epoch, and only where somebody decides: the same study."""

from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.delivery.facts.study_summary import validated_epochs
from mvkt_ray.records import EpochMetrics, TrialState
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.rerun_trial import rerun_trial
from mvkt_ray.search.study import Study
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.training.teacher import KIND
from tests.planned_search import plan_and_run

DECISIONS = {2, 4, 5}
CONFIG: dict[str, Any] = {
    "name": "sparse",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 80, "seed": 3},
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
    },
    "view": {"crop_s": 2.5, "grid_s": 2.5, "stride_s": 2.5},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 2, "batch_size": 16},
    "student": {"epochs": 5},
    # Else each study measures it, and two that are compared could come to different ones.
    "resources": {"precision": "float32"},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 16,
        "n_negatives": 8,
        "learning_rate": {"low": 1.0e-4, "high": 0.1, "log": True},
        "kd_weight": {"low": 0.1, "high": 10.0, "log": True},
    },
    "search": {
        "leads": ["I", "V2"],
        "n_trials": 9,
        "n_startup_trials": 3,
        "baselines": ["student_alone"],
        "pruner": {"kind": "successive_halving", "min_epochs": 2, "reduction_factor": 2},
    },
}


class Progress:
    """A listener that remembers what it saw of the teacher, and how far trials were."""

    def __init__(self) -> None:
        self.teacher: list[EpochMetrics] = []
        self.seen: set[tuple[int, int]] = set()
        self._study: Study | None = None

    def stage_started(self, stage: str, what: str) -> None: ...

    def stage_progress(self, done: int, total: int) -> None: ...

    def stage_finished(self, stage: str, what: str, reused: bool) -> None: ...

    def stage_epoch(self, metrics: EpochMetrics) -> None:
        self.teacher.append(metrics)

    def study_opened(self, study: Study) -> None:
        self._study = study

    def study_changed(self) -> None:
        assert self._study is not None
        self.seen |= {(record.number, record.last_epoch) for record in self._study.trials()}


class Ran:
    """A study that was run to its end, read back."""

    def __init__(self, root: Path, validate: str) -> None:
        config = study_from_mapping(
            {**CONFIG, "student": {**CONFIG["student"], "validate": validate}}, "sparse"
        )
        self.folder, self.progress = StudyFolder(Location.parse(root)), Progress()
        plan_and_run(config, self.folder, InProcess(), self.progress).close()
        _, study = open_study(self.folder)
        study.close()
        self.records = study.trials()

    def table(self) -> list[tuple[Any, ...]]:
        """All but times, and the values between decisions."""
        return [
            (
                *(record.trial, record.drawn, record.state, record.macro_auroc, record.last_epoch),
                *(record.pruned_at, record.decided_epoch, record.pruner_memory),
                record.result.per_class_auroc if record.result else None,
                at_decisions(record),
            )
            for record in self.records
        ]


def at_decisions(record: TrialRecord) -> dict[int, float]:
    return {epoch: value for epoch, value in record.values.items() if epoch in DECISIONS}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    folder = tmp_path_factory.mktemp("ran")
    return {name: Ran(folder / name, name) for name in ("decisions", "every_epoch")}


def test_trials_decisions_and_scores_are_the_same(ran: dict[str, Ran]) -> None:
    some, every = ran["decisions"], ran["every_epoch"]
    assert some.table() == every.table()
    states = {record.state for record in some.records}
    assert states == {TrialState.COMPLETE, TrialState.PRUNED}
    for record, full in zip(some.records, every.records, strict=True):
        assert record.values == at_decisions(full)
        assert sorted(full.values) == list(range(1, full.last_epoch + 1))
    assert validated_epochs(some.records) == tuple(sorted(DECISIONS))
    assert validated_epochs(every.records) is None


def test_how_far_a_trial_is_was_seen_at_every_epoch(ran: dict[str, Ran]) -> None:
    assert ran["decisions"].progress.seen == ran["every_epoch"].progress.seen
    assert {epoch for number, epoch in ran["decisions"].progress.seen if number == 0} == set(
        range(6)
    )


def test_the_teacher_is_the_same_and_is_scored_after_its_last_epoch(ran: dict[str, Ran]) -> None:
    some, every = (read_manifest(ran[name].folder.teacher, KIND) for name in ran)
    assert some.files == every.files
    for key in ("macro_auroc", "per_class_auroc"):
        assert some.details[key] == every.details[key]
    scores = [metrics.macro_auroc for metrics in ran["decisions"].progress.teacher]
    assert scores == [None, some.details["macro_auroc"]]
    assert [epoch["macro_auroc"] for epoch in some.details["epochs"]] == scores


def test_a_pruned_trial_is_run_again_to_the_same_end(ran: dict[str, Ran], tmp_path: Path) -> None:
    some = ran["decisions"]
    pruned = next(record for record in some.records if record.state is TrialState.PRUNED)
    again, recorded = rerun_trial(some.folder, pruned.number, Location.parse(tmp_path))
    assert again.state is TrialState.PRUNED
    assert (again.epochs, again.macro_auroc) == (recorded.epochs, recorded.macro_auroc)
