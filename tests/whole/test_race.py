"""A raced study for real: its look is taken from the predictions that its trials wrote."""

from pathlib import Path

from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.records import Arm, EpochMetrics
from mvkt_ray.search.choosing.validation_noise import ValidationNoise
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study import Study
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location
from tests.planned_search import plan_and_run

LEADS = ("I", "V2")
CONFIG = {
    "name": "raced",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 120, "seed": 3},
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
    },
    "view": {"crop_s": 2.5, "grid_s": 2.5, "stride_s": 2.5},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 16},
    "student": {"epochs": 1},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 16,
        "n_negatives": 8,
        "kd_weight": {"low": 0.1, "high": 10.0, "log": True},
    },
    "search": {
        "leads": list(LEADS),
        "n_trials": 9,
        "baselines": ["student_alone"],
        "sampler": "random",
        "pruner": {"kind": "none"},
        "conditions": "race",
    },
}


class Silent:
    """A listener that wants to know nothing."""

    def stage_started(self, stage: str, what: str) -> None:
        """Nothing to do."""

    def stage_progress(self, done: int, total: int) -> None:
        """Nothing to do."""

    def stage_epoch(self, metrics: EpochMetrics) -> None:
        """Nothing to do."""

    def stage_finished(self, stage: str, what: str, reused: bool) -> None:
        """Nothing to do."""

    def study_opened(self, study: Study) -> None:
        """Nothing to do."""

    def study_changed(self) -> None:
        """Nothing to do."""


def test_a_raced_study_compares_its_leads_by_the_predictions_of_their_best_trials(
    tmp_path: Path,
) -> None:
    folder = StudyFolder(Location.parse(tmp_path / "study"))
    config = study_from_mapping(CONFIG, "raced")
    plan_and_run(config, folder, InProcess(), Silent()).close()

    _, study = open_study(folder)
    (look,) = study.looks
    records = [record for record in study.trials() if record.trial.arm is Arm.SEARCH]
    study.close()
    best = {
        lead: max(
            [record for record in records if record.condition == lead][:3],
            key=lambda record: (record.macro_auroc or 0.0, -record.number),
        )
        for lead in LEADS
    }
    leader = max(LEADS, key=lambda lead: (best[lead].macro_auroc or 0.0, -best[lead].number))
    assert (look.leader, look.leader_trial) == (leader, best[leader].number)
    covariance = ValidationNoise(folder.trials)([best[lead].number for lead in LEADS])
    # Some tens of recordings: chance alone moves a score by hundredths.
    assert covariance[0, 0] ** 0.5 > 0.01
    assert set(look.running) | {stop.condition for stop in look.stopped} == set(LEADS)
