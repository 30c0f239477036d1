"""How a search went: what mattered in it, and which leads were raced out."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, SearchConfig
from mvkt_ray.delivery.facts.study_summary import describe_race, describe_study, stopped_at
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing import racing
from mvkt_ray.search.choosing.racing import Look, Stop
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.trial_record import TrialRecord

if TYPE_CHECKING:
    from mvkt_ray.delivery.facts.material import ReportMaterial

CONFIG = StudyConfig(
    name="made-up",
    space={
        "learning_rate": ParameterConfig(low=0.001, high=0.1, log=True),
        "dropout": ParameterConfig(low=0.0, high=0.5),
    },
    search=SearchConfig(leads=("I", "II"), n_trials=24),
)


def record_of(number: int) -> TrialRecord:
    """The learning rate matters, the dropout does not, and lead II is far better than I."""
    learning_rate = 0.001 * 100 ** ((number * 7 % 24) / 24)
    drawn = {"learning_rate": learning_rate, "dropout": (number * 5 % 24) / 48}
    lead = ("I", "II")[number % 2]
    value = 0.7 + 0.2 * (number % 2) - 0.02 * abs(math.log10(learning_rate / 0.01))
    trial = Trial(
        number=number,
        condition=Condition(leads=(lead,)),
        arm=Arm.SEARCH,
        hyperparameters=drawn,
    )
    result = TrialResult(number=number, state=TrialState.COMPLETE, macro_auroc=value)
    return TrialRecord(trial=trial, drawn=drawn, state=TrialState.COMPLETE, result=result)


def material_of(n_trials: int, config: StudyConfig = CONFIG, **more: Any) -> "ReportMaterial":
    records = tuple(record_of(number) for number in range(n_trials))
    parts: dict[str, Any] = {
        "records": records,
        "searched": records,
        "config": config,
        "space": SearchSpace.from_config(config, ("I", "II")),
        "looks": (),
    }
    return SimpleNamespace(**parts | more)  # type: ignore[return-value]


def test_importance_is_found_within_leads_and_between_them() -> None:
    summary = describe_study(material_of(24))
    assert summary.importance is not None
    assert summary.lead_importance is not None
    assert sum(summary.importance.values()) == pytest.approx(1, abs=1e-5)
    assert summary.importance["learning_rate"] > 0.8
    assert summary.lead_importance > 0.95
    assert summary == describe_study(material_of(24))


def test_few_trials_say_nothing_of_importance() -> None:
    summary = describe_study(material_of(9))
    assert summary.importance is summary.lead_importance is None
    assert summary.importance_basis.startswith("9 complete trials of the search are too few")


def test_a_search_is_finished_when_all_its_trials_have_ended() -> None:
    assert describe_study(material_of(24)).state == "finished"
    assert describe_study(material_of(23)).state == "running"


def test_the_race_says_which_lead_stopped_when_and_at_which_error_rate() -> None:
    stop = Stop(
        condition="I",
        trial=4,
        macro_auroc=0.7,
        difference=0.2,
        validation_se=0.01,
        standard_error=0.02,
        p=0.0001,
    )
    look = Look(
        number=1,
        n_compared=4,
        at_trial=12,
        leader="II",
        leader_trial=5,
        leader_macro_auroc=0.9,
        level=0.025,
        n_rivals=1,
        running=("II",),
        stopped=(stop,),
    )
    raced = replace(CONFIG, search=replace(CONFIG.search, conditions="race"))
    material = material_of(24, raced, looks=(look,))
    race = describe_race(material)
    assert race is not None
    assert race.stopped == ("I",)
    assert race.error_rate == 0.05
    assert race.looks[0].stopped[0].p == 0.0001
    assert stopped_at(material) == {"I": 12}


@pytest.mark.parametrize(
    ("first", "shown"), [(3, "first 3, 6, 12, ..."), (5, "first 5, 10, 20, ...")]
)
def test_the_sentence_on_races_has_the_looks_that_races_take(
    monkeypatch: pytest.MonkeyPatch, first: int, shown: str
) -> None:
    monkeypatch.setattr(racing, "FIRST_LOOK", first)
    race = describe_race(
        material_of(24, replace(CONFIG, search=replace(CONFIG.search, conditions="race")))
    )
    assert race is not None
    assert shown in race.basis
    assert [racing.trials_at_look(number) for number in (1, 2, 3)] == [first, 2 * first, 4 * first]


def test_where_leads_are_dealt_trials_evenly_there_is_no_race() -> None:
    assert describe_race(material_of(24)) is None
