import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import pytest

from mvkt_ray.config.objectives import Objective
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, Scalar, SearchConfig
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.proposing import propose
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.trial_record import TrialRecord

Sampler = Literal["tpe", "gp", "nsga2", "random"]
BOTH: tuple[Objective, ...] = ("macro_auroc", "parameters")
CONFIG = StudyConfig(
    name="p",
    space={
        "distill_temperature": ParameterConfig(low=1.0, high=20.0, log=True),
        "kd_weight": ParameterConfig(low=0.01, high=10.0, log=True),
        "learning_rate": ParameterConfig(low=1e-4, high=1e-1, log=True),
    },
    search=SearchConfig(n_trials=1000, n_startup_trials=8),
)
SPACE = SearchSpace.from_config(CONFIG, ("I", "II", "V1"))
OFFSETS = {"I": 0.55, "II": 0.90, "V1": 0.70}


def height(drawn: Mapping[str, Scalar]) -> float:
    """A quadratic in the logarithms, 0 at its best."""
    goal = {"distill_temperature": 4.0, "kd_weight": 0.1, "learning_rate": 0.01}
    return -sum(0.02 * math.log(float(drawn[name]) / goal[name]) ** 2 for name in goal)


def record(
    number: int, condition: str, drawn: Mapping[str, Scalar], state: TrialState, value: float
) -> TrialRecord:
    is_complete = state is TrialState.COMPLETE
    trial = Trial(
        number=number,
        condition=Condition.from_name(condition),
        arm=Arm.SEARCH,
        hyperparameters=SPACE.complete(drawn),
    )
    result = TrialResult(number=number, state=state, macro_auroc=value if is_complete else None)
    return TrialRecord(
        trial=trial,
        drawn=drawn,
        state=state,
        values={1: value},
        result=None if state is TrialState.RUNNING else result,
    )


def search(sampler: Sampler, seed: int, n_trials: int) -> list[TrialRecord]:
    """Run a search over three leads that differ by much more than hyper-parameters do."""
    config = replace(CONFIG.search, sampler=sampler)
    records: list[TrialRecord] = []
    for number in range(n_trials):
        condition = list(OFFSETS)[number % 3]
        drawn = propose(SPACE, config, seed=seed, number=number, records=records)
        value = OFFSETS[condition] + height(drawn)
        records.append(record(number, condition, drawn, TrialState.COMPLETE, value))
    return records


def last_heights(records: list[TrialRecord]) -> float:
    """Mean over the last third, when a sampler that learns has learned."""
    tail = records[-len(records) // 3 :]
    return sum(height(r.drawn) for r in tail) / len(tail)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_sampler_learns_across_leads_that_show_more_or_less(sampler: Sampler) -> None:
    n_trials, seeds = (60, range(3)) if sampler == "tpe" else (24, range(1))
    for seed in seeds:
        learned = last_heights(search(sampler, seed, n_trials))
        by_chance = last_heights(search("random", seed, n_trials))
        assert learned > 0.6 * by_chance  # heights are negative: nearer to the best


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_a_proposal_depends_on_records_seed_and_number_alone(sampler: Sampler) -> None:
    config = replace(CONFIG.search, sampler=sampler)
    records = search("random", 0, 14)
    random.seed(1)
    first = propose(SPACE, config, seed=3, number=14, records=records)
    random.seed(2)
    assert propose(SPACE, config, seed=3, number=14, records=list(records)) == first
    assert propose(SPACE, config, seed=4, number=14, records=records) != first
    assert propose(SPACE, config, seed=3, number=15, records=records) != first


def test_what_a_lead_shows_does_not_matter_to_tpe() -> None:
    records = search("random", 0, 30)
    # Steps of 1/8 are exact in binary, so that the centred values are equal to the last bit.
    coarse = [_with_value(r, round(r.values[1] * 64) / 64) for r in records]
    shifted = [_with_value(r, r.values[1] + (0.125 if r.condition == "II" else 0)) for r in coarse]
    first = propose(SPACE, CONFIG.search, seed=1, number=30, records=coarse)
    assert propose(SPACE, CONFIG.search, seed=1, number=30, records=shifted) == first
    upended = [_with_value(r, -r.values[1]) for r in coarse]
    assert propose(SPACE, CONFIG.search, seed=1, number=30, records=upended) != first


def _with_value(before: TrialRecord, value: float) -> TrialRecord:
    return record(before.number, before.condition, before.drawn, before.state, value)


def test_running_trials_keep_the_sampler_from_proposing_the_same_again() -> None:
    records = search("tpe", 0, 30)
    first = propose(SPACE, CONFIG.search, seed=0, number=30, records=records)
    running = [record(30 + i, "II", first, TrialState.RUNNING, 0.0) for i in range(20)]
    second = propose(SPACE, CONFIG.search, seed=0, number=30, records=records + running)
    assert second != first


def test_tpe_stays_away_from_where_training_diverges() -> None:
    # Everything with a learning rate above 3e-3 diverges; below it, all is equal but for noise.
    rng = random.Random(0)
    records: list[TrialRecord] = []
    for number in range(40):
        drawn = propose(
            SPACE,
            replace(CONFIG.search, sampler="random"),
            seed=0,
            number=number,
            records=[],
        )
        diverges = float(drawn["learning_rate"]) > 3e-3
        state = TrialState.DIVERGED if diverges else TrialState.COMPLETE
        records.append(record(number, "II", drawn, state, 0.8 + 0.01 * rng.random()))
    share = sum(r.state is TrialState.DIVERGED for r in records) / len(records)
    proposals = [
        propose(SPACE, CONFIG.search, seed=seed, number=40, records=records) for seed in range(20)
    ]
    diverging = sum(float(p["learning_rate"]) > 3e-3 for p in proposals) / len(proposals)
    assert share > 0.4
    assert diverging < share / 2


def test_pruned_and_failed_trials_and_dependent_parameters_are_understood() -> None:
    config = StudyConfig(
        name="d",
        space={
            "clt_loss": ParameterConfig(choices=("crd", "infonce")),
            "n_negatives": ParameterConfig(low=8, high=64, when={"clt_loss": ("crd",)}),
            "batch_size": ParameterConfig(low=16, high=64, step=16),
        },
        search=SearchConfig(n_startup_trials=4),
    )
    space = SearchSpace.from_config(config, ("II",))
    records: list[TrialRecord] = []
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.RUNNING]
    for number in range(32):
        drawn = propose(space, config.search, seed=0, number=number, records=records)
        assert ("n_negatives" in drawn) == (drawn["clt_loss"] == "crd")
        assert drawn["batch_size"] in (16, 32, 48, 64)
        good = drawn["clt_loss"] == "crd" and drawn["batch_size"] == 32
        state = states[number % 4]
        trial = Trial(
            number=number,
            condition=Condition(leads=("II",)),
            arm=Arm.SEARCH,
            hyperparameters=space.complete(drawn),
        )
        value = 0.9 if good else 0.5
        result = TrialResult(number=number, state=state, macro_auroc=value)
        records.append(
            TrialRecord(
                trial=trial,
                drawn=drawn,
                state=state,
                values={1: value},
                result=None if state is TrialState.RUNNING else result,
            )
        )
    assert {record.drawn["clt_loss"] for record in records} == {"crd", "infonce"}


def test_a_space_with_nothing_to_draw_is_a_comparison_of_leads() -> None:
    config = StudyConfig(name="n", space={"kd_weight": ParameterConfig(value=2.0)})
    space = SearchSpace.from_config(config, ("II",))
    assert propose(space, config.search, seed=0, number=0, records=[]) == {}
    assert space.complete({})["kd_weight"] == 2.0


def size_of(drawn: Mapping[str, Scalar]) -> int:
    """Of a made-up student: the stronger the distillation, the larger it is."""
    return round(1000 * float(drawn["kd_weight"]))


def trade_off(drawn: Mapping[str, Scalar]) -> float:
    """A score that rises with the size, and has a best temperature and learning rate besides."""
    off = {**drawn, "kd_weight": 0.1}
    return 0.02 * math.log(float(drawn["kd_weight"])) + height(off)


def search_both(sampler: Sampler, seed: int, n_trials: int) -> list[TrialRecord]:
    """Search for high scores and small students; every fourth trial is pruned."""
    config = replace(CONFIG.search, sampler=sampler, objectives=BOTH)
    records: list[TrialRecord] = []
    for number in range(n_trials):
        condition = list(OFFSETS)[number % 3]
        drawn = propose(SPACE, config, seed=seed, number=number, records=records)
        state = TrialState.PRUNED if number % 4 == 3 else TrialState.COMPLETE
        made = record(number, condition, drawn, state, OFFSETS[condition] + trade_off(drawn))
        assert made.result is not None
        sized = replace(made.result, n_parameters=size_of(drawn))
        records.append(replace(made, result=sized))
    return records


def lost_of_front(records: Sequence[TrialRecord]) -> float:
    """Mean of what the late trials score below the best possible one of their size."""
    tail = records[-len(records) // 3 :]
    return -sum(height({**r.drawn, "kd_weight": 0.1}) for r in tail) / len(tail)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_with_several_objectives_a_sampler_learns_what_costs_nothing_and_keeps_sizes_apart(
    sampler: Sampler,
) -> None:
    learned = search_both(sampler, 0, 90)
    assert lost_of_front(learned) < 0.7 * lost_of_front(search_both("random", 0, 90))
    # A factor of ten and more lies between the smallest and the largest that it goes on to try.
    sizes = [size_of(each.drawn) for each in learned[-30:]]
    assert max(sizes) > 10 * min(sizes)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_with_several_objectives_a_proposal_is_a_function_of_records_seed_and_number(
    sampler: Sampler,
) -> None:
    config = replace(CONFIG.search, sampler=sampler, objectives=BOTH)
    records = search_both("random", 0, 20)
    first = propose(SPACE, config, seed=3, number=20, records=records)
    # A driver that was killed has nothing but its records, which are made anew.
    again = [replace(each) for each in records]
    assert propose(SPACE, config, seed=3, number=20, records=again) == first
    assert propose(SPACE, config, seed=4, number=20, records=records) != first
    smaller = [_with_size(each, 10**7 // size_of(each.drawn)) for each in records]
    assert propose(SPACE, config, seed=3, number=20, records=smaller) != first


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_with_several_objectives_studies_of_which_hardly_a_trial_is_complete_go_on(
    sampler: Sampler,
) -> None:
    config = replace(CONFIG.search, sampler=sampler, objectives=BOTH, n_startup_trials=2)
    states = [TrialState.COMPLETE, *[TrialState.DIVERGED] * 30, TrialState.RUNNING]
    at_random = search_both("random", 0, len(states))
    records = [
        record(each.number, each.condition, each.drawn, state, each.values[1])
        for each, state in zip(at_random, states, strict=True)
    ]
    records[0] = _with_size(records[0], 700)
    drawn = propose(SPACE, config, seed=0, number=len(records), records=records)
    assert set(drawn) == set(SPACE.distributions)


def _with_size(before: TrialRecord, n_parameters: int) -> TrialRecord:
    assert before.result is not None
    return replace(before, result=replace(before.result, n_parameters=n_parameters))


def test_nsga2_crosses_the_best_of_all_trials_and_before_there_are_enough_draws_at_random() -> None:
    config = replace(CONFIG.search, sampler="nsga2", objectives=BOTH, n_startup_trials=8)
    records = [_as_complete(each) for each in search_both("random", 1, 60)]
    at_random = [propose(SPACE, config, seed=5, number=7, records=records[:n]) for n in range(8)]
    assert all(each == at_random[0] for each in at_random)
    # With parents, most values are taken from them: uniform crossover, seldom a mutation.
    known = {name: {each.drawn[name] for each in records} for name in SPACE.distributions}
    drawn = [propose(SPACE, config, seed=5, number=60 + n, records=records) for n in range(20)]
    inherited = [each[name] in known[name] for each in drawn for name in known]
    assert sum(inherited) / len(inherited) > 0.5
    assert not all(inherited)


def _as_complete(before: TrialRecord) -> TrialRecord:
    assert before.result is not None
    state, score = TrialState.COMPLETE, before.values[1]
    return replace(
        before, state=state, result=replace(before.result, state=state, macro_auroc=score)
    )
