"""Weights of classes follow from the condition's own student alone, once it is complete."""

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.config.search_config import ContenderConfig, FinalsConfig, ParameterConfig
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Arm, TrialResult, TrialState
from mvkt_ray.search.choosing.class_weights import class_weights
from mvkt_ray.search.finals.finals_plan import final_trials, plan_finals
from mvkt_ray.search.study import Study

if TYPE_CHECKING:
    from conftest import Lab

AUTO = {"kd_class_weights": ParameterConfig(choices=("even", "auto"))}


@given(st.lists(st.one_of(st.just(math.nan), st.floats(0, 1)), min_size=1, max_size=6))
def test_weights_are_one_on_average_and_higher_for_what_is_seen_better(areas: list[float]) -> None:
    weights = class_weights({f"C{c}": area for c, area in enumerate(areas)})
    assert list(weights) == [f"C{c}" for c in range(len(areas))]
    assert sum(weights.values()) == pytest.approx(len(areas))
    known = [(area, weights[f"C{c}"]) for c, area in enumerate(areas) if not math.isnan(area)]
    for area, weight in known:
        assert weight >= 0
        assert all(other >= weight for better, other in known if better >= area)


def test_weights_by_hand() -> None:
    # 2 AUROC - 1 is 0.8, 0.4 and 0, on average 0.4; what was not measured counts as the average.
    weights = class_weights({"NORM": 0.9, "MI": 0.7, "CD": 0.45, "HYP": math.nan})
    assert weights == pytest.approx({"NORM": 2.0, "MI": 1.0, "CD": 0.0, "HYP": 1.0})
    assert class_weights({"NORM": 0.5, "MI": 0.2}) == {"NORM": 1.0, "MI": 1.0}


def test_a_loss_over_all_classes_together_is_not_weighed(lab: "Lab") -> None:
    both = {"kd_loss": ParameterConfig(value="softmax_kd")} | AUTO
    with pytest.raises(ConfigError, match="kd_class_weights is auto and kd_loss softmax_kd"):
        lab.open(lab.with_space(lab.config(), both))


def complete(study: Study, number: int, **areas: float) -> None:
    study.tell(
        TrialResult(
            number=number,
            state=TrialState.COMPLETE,
            macro_auroc=sum(areas.values()) / len(areas),
            per_class_auroc=areas,
            epochs=6,
        )
    )


def test_a_trial_that_draws_auto_has_the_weights_of_its_lead_and_keeps_them(lab: "Lab") -> None:
    config = lab.config(sampler="random", n_trials=20, baselines=("student_alone",))
    config = lab.with_space(config, AUTO)
    study = lab.open(config)
    seen = {"II": {"NORM": 0.9, "MI": 0.7}, "V1": {"NORM": 0.6, "MI": 0.6}}
    while (trial := study.ask()) is not None:
        complete(study, trial.number, **seen[trial.condition.name])
    expected = {"II": {"NORM": 4 / 3, "MI": 2 / 3}, "V1": {"NORM": 1.0, "MI": 1.0}}
    drawn = set[str]()
    for record in lab.open(config, resume=True).trials():
        trial = record.trial
        drawn.add(str(trial.hyperparameters["kd_class_weights"]))
        if trial.hyperparameters["kd_class_weights"] == "auto":
            assert trial.arm is Arm.SEARCH
            assert record.drawn["kd_class_weights"] == "auto"
            assert dict(trial.kd_class_weights) == pytest.approx(expected[trial.condition.name])
        else:
            assert not trial.kd_class_weights
    assert drawn == {"even", "auto"}


def test_before_the_student_alone_is_complete_a_trial_is_even_and_says_so(lab: "Lab") -> None:
    config = lab.config(sampler="random", n_trials=12, baselines=("student_alone",))
    config = lab.with_space(config, {"kd_class_weights": ParameterConfig(value="auto")})
    study = lab.open(config)
    asked = [study.ask() for _ in range(6)]
    assert all(trial is not None for trial in asked)
    complete(study, 0, NORM=0.9, MI=0.6)
    later = [trial for _ in range(4) if (trial := study.ask()) is not None]
    said = [record.trial.hyperparameters["kd_class_weights"] for record in study.trials()]
    assert said[:6] == ["even"] * 6
    for trial in later:
        auto = trial.condition == study.trials()[0].trial.condition
        assert trial.hyperparameters["kd_class_weights"] == ("auto" if auto else "even")
        assert bool(trial.kd_class_weights) == auto


def test_finals_have_the_weights_of_the_search_or_say_what_is_missing(lab: "Lab") -> None:
    config = lab.config(sampler="random", n_trials=6, baselines=("student_alone",))
    weighed = ContenderConfig(base="defaults", set={"kd_class_weights": "auto"})
    finals = FinalsConfig(
        n_configurations=0, baselines=(), answer="weighed", contenders={"weighed": weighed}
    )
    study = lab.open(config)
    with pytest.raises(
        ConfigError, match=r"weighed of II: .*student_alone.*no such trial is complete"
    ):
        plan_finals(finals, study.space, study.trials())
    while (trial := study.ask()) is not None:
        complete(study, trial.number, NORM=0.9, MI=0.7)
    for trial in final_trials(plan_finals(finals, study.space, study.trials())):
        assert dict(trial.kd_class_weights) == pytest.approx({"NORM": 4 / 3, "MI": 2 / 3})
