"""Which training is exported: what was asked for, or the answer of the study, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest

from mvkt_ray.delivery.exporting.exported_student import (
    ExportedStudent,
    ExportRequest,
    choose_student,
)
from mvkt_ray.delivery.facts.material import ReportMaterial, gather_material
from mvkt_ray.errors import ArtifactError, ConfigError
from mvkt_ray.search.ledger.study_folder import StudyFolder

RANKED = ("V5", "II", "I", "V2")


@pytest.fixture
def finals(
    final_study: StudyFolder, copy_of: Callable[[StudyFolder], StudyFolder]
) -> ReportMaterial:
    return gather_material(copy_of(final_study))


@pytest.fixture
def searched(
    searched_study: StudyFolder, copy_of: Callable[[StudyFolder], StudyFolder]
) -> ReportMaterial:
    return gather_material(copy_of(searched_study))


def choose(material: ReportMaterial, **request: Any) -> ExportedStudent:
    return choose_student(material, ExportRequest(**request), RANKED)


def test_by_default_it_is_the_first_seed_of_the_answer_of_the_best_lead(
    finals: ReportMaterial,
) -> None:
    student = choose(finals)
    assert student.condition.name == "V5"
    assert (student.contender, student.trial.repetition) == ("chosen", 0)
    assert student.examined
    assert student.finals == 1
    assert student.weights()["number"].item() == student.trial.number
    assert student.recipe == f"recipe {student.trial.number}"


def test_lead_contender_and_seed_are_those_that_were_asked_for(finals: ReportMaterial) -> None:
    student = choose(finals, lead="ii", contender="student_alone", repetition=1)
    assert student.condition.name == "II"
    assert (student.contender, student.trial.repetition) == ("student_alone", 1)
    assert student.trial.hyperparameters["kd_weight"] == 0


@pytest.mark.parametrize(
    ("request_", "parts"),
    [
        ({"lead": "V9"}, ("--lead 'V9'", "V5")),
        ({"contender": "chossen"}, ("--contender 'chossen'", "did you mean 'chosen'")),
        ({"repetition": 9}, ("--seed 9", "0, 1")),
        ({"from_search": True, "repetition": 0}, ("--seed 0", "--from-search")),
        ({"from_search": True, "contender": "final"}, ("--contender 'final'", "chosen")),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    finals: ReportMaterial, request_: dict[str, object], parts: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as error:
        choose(finals, **request_)
    for part in parts:
        assert part in str(error.value)


def test_before_finals_a_trial_of_the_search_must_be_asked_for(searched: ReportMaterial) -> None:
    with pytest.raises(ConfigError, match=r"mvkt finalize.*--from-search"):
        choose(searched)
    student = choose(searched, from_search=True, lead="V5")
    assert not student.examined
    best = next(each.best for each in searched.ranks if each.condition.name == "V5")
    assert best is not None
    assert student.trial.number == best.number


def test_weights_that_are_gone_are_named(finals: ReportMaterial) -> None:
    student = choose(finals)
    student.files.student.delete()
    with pytest.raises(ArtifactError, match=r"student\.safetensors is not there"):
        choose(finals)
