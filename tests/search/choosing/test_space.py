import math
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.config.recipes import (
    MORE_TEACHING_WEIGHTS,
    PLUGIN_WEIGHT,
    TEACHING_WEIGHTS,
    Hyperparameters,
)
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, SearchConfig
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Arm
from mvkt_ray.search.choosing.space import SearchSpace

MakeConfig = Callable[..., StudyConfig]
LEADS = ("I", "II")


def draw(space: SearchSpace, seed: int) -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return space.draw(study.ask())


def refusal(config: StudyConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        SearchSpace.from_config(config, LEADS)
    return str(caught.value)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30)
def test_every_draw_of_a_space_can_be_trained_with(seed: int) -> None:
    space = SearchSpace.from_config(
        StudyConfig(
            name="s",
            space={
                "learning_rate": ParameterConfig(low=1e-4, high=1e-1, log=True),
                "batch_size": ParameterConfig(low=16, high=128, step=16),
                "n_negatives": ParameterConfig(low=1, high=512, log=True),
                "dropout": ParameterConfig(low=0.0, high=0.5, step=0.1),
                "student": ParameterConfig(choices=("xresnet1d18", "sepconv1d_tiny")),
                "kd_loss": ParameterConfig(value="softmax_kd"),
            },
        ),
        LEADS,
    )
    values = space.complete(draw(space, seed))
    made = Hyperparameters(**values)  # pyright: ignore[reportArgumentType]
    # Neither of the two students has a width or a depth to choose.
    assert set(values) == set(Hyperparameters.names()) - {"student_width", "student_depth"}
    assert 1e-4 <= made.learning_rate <= 1e-1
    assert made.batch_size in range(16, 129, 16)
    assert isinstance(made.n_negatives, int)
    assert math.isclose(made.dropout * 10, round(made.dropout * 10))
    assert made.kd_loss == "softmax_kd"
    assert made.weight_decay == Hyperparameters().weight_decay


def test_a_dependent_parameter_is_drawn_only_under_its_condition(make_config: MakeConfig) -> None:
    config = make_config(
        {
            # Named before the parameter it depends on: the order of the file does not matter.
            "n_negatives": ParameterConfig(low=8, high=64, when={"clt_loss": ("crd",)}),
            "clt_loss": ParameterConfig(choices=("crd", "infonce")),
        }
    )
    space = SearchSpace.from_config(config, LEADS)
    seen = set[str]()
    for seed in range(20):
        drawn = draw(space, seed)
        seen.add(str(drawn["clt_loss"]))
        assert ("n_negatives" in drawn) == (drawn["clt_loss"] == "crd")
        if "n_negatives" not in drawn:
            assert space.complete(drawn)["n_negatives"] == Hyperparameters().n_negatives
    assert seen == {"crd", "infonce"}


def test_baselines_take_defaults_then_middles_then_first_choices(make_config: MakeConfig) -> None:
    config = make_config(
        {
            "learning_rate": ParameterConfig(low=1e-3, high=1e-1, log=True),  # default 5e-3 inside
            "weight_decay": ParameterConfig(low=0.1, high=10.0, log=True),  # default 1e-2 outside
            "batch_size": ParameterConfig(low=8, high=64, step=8),  # default 128 outside
            "schedule": ParameterConfig(choices=("steps", "constant")),  # default one_cycle not in
            "negatives": ParameterConfig(choices=("any", "disjoint")),  # default disjoint in
            "kd_weight": ParameterConfig(low=2.0, high=4.0),
            "clt_temperature": 0.2,
            "relation_weight": ParameterConfig(low=0.1, high=4.0, log=True),
        }
    )
    space = SearchSpace.from_config(config, LEADS)
    alone = space.baseline(Arm.STUDENT_ALONE)
    assert alone["learning_rate"] == 5e-3
    assert alone["weight_decay"] == pytest.approx(1.0)
    assert alone["batch_size"] == 40  # 8 + 4 steps of 8: the step nearest to the middle, 36
    assert alone["schedule"] == "steps"
    assert alone["negatives"] == "disjoint"
    assert alone["clt_temperature"] == 0.2
    assert [alone[name] for name in TEACHING_WEIGHTS] == [0.0] * len(TEACHING_WEIGHTS)
    plain = space.baseline(Arm.PLAIN_KD)
    expected = {"kd_loss": "softmax_kd", "kd_weight": 1.0, "clt_weight": 0.0}
    expected |= dict.fromkeys([*MORE_TEACHING_WEIGHTS, PLUGIN_WEIGHT], 0.0)
    assert {name: plain[name] for name in expected} == expected
    # Weights of 0 and 1 are outside of 2 to 4: the ledger has no such column for baselines.
    assert "kd_weight" not in space.part_in_space(alone)
    assert "learning_rate" in space.part_in_space(alone)


def test_numbers_that_yaml_reads_as_text_are_numbers(make_config: MakeConfig) -> None:
    config = make_config({"weight_decay": ParameterConfig(choices=("1e-4", 1))})
    space = SearchSpace.from_config(config, LEADS)
    values = {draw(space, seed)["weight_decay"] for seed in range(20)}
    assert values == {1e-4, 1.0}
    assert all(isinstance(value, float) for value in values)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"temprature": 2.0}, ["space", "'temprature'", "'distill_temperature'"]),
        ({"student": "xresnet18"}, ["space.student", "'xresnet18'", "'xresnet1d18'"]),
        ({"negatives": ParameterConfig(choices=("disjoint", "al"))}, ["'al'", "disjoint, "]),
        ({"batch_size": 12.5}, ["space.batch_size", "whole number", "12.5"]),
        ({"dropout": ParameterConfig(low=0.0, high=1.0)}, ["space.dropout.high", "[0, 1)", "1.0"]),
        ({"kd_weight": ParameterConfig(low=-1.0, high=1.0)}, ["space.kd_weight.low", "-1.0"]),
        ({"student": ParameterConfig(low=1.0, high=2.0)}, ["choices", "xresnet1d18"]),
        ({"learning_rate": "fast"}, ["space.learning_rate", "number", "'fast'"]),
        (
            {"batch_size": ParameterConfig(low=16, high=100, step=16)},
            ["space.batch_size.high is 100", "Set high to 96"],
        ),
        (
            {"clt_temperature": ParameterConfig(low=0.1, high=math.inf)},
            ["space.clt_temperature.high", "finite", "inf"],
        ),
        ({"n_negatives": ParameterConfig(low=1, high=9.5)}, ["whole number", "9.5"]),
        ({"dropout": ParameterConfig(choices=(0, "0.0"))}, ["0.0 more than once"]),
        ({"mixup": 0.2}, ["mixup is 0.2", "clt_weight 0.02", "must be 0"]),
        (
            {"mixup": 0.2, "clt_weight": ParameterConfig(choices=(0.0, 0.1))},
            ["mixup is 0.2", "must be 0"],
        ),
        ({"ema_decay": ParameterConfig(low=0.9, high=1.0)}, ["space.ema_decay.high", "[0, 1)"]),
    ],
)
def test_a_wrong_space_is_refused_by_key_and_value(
    make_config: MakeConfig, space: dict[str, Any], words: list[str]
) -> None:
    message = refusal(make_config(space))
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"clt_los": ("crd",)}, ["space.n_negatives.when", "'clt_los'", "'clt_loss'"]),
        ({"clt_loss": ("crm",)}, ["'crm'", "'crd'"]),
        ({"kd_loss": ("softmax_kd",)}, ["kd_loss, which is not drawn", "'multilabel_kd'"]),
        ({"clt_weight": (0.5,)}, ["clt_weight is never 0.5", "range 0.1 to 1"]),
        ({"n_negatives": (8,)}, ["form a cycle", "n_negatives"]),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(
    make_config: MakeConfig, when: dict[str, Any], words: list[str]
) -> None:
    space = {
        "clt_loss": ParameterConfig(choices=("crd", "infonce")),
        "clt_weight": ParameterConfig(low=0.1, high=1.0),
        "n_negatives": ParameterConfig(low=8, high=64, when=when),
    }
    message = refusal(make_config(space))
    for word in words:
        assert word in message


def test_baselines_that_learn_nothing_are_refused(make_config: MakeConfig) -> None:
    message = refusal(make_config({"label_weight": 0.0}))
    assert "baseline student_alone" in message
    assert "the loss is always 0" in message


def test_a_misspelled_name_in_plain_kd_is_refused(make_config: MakeConfig) -> None:
    message = refusal(make_config({}, plain_kd={"kd_weigth": 1.0}))
    assert "plain_kd" in message
    assert "'kd_weight'" in message


def test_fewer_trials_than_baselines_are_refused_with_the_number_needed(
    make_config: MakeConfig,
) -> None:
    message = refusal(make_config({}, search=SearchConfig(n_trials=3)))
    assert "search.n_trials is 3" in message
    assert "4 or more" in message
