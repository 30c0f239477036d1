"""Widths and depths: only students that have them are given them, and what they come to."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ContenderConfig, FinalsConfig, ParameterConfig
from mvkt_ray.errors import ConfigError
from mvkt_ray.models.network_table import NETWORKS
from mvkt_ray.models.networks import build_network
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.student_sizes import (
    SIZE_PARAMETERS,
    student_facts,
    without_unused_sizes,
)
from mvkt_ray.search.finals.finals_plan import plan_finals
from mvkt_ray.search.ledger.trial_record import TrialRecord

MakeConfig = Callable[..., StudyConfig]
WIDTHS = ParameterConfig(low=8, high=64, step=8, when={"student": ("sepconv1d",)})
TWO_FAMILIES = {
    "student": ParameterConfig(choices=("sepconv1d", "xresnet1d18")),
    "student_width": WIDTHS,
    "student_depth": 1,
}


def space_of(config: StudyConfig) -> SearchSpace:
    return SearchSpace.from_config(config, ("I", "II"))


@given(st.sampled_from(sorted(NETWORKS)), st.integers(1, 64), st.integers(0, 4))
@settings(max_examples=40)
def test_a_student_keeps_the_sizes_it_has_and_no_others(student: str, width: int, depth: int):
    own = {"student": student, "student_width": width, "student_depth": depth}
    values = without_unused_sizes({"dropout": 0.1, **own})
    assert values["dropout"] == 0.1
    has_size = student == "sepconv1d"
    assert values.get("student_width") == (width if has_size else None)
    assert values.get("student_depth") == (depth if has_size else None)
    assert without_unused_sizes(values) == values


@given(st.sampled_from(["sepconv1d", "sepconv1d_tiny"]), st.integers(1, 40), st.integers(0, 2))
@settings(max_examples=20)
def test_a_students_facts_are_those_of_the_network_that_it_is_trained_as(
    student: str, width: int, depth: int
):
    values: dict[str, Any] = {
        "student": student, "student_width": width, "student_depth": depth, "dropout": 0.2
    }  # fmt: skip
    hyperparameters = Hyperparameters(**values)
    network = build_network(
        hyperparameters.student,
        2,
        3,
        width=hyperparameters.student_width,
        depth=hyperparameters.student_depth,
    )
    facts = student_facts(values, n_leads=2, n_classes=3, n_samples=250)
    assert facts.n_parameters == sum(weight.numel() for weight in network.parameters())
    plain = without_unused_sizes(values)
    assert facts == student_facts(plain, n_leads=2, n_classes=3, n_samples=250)


def test_sizes_that_are_left_out_are_the_defaults():
    everything = {"student": "sepconv1d", "student_width": 32, "student_depth": 2}
    shape = {"n_leads": 1, "n_classes": 5, "n_samples": 250}
    assert student_facts({"student": "sepconv1d"}, **shape) == student_facts(everything, **shape)
    assert student_facts({}, **shape).n_parameters == 346_149  # xresnet1d18


def test_a_search_draws_a_size_only_for_students_that_have_one(make_config: MakeConfig):
    space = space_of(make_config(TWO_FAMILIES))
    widths = set[object]()
    for seed in range(20):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        drawn = space.draw(study.ask())
        values = space.complete(drawn)
        is_sized = values["student"] == "sepconv1d"
        assert ("student_width" in drawn) == ("student_width" in values) == is_sized
        assert values.get("student_depth") == (1 if is_sized else None)
        widths.add(values.get("student_width"))
    assert None in widths
    assert len(widths) > 2


def test_a_baseline_has_the_sizes_of_its_own_student(make_config: MakeConfig):
    # The default student, which the space holds, has one size.
    space = space_of(make_config(TWO_FAMILIES))
    alone = space.baseline(Arm.STUDENT_ALONE)
    assert alone["student"] == "xresnet1d18"
    assert not set(SIZE_PARAMETERS) & set(alone)
    assert not set(SIZE_PARAMETERS) & set(space.part_in_space(alone))

    plain_kd = {"student": "sepconv1d", "student_width": 16, "clt_weight": 0.0}
    space = space_of(replace(make_config(TWO_FAMILIES), plain_kd=plain_kd))
    plain = space.baseline(Arm.PLAIN_KD)
    assert (plain["student_width"], plain["student_depth"]) == (16, 1)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (
            {"student": "xresnet1d18", "student_width": 16},
            ["space.student_width is set", "xresnet1d18", "student: sepconv1d"],
        ),
        (
            {
                "student": ParameterConfig(choices=("sepconv1d", "xresnet1d18")),
                "student_depth": ParameterConfig(low=0, high=3),
            },
            ["space.student_depth is drawn for xresnet1d18", "`when: {student: [sepconv1d]}`"],
        ),
        (
            {
                "student": ParameterConfig(choices=("sepconv1d", "sepconv1d_tiny")),
                "student_width": ParameterConfig(
                    low=8, high=16, when={"student": ("sepconv1d", "sepconv1d_tiny")}
                ),
            },
            ["space.student_width is drawn for sepconv1d_tiny"],
        ),
        ({"student": "sepconv1d", "student_width": 0}, ["student_width", "> 0", "0"]),
        ({"student": "sepconv1d", "student_depth": -1}, ["student_depth", "-1"]),
        ({"student": "sepconv1d", "student_width": 12.5}, ["whole number", "12.5"]),
    ],
)
def test_a_size_that_would_do_nothing_is_refused(
    make_config: MakeConfig, space: dict[str, Any], words: list[str]
):
    with pytest.raises(ConfigError) as caught:
        space_of(make_config(space))
    for word in words:
        assert word in str(caught.value)


def test_plain_distillation_of_another_student_cannot_set_a_width(make_config: MakeConfig):
    config = make_config({"student": "xresnet1d18"})
    config = replace(config, plain_kd={"student_width": 16, "clt_weight": 0.0})
    with pytest.raises(ConfigError, match=r"plain_kd: student_width is 16.*xresnet1d18"):
        space_of(config)


def finals_of(own: dict[str, Any], student: str, make_config: MakeConfig) -> list[dict[str, Any]]:
    """Plan the finals of one lead whose best trial has a student; return the contender's."""
    space = space_of(make_config(TWO_FAMILIES))
    condition = Condition(leads=("I",))
    hyperparameters = space.complete({"student": student, "student_width": 24})
    trial = Trial(number=0, condition=condition, arm=Arm.SEARCH, hyperparameters=hyperparameters)
    result = TrialResult(number=0, state=TrialState.COMPLETE, macro_auroc=0.8)
    record = TrialRecord(trial=trial, drawn={}, state=TrialState.COMPLETE, result=result)
    config = FinalsConfig(baselines=(), contenders={"other": ContenderConfig(set=own)})
    space = replace(space, conditions=(condition,))
    return [dict(contender.hyperparameters) for contender in plan_finals(config, space, [record])]


def test_a_contender_with_another_student_has_the_sizes_of_that_one(make_config: MakeConfig):
    chosen, other = finals_of({"student": "xresnet1d18"}, "sepconv1d", make_config)
    assert chosen["student_width"] == 24
    assert not set(SIZE_PARAMETERS) & set(other)
    chosen, other = finals_of({"student": "sepconv1d"}, "xresnet1d18", make_config)
    assert not set(SIZE_PARAMETERS) & set(chosen)
    assert (other["student_width"], other["student_depth"]) == (32, 1)
    _, other = finals_of({"student_width": 8}, "sepconv1d", make_config)
    assert other["student_width"] == 8


def test_a_contender_that_sets_a_width_which_its_student_lacks_is_refused(make_config: MakeConfig):
    with pytest.raises(ConfigError, match="finals: other of I: student_width is 8"):
        finals_of({"student_width": 8}, "xresnet1d18", make_config)
