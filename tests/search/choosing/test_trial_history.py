import math

import pytest

from mvkt_ray.config.objectives import Objective
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, SearchConfig
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing import trial_history
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.trial_history import history_for
from mvkt_ray.search.ledger.trial_record import TrialRecord

SPACE = SearchSpace.from_config(
    StudyConfig(
        name="s",
        space={"kd_weight": ParameterConfig(low=0.1, high=10.0, log=True)},
        search=SearchConfig(leads=("II", "V1"), baselines=()),
    ),
    ("II", "V1"),
)


def record(number: int, state: TrialState, auroc: float = 0.0) -> TrialRecord:
    drawn = {"kd_weight": 0.1 + 0.001 * number}
    result = TrialResult(number=number, state=state, macro_auroc=auroc)
    return TrialRecord(
        trial=Trial(
            number=number,
            condition=Condition(leads=("II" if number % 2 else "V1",)),
            arm=Arm.SEARCH,
            hyperparameters=drawn,
        ),
        drawn=drawn,
        state=state,
        values={4: auroc},
        result=None if state is TrialState.RUNNING else result,
    )


def long_study() -> list[TrialRecord]:
    """Twelve hundred trials: one in four is complete, the last five run."""
    records: list[TrialRecord] = []
    for number in range(1200):
        if number >= 1195:
            records.append(record(number, TrialState.RUNNING))
        else:
            state = TrialState.PRUNED if number % 4 else TrialState.COMPLETE
            records.append(record(number, state, 0.6 + 0.0001 * ((number * 7919) % 1195)))
    return records


@pytest.fixture
def few_seen(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(trial_history, "MOST_SEEN", {"tpe": 300, "gp": 200, "nsga2": 300})
    return 300


def test_a_sampler_sees_all_trials_until_there_are_very_many() -> None:
    records = long_study()
    assert [trial.number - 1 for trial in history_for("tpe", SPACE, records)] == [
        each.number for each in records
    ]


def test_of_very_many_it_sees_the_best_those_that_run_and_evenly_many_of_all_ages(
    few_seen: int,
) -> None:
    records = long_study()
    everything = {trial.number: trial for trial in history_for("tpe", SPACE, records[:250])}
    assert len(everything) == 250
    history = history_for("tpe", SPACE, records)
    seen = [trial.number - 1 for trial in history]
    assert len(seen) == few_seen
    assert seen == sorted(set(seen))
    assert set(range(1195, 1200)) <= set(seen)
    # All complete trials are of one lead here, so that centring does not change their order.
    complete = [each for each in records if each.macro_auroc is not None]
    best = sorted(complete, key=lambda each: -(each.macro_auroc or 0.0))[: trial_history.N_BEST]
    assert {each.number for each in best} <= set(seen)
    others = [number for number in seen if number < 1195]
    quarters = [sum(low <= number < low + 300 for number in others) for low in range(0, 1200, 300)]
    assert max(quarters) - min(quarters) < 25


def test_centred_values_do_not_depend_on_how_many_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    records = long_study()
    before = {trial.number: trial for trial in history_for("tpe", SPACE, records)}
    monkeypatch.setattr(trial_history, "MOST_SEEN", {"tpe": 300})
    assert all(trial == before[trial.number] for trial in history_for("tpe", SPACE, records))


def test_a_gaussian_process_sees_complete_trials_and_those_that_run(few_seen: int) -> None:
    states = [trial.state.name for trial in history_for("gp", SPACE, long_study())]
    assert set(states) == {"COMPLETE", "RUNNING"}
    assert len(states) == 200


def test_where_few_are_complete_the_longest_of_the_pruned_are_among_the_best(few_seen: int) -> None:
    records = [record(number, TrialState.PRUNED, 0.5 + 0.0001 * number) for number in range(1000)]
    seen = {trial.number - 1 for trial in history_for("tpe", SPACE, records)}
    # The centred values of each lead rise with the number.
    assert set(range(1000 - trial_history.N_BEST, 1000)) <= seen


BOTH: tuple[Objective, ...] = ("macro_auroc", "parameters")


def sized(number: int, state: TrialState, curve: dict[int, float], size: int) -> TrialRecord:
    """A trial of lead II with a score after some epochs, and of so many parameters."""
    drawn = {"kd_weight": 0.1 + 0.001 * number}
    result = TrialResult(
        number=number, state=state, macro_auroc=curve[max(curve)], n_parameters=size
    )
    return TrialRecord(
        trial=Trial(
            number=number,
            condition=Condition(leads=("II",)),
            arm=Arm.SEARCH,
            hyperparameters=drawn,
        ),
        drawn=drawn,
        state=state,
        values=curve,
        result=None if state is TrialState.RUNNING else result,
    )


def test_with_several_objectives_a_pruned_trial_stands_beside_complete_ones_with_its_size() -> None:
    records = [
        sized(0, TrialState.COMPLETE, {2: 0.70, 4: 0.80}, 9000),
        sized(1, TrialState.COMPLETE, {2: 0.74, 4: 0.84}, 7000),
        sized(2, TrialState.PRUNED, {2: 0.69}, 100),
        sized(3, TrialState.DIVERGED, {2: 0.5}, 500),
        sized(4, TrialState.RUNNING, {2: 0.9}, 0),
        sized(5, TrialState.PRUNED, {2: math.nan}, 300),
    ]
    history = history_for("nsga2", SPACE, records, BOTH)
    states = [trial.state.name for trial in history]
    assert states == ["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "RUNNING", "PRUNED"]
    # After two epochs complete trials were at 0.72, in the end at 0.82.
    expected = [(-0.02, 9000), (0.02, 7000), (-0.03, 100)]
    for trial, (above, size) in zip(history, expected, strict=False):
        assert trial.values == pytest.approx([above, math.log(size)])
    # TPE would look for the one direction that there is not.
    assert all(not trial.intermediate_values for trial in history)


def test_a_pruned_trial_is_no_better_than_a_complete_one_that_began_alike() -> None:
    # Those that were pruned began worse: against all that began, the last would be above average.
    complete = [sized(n, TrialState.COMPLETE, {2: 0.70, 4: 0.80}, 900) for n in range(3)]
    pruned = [sized(n, TrialState.PRUNED, {2: 0.60}, 900) for n in range(3, 9)]
    middling = sized(9, TrialState.PRUNED, {2: 0.69}, 900)
    history = history_for("tpe", SPACE, [*complete, *pruned, middling], BOTH)
    assert history[9].values[0] == pytest.approx(-0.01)
    assert history[0].values[0] == pytest.approx(0.0)


def test_where_none_is_complete_pruned_trials_are_compared_with_each_other() -> None:
    records = [sized(n, TrialState.PRUNED, {2: 0.6 + 0.1 * n}, 900) for n in range(3)]
    history = history_for("tpe", SPACE, records, BOTH)
    assert [trial.values[0] for trial in history] == pytest.approx([-0.1, 0.0, 0.1])


def test_a_trial_whose_latency_was_not_measured_has_no_place_among_the_others() -> None:
    records = [sized(0, TrialState.PRUNED, {2: 0.6}, 900)]
    [shown] = history_for("tpe", SPACE, records, ("macro_auroc", "latency_ms"))
    assert (shown.state.name, shown.values) == ("PRUNED", None)


def test_of_very_many_the_whole_front_is_seen(few_seen: int) -> None:
    records = [
        sized(n, TrialState.COMPLETE, {4: 0.9 - 1e-4 * (n % 997)}, 10_000 + n) for n in range(1000)
    ]
    front = [sized(1000 + n, TrialState.COMPLETE, {4: 0.5 + 0.01 * n}, 100 + n) for n in range(9)]
    late = [sized(1009 + n, TrialState.COMPLETE, {4: 0.6}, 20_000) for n in range(500)]
    history = history_for("nsga2", SPACE, [*records, *front, *late], BOTH)
    seen = {trial.number - 1 for trial in history}
    assert len(seen) == few_seen
    assert {record.number for record in front} <= seen
