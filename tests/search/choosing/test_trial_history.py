import pytest

from mvkt_ray.config.schema import ParameterConfig, SearchConfig, StudyConfig
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
    monkeypatch.setattr(trial_history, "MOST_SEEN", {"tpe": 300, "gp": 200})
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
