"""From nothing to ranked leads in one process, on synthetic ECGs, with every stage for real."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.delivery.write_report import write_report
from mvkt_ray.errors import ArtifactError, ConfigError, StaleArtifactError
from mvkt_ray.records import EpochMetrics, TrialState
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.rerun_trial import rerun_trial
from mvkt_ray.search.study import Study
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location
from tests.planned_search import plan_and_run

TINY = {
    "name": "tiny",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 120, "seed": 3},
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
    },
    "view": {"crop_s": 2.5, "grid_s": 2.5, "stride_s": 2.5},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 16},
    "student": {"epochs": 2},
    # Else each study measures it, and two that are compared could come to different ones.
    "resources": {"precision": "float32"},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 16,
        "n_negatives": 8,
        "kd_weight": {"low": 0.1, "high": 10.0, "log": True},
        "clt_weight": {"low": 0.003, "high": 0.1, "log": True},
    },
    "search": {"leads": ["I", "V2"], "n_trials": 6, "pruner": {"kind": "none"}},
}


class Diary:
    """A listener that remembers which stages were made and which were found."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.reused: list[str] = []
        self.progress: list[tuple[int, int]] = []
        self.n_changes = 0

    def stage_started(self, stage: str, what: str) -> None:
        assert what

    def stage_progress(self, done: int, total: int) -> None:
        self.progress.append((done, total))

    def stage_epoch(self, metrics: EpochMetrics) -> None:
        assert metrics.epoch >= 1

    def stage_finished(self, stage: str, what: str, reused: bool) -> None:
        (self.reused if reused else self.made).append(stage)

    def study_opened(self, study: Study) -> None:
        assert study.conditions

    def study_changed(self) -> None:
        self.n_changes += 1


def tiny_study(**search: object) -> StudyConfig:
    return study_from_mapping({**TINY, "search": {**TINY["search"], **search}}, "tiny")


def run(config: StudyConfig, root: Path, **options: Any) -> tuple[StudyFolder, Diary]:
    folder, diary = StudyFolder(Location.parse(root)), Diary()
    study = plan_and_run(config, folder, InProcess(), diary, **options)
    study.close()
    return folder, diary


def numbers(folder: StudyFolder) -> list[tuple[Any, ...]]:
    _, study = open_study(folder)
    rows: list[tuple[Any, ...]] = [
        (r.number, r.condition, r.trial.arm, r.state, r.macro_auroc, dict(r.values), r.drawn)
        for r in study.trials()
    ]
    study.close()
    return rows


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, Diary]:
    return run(tiny_study(), tmp_path_factory.mktemp("finished") / "study")


def test_every_stage_is_made_once_and_every_trial_ends(
    finished: tuple[StudyFolder, Diary],
) -> None:
    folder, diary = finished
    assert diary.made == ["shards", "teacher", "knowledge", "trials"]
    assert diary.reused == []
    # Each of six trials begins, reports two epochs, and ends.
    assert diary.n_changes == 6 * 4
    rows = numbers(folder)
    assert [row[3] for row in rows] == [TrialState.COMPLETE] * 6
    assert [(row[1], str(row[2])) for row in rows] == [
        ("I", "student_alone"),
        ("V2", "student_alone"),
        ("I", "plain_kd"),
        ("V2", "plain_kd"),
        ("I", "search"),
        ("V2", "search"),
    ]
    assert set(folder.stage_times()) == {"shards", "teacher", "knowledge", "trials"}


def test_the_same_study_elsewhere_gives_the_same_trials_and_numbers(
    finished: tuple[StudyFolder, Diary], tmp_path: Path
) -> None:
    again, _ = run(tiny_study(), tmp_path / "study")
    assert numbers(again) == numbers(finished[0])


def test_the_report_names_every_lead_and_says_that_the_test_split_is_closed(
    finished: tuple[StudyFolder, Diary],
) -> None:
    folder, _ = finished
    write_report(folder)
    report = json.loads(folder.report.read_bytes())
    assert sorted(row["lead"] for row in report["leads"]) == ["I", "V2"]
    scores = [row["validation"]["macro_auroc"] for row in report["leads"]]
    assert scores == sorted(scores, reverse=True)
    assert report["answer"]["ranked_on"] == "validation"
    assert [row["test"] for row in report["leads"]] == [None, None]
    assert report["test_split"]["opened"] == 0


def test_a_trial_that_is_run_again_gives_its_numbers_again(
    finished: tuple[StudyFolder, Diary], tmp_path: Path
) -> None:
    for number in (0, 4):
        again, recorded = rerun_trial(finished[0], number, Location.parse(tmp_path / str(number)))
        assert again.macro_auroc == recorded.macro_auroc
        assert again.per_class_auroc == recorded.per_class_auroc


def test_a_trial_that_is_not_there_cannot_be_run_again(
    finished: tuple[StudyFolder, Diary], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="trial 99 is not a finished trial"):
        rerun_trial(finished[0], 99, Location.parse(tmp_path))


def test_a_finished_study_is_extended_and_its_stages_are_reused(tmp_path: Path) -> None:
    folder, _ = run(tiny_study(n_trials=6), tmp_path / "study")
    before = numbers(folder)
    _, diary = run(tiny_study(n_trials=8), tmp_path / "study", resume=True)
    assert diary.reused == ["shards", "teacher", "knowledge"]
    after = numbers(folder)
    assert after[:6] == before
    assert len(after) == 8


def test_a_study_in_the_way_is_not_touched_without_resume(
    finished: tuple[StudyFolder, Diary],
) -> None:
    folder, _ = finished
    before = numbers(folder)
    with pytest.raises(ArtifactError, match=r"in use.*--resume"):
        run(tiny_study(), folder.root.local_path)
    assert numbers(folder) == before


def test_a_study_is_not_resumed_with_another_space_or_teacher(
    finished: tuple[StudyFolder, Diary],
) -> None:
    folder, _ = finished
    config = tiny_study()
    other_teacher = dataclasses.replace(
        config, teacher=dataclasses.replace(config.teacher, epochs=9)
    )
    with pytest.raises(StaleArtifactError, match=r"teacher\.epochs \(was 1, is 9\)"):
        run(other_teacher, folder.root.local_path, resume=True)
    other_space = dataclasses.replace(
        config, space={**config.space, "batch_size": config.space["n_negatives"]}
    )
    with pytest.raises(StaleArtifactError, match="batch_size"):
        run(other_space, folder.root.local_path, resume=True)
    assert open_study(folder)[0] == config


def test_a_study_can_stop_after_its_time_and_go_on_later(tmp_path: Path) -> None:
    folder, _ = run(tiny_study(), tmp_path / "study", time_budget_s=0.0)
    assert numbers(folder) == []
    run(tiny_study(), tmp_path / "study", resume=True)
    assert len(numbers(folder)) == 6


def test_students_that_ask_the_teacher_in_the_loop_get_the_same_scores_within_rounding(
    finished: tuple[StudyFolder, Diary], tmp_path: Path
) -> None:
    config = tiny_study()
    online = dataclasses.replace(
        config, student=dataclasses.replace(config.student, knowledge="online")
    )
    folder, diary = run(online, tmp_path / "study")
    assert diary.made == ["shards", "teacher", "trials"]
    cached = {row[0]: row[4] for row in numbers(finished[0])}
    for number, _, _, _, macro_auroc, *_ in numbers(folder)[:4]:
        assert macro_auroc == pytest.approx(cached[number], abs=0.02)
