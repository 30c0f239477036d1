"""A contender that makes its own choice takes the best of its own kind, by validation."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import (
    ContenderConfig,
    FinalsConfig,
    ParameterConfig,
    SearchConfig,
)
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.finals.finals_plan import plan_finals
from mvkt_ray.search.ledger.trial_record import TrialRecord

CONFIG = StudyConfig(
    name="budget",
    space={
        "kd_weight": ParameterConfig(choices=(0.0, 4.0)),
        "epochs": ParameterConfig(choices=(5, 15)),
    },
    search=SearchConfig(leads=("II",)),
)
SPACE = SearchSpace.from_config(CONFIG, ("I", "II"))
FINALS = FinalsConfig(
    n_configurations=0,
    baselines=(),
    answer="distilled",
    contenders={
        "alone": ContenderConfig(where={"kd_weight": 0}),
        "distilled": ContenderConfig(where={"kd_weight": 4.0}, set={"dropout": 0.1}),
    },
)


def searched(number: int, score: float | None, **hyperparameters: float) -> TrialRecord:
    trial = Trial(
        number=number,
        condition=Condition.from_name("II"),
        arm=Arm.SEARCH,
        hyperparameters=SPACE.complete(hyperparameters),
    )
    state = TrialState.PRUNED if score is None else TrialState.COMPLETE
    result = TrialResult(number=number, state=state, macro_auroc=score)
    return TrialRecord(trial=trial, drawn={}, state=state, result=result)


TRIALS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 4.0]),
        st.sampled_from([5, 15]),
        st.one_of(st.none(), st.sampled_from([0.7, 0.8, 0.9])),
    ),
    max_size=12,
)


@given(TRIALS)
def test_each_contender_is_the_best_complete_trial_of_its_kind(
    drawn: list[tuple[float, int, float | None]],
) -> None:
    drawn = [*drawn, (0.0, 5, 0.6), (4.0, 5, 0.6)]
    records = [
        searched(number, score, kd_weight=weight, epochs=epochs)
        for number, (weight, epochs, score) in enumerate(drawn)
    ]
    alone, distilled = plan_finals(FINALS, SPACE, records)
    for contender, weight in ((alone, 0.0), (distilled, 4.0)):
        assert contender.chosen_trial is not None
        _, epochs, score = drawn[contender.chosen_trial]
        of_kind = [(s, n) for n, (w, _, s) in enumerate(drawn) if w == weight and s is not None]
        best = max(s for s, _ in of_kind)
        assert score == best
        assert contender.chosen_trial == min(n for s, n in of_kind if s == best)
        assert contender.hyperparameters["kd_weight"] == weight
        assert contender.hyperparameters["epochs"] == epochs
    assert alone.hyperparameters["dropout"] == 0.0
    assert distilled.hyperparameters["dropout"] == 0.1


def test_a_kind_of_which_no_trial_came_to_its_end_is_named() -> None:
    records = [searched(0, 0.8, kd_weight=4.0), searched(1, None, kd_weight=0.0)]
    with pytest.raises(
        ConfigError, match=r"contenders\.alone: no trial of lead II .* with kd_weight 0\.0\. Add"
    ):
        plan_finals(FINALS, SPACE, records)


def test_a_misspelled_hyperparameter_is_named() -> None:
    wrong = {"alone": ContenderConfig(where={"kd_wieght": 0.0})}
    finals = replace(FINALS, contenders=wrong, answer="alone")
    with pytest.raises(ConfigError, match=r"contenders\.alone\.where: .*'kd_wieght'.*kd_weight"):
        plan_finals(finals, SPACE, [searched(0, 0.8)])
