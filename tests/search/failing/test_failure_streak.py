from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvkt_ray.errors import AllFailedError, ConfigError
from mvkt_ray.records import Trial, TrialResult, TrialState
from mvkt_ray.search.failing.failure_streak import FailureStreak
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.same_study import refuse_other_config

if TYPE_CHECKING:
    from conftest import Lab

WELL = (TrialState.COMPLETE, TrialState.PRUNED)
ENDS = st.lists(
    st.sampled_from([*WELL, TrialState.DIVERGED, TrialState.FAILED]), min_size=0, max_size=40
)


def ended(number: int, state: TrialState, reason: str = "ValueError: no") -> TrialResult:
    said = "" if state in WELL else reason
    score = 0.5 if state in WELL else None
    return TrialResult(number=number, state=state, reason=said, macro_auroc=score)


def stopped_at(streak: FailureStreak, ends: list[TrialState]) -> int | None:
    for number, state in enumerate(ends):
        try:
            streak.note(ended(number, state))
        except AllFailedError:
            return number
    return None


@given(ends=ENDS, most=st.integers(1, 6), any_before=st.booleans())
def test_it_stops_after_so_many_failures_that_nothing_interrupts_and_at_no_other_time(
    ends: list[TrialState], most: int, any_before: bool
) -> None:
    """Written down once more, as a whole look at every prefix."""
    expected = None
    for n in range(1, len(ends) + 1):
        last_well = max((i for i in range(n) if ends[i] in WELL), default=-1)
        counted = (TrialState.FAILED,) if any_before or last_well >= 0 else ends
        n_failed = sum(state in counted for state in ends[last_well + 1 : n])
        if n_failed >= most:
            expected = n - 1
            break
    before = [TrialState.COMPLETE] if any_before else [TrialState.FAILED] * 9
    assert stopped_at(FailureStreak(most, before), ends) == expected


@given(ends=ENDS)
def test_without_a_number_it_never_stops(ends: list[TrialState]) -> None:
    assert stopped_at(FailureStreak(None), ends) is None


def test_reasons_that_differ_in_numbers_only_are_told_as_one() -> None:
    streak = FailureStreak(3)
    for number in range(2):
        streak.note(ended(number, TrialState.FAILED, f"ValueError: {number + 7} samples"))
    with pytest.raises(AllFailedError) as caught:
        streak.note(ended(2, TrialState.FAILED, "ValueError: 9 samples"))
    text = str(caught.value)
    assert "trials 0-2 have failed" in text
    assert "The reason: ValueError: 7 samples. All of them have this reason." in text
    assert "trials/00002" in text
    assert "--resume" in text
    assert "search.stop_after_failures, which is 3" in text


def test_several_reasons_are_counted_the_most_frequent_first() -> None:
    streak = FailureStreak(6)
    reasons = ["A: a", "B: b", "B: b", "C: c", "D: d", "B: b"]
    for number, reason in enumerate(reasons[:-1]):
        streak.note(ended(number, TrialState.FAILED, reason))
    with pytest.raises(
        AllFailedError, match=r"3 times: B: b\. 1 times: A: a\. 1 times: C: c\. And 1 more\."
    ):
        streak.note(ended(5, TrialState.FAILED, reasons[-1]))


@given(n=st.integers(1, 4), state=st.sampled_from([TrialState.FAILED, TrialState.DIVERGED]))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_study_stops_with_all_failures_in_its_ledger(
    lab: "Lab", n: int, state: TrialState
) -> None:
    study = lab.open(lab.config(stop_after_failures=n), url="sqlite://")

    def fail_next() -> None:
        trial = study.ask()
        assert trial is not None
        study.tell(ended(trial.number, state))

    for _ in range(n - 1):
        fail_next()
    with pytest.raises(AllFailedError, match="ValueError: no"):
        fail_next()
    assert [record.state for record in study.trials()] == [state] * n


def test_a_mended_study_goes_on_and_one_that_is_not_stops_again(lab: "Lab") -> None:
    config = lab.config(stop_after_failures=2, n_trials=8)
    # All that the runner itself reads of its inputs.
    inputs: Any = SimpleNamespace(trials=str(lab.folder / "trials"))
    mended = False

    def train(trial: Trial, given: object, report: object) -> TrialResult:
        if not mended:
            raise ConfigError(f"crop_s is {trial.number}, which cannot be.")
        return ended(trial.number, TrialState.COMPLETE)

    for n_starts in (1, 2):
        study = lab.open(config, resume=n_starts > 1)
        with pytest.raises(AllFailedError, match="crop_s"):
            InProcess(run_trial=train).run_trials(study, inputs, lambda: None)
        assert len(study.trials()) == 2 * n_starts
        study.close()
    mended = True
    study = lab.open(config, resume=True)
    InProcess(run_trial=train).run_trials(study, inputs, lambda: None)
    states = [record.state for record in study.trials()]
    assert states == [TrialState.FAILED] * 4 + [TrialState.COMPLETE] * 4


def test_the_limit_may_change_when_a_study_goes_on(lab: "Lab") -> None:
    refuse_other_config(lab.config(stop_after_failures=None), lab.config())
