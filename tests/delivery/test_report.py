"""The report over a study whose trials are made up, so that every number in it can be told."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config import (
    ParameterConfig,
    PrunerConfig,
    SearchConfig,
    StudentConfig,
    StudyConfig,
)
from mvkt_ray.config_file import write_study
from mvkt_ray.delivery.report import build_report, write_report
from mvkt_ray.errors import ArtifactError
from mvkt_ray.location import Location
from mvkt_ray.records import Arm, Trial, TrialResult, TrialState
from mvkt_ray.search.space import SearchSpace
from mvkt_ray.search.study import Study
from mvkt_ray.search.study_folder import StudyFolder

CONFIG = StudyConfig(
    name="made-up",
    seed=7,
    student=StudentConfig(epochs=10),
    space={"learning_rate": ParameterConfig(low=0.001, high=0.1, log=True)},
    search=SearchConfig(
        leads=("I", "II"), n_trials=9, sampler="random", pruner=PrunerConfig(kind="none")
    ),
)

SEARCHED = [
    ("I", TrialState.COMPLETE, 0.80),
    ("II", TrialState.COMPLETE, 0.85),
    ("I", TrialState.PRUNED, 0.95),
    ("II", TrialState.COMPLETE, 0.82),
    ("I", TrialState.FAILED, None),
]
"""In the order in which they are dealt; a pruned trial is no candidate, however good it was."""

BASELINES = {
    (Arm.STUDENT_ALONE, "I"): 0.70,
    (Arm.STUDENT_ALONE, "II"): 0.84,
    (Arm.PLAIN_KD, "I"): 0.75,
    (Arm.PLAIN_KD, "II"): 0.90,
}


def result_of(trial: Trial, searched: list[tuple[str, TrialState, float | None]]) -> TrialResult:
    if trial.arm.is_baseline:
        state, macro_auroc = TrialState.COMPLETE, BASELINES[trial.arm, trial.condition.name]
    else:
        lead, state, macro_auroc = searched.pop(0)
        assert lead == trial.condition.name
    per_class = {} if macro_auroc is None else {"MI": macro_auroc, "AF": math.nan}
    return TrialResult(
        number=trial.number,
        state=state,
        macro_auroc=macro_auroc,
        per_class_auroc=per_class,
        epochs=4 if state is TrialState.PRUNED else 10,
        wall_s=2.0,
        cpu_s=1.5,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    folder = StudyFolder(Location.parse(tmp_path_factory.mktemp("delivery") / "study"))
    folder.root.make_directory()
    folder.study_file.write_bytes(write_study(CONFIG).encode())
    folder.write_inputs({"shards": None, "teacher": None, "knowledge": None})
    folder.add_stage_time("trials", 12.0)
    space = SearchSpace.from_config(CONFIG, ("I", "II"))
    study = Study.create_or_open(CONFIG, space, folder.ledger_url, resume=False, inputs={})
    searched = list(SEARCHED)
    while (trial := study.next_trial()) is not None:
        study.finish(result_of(trial, searched))
    study.close()
    return folder


@pytest.fixture(scope="module")
def report(folder: StudyFolder) -> dict[str, Any]:
    return build_report(folder)


def test_leads_are_ranked_by_their_best_trial_of_the_search(report: dict[str, Any]) -> None:
    assert [row["lead"] for row in report["leads"]] == ["II", "I"]
    assert [row["validation"]["macro_auroc"] for row in report["leads"]] == [0.85, 0.80]


def test_each_lead_stands_beside_its_baselines(report: dict[str, Any]) -> None:
    for row in report["leads"]:
        assert row["student_alone"]["macro_auroc"] == BASELINES[Arm.STUDENT_ALONE, row["lead"]]
        assert row["plain_kd"]["macro_auroc"] == BASELINES[Arm.PLAIN_KD, row["lead"]]


def test_the_trial_of_a_lead_is_the_one_with_its_number(report: dict[str, Any]) -> None:
    best = report["leads"][0]
    # Four baselines come first; of the searched ones, II's best is the second.
    assert best["trial"] == best["validation"]["trial"] == 5
    assert 0.001 <= best["hyperparameters"]["learning_rate"] <= 0.1
    assert best["seeds"] == [7]


def test_a_class_without_an_auroc_is_null(report: dict[str, Any]) -> None:
    assert report["leads"][0]["validation"]["per_class"] == {"MI": 0.85, "AF": None}


def test_the_cost_counts_every_trial(report: dict[str, Any]) -> None:
    cost = report["cost"]
    ended = {state: n for state, n in cost["trials"].items() if n}
    assert ended == {"complete": 7, "pruned": 1, "failed": 1}
    assert cost["trial_wall_s"] == 9 * 2.0
    assert cost["trial_cpu_s"] == 9 * 1.5
    assert cost["wall_s_of_failed_trials"] == 2.0
    assert cost["epochs_trained"] == 8 * 10 + 4
    assert cost["epochs_saved_by_pruning"] == 6
    assert cost["stage_s"] == {"trials": 12.0}


def test_it_says_which_split_it_is_from(report: dict[str, Any]) -> None:
    assert report["ranked_on"] == "validation"
    assert report["test_split_opened"] is False
    assert "test" not in report["teacher"]


def test_what_is_written_is_what_is_returned_and_strict_json(folder: StudyFolder) -> None:
    report = write_report(folder)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = folder.report.read_bytes().decode()
    assert json.loads(text, parse_constant=refuse) == report
    assert {"schema_version", "study", "task", "metric", "teacher", "leads", "cost"} <= set(report)


def test_a_folder_without_a_study_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no study"):
        build_report(StudyFolder(Location.parse(tmp_path)))
