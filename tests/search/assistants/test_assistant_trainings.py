"""Assistants in training: each dealt until it has ended, none more often than the study allows."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import SearchConfig
from mvkt_ray.records import (
    Arm,
    Condition,
    Decision,
    EpochMetrics,
    Reservation,
    Trial,
    TrialResult,
    TrialState,
    Usage,
)
from mvkt_ray.search.assistants.assistant_trainings import AssistantTrainings

LEADS = ("I", "II", "V2", "V5")
SECOND = Usage(kept=(Reservation(node=None, cpus=1.0, gpus=0.0, worker_s=1.0),))


class Trainings:
    """Trainings of assistants, and what was heard of them."""

    def __init__(self, max_retries: int = 1) -> None:
        self.ended: list[tuple[int, float]] = []
        self.done: list[int] = []
        trials = [
            Trial(
                number=number,
                condition=Condition.from_name(lead),
                arm=Arm.ASSISTANT,
                hyperparameters={},
            )
            for number, lead in enumerate(LEADS)
        ]
        self.all = AssistantTrainings(
            StudyConfig(name="a", search=SearchConfig(max_retries=max_retries)),
            trials,
            on_epoch=self.done.append,
            on_end=lambda trial, _result, usage: self.ended.append((trial.number, usage.worker_s)),
        )

    def lose(self, number: int, *, preempted: bool = False) -> None:
        lost = TrialResult(number=number, state=TrialState.FAILED, reason="gone", retriable=True)
        self.all.tell(replace(lost, preempted=preempted), SECOND)


COMPLETE = TrialResult(number=0, state=TrialState.COMPLETE, macro_auroc=0.9)


@settings(max_examples=50)
@given(
    n_lost=st.lists(st.integers(0, 3), min_size=len(LEADS), max_size=len(LEADS)),
    max_retries=st.integers(0, 2),
)
def test_each_is_dealt_until_it_ends_or_was_lost_too_often(
    n_lost: list[int], max_retries: int
) -> None:
    trainings = Trainings(max_retries)
    left = list(n_lost)
    dealt: list[int] = []
    while (trial := trainings.all.ask()) is not None:
        dealt.append(trial.number)
        if left[trial.number]:
            left[trial.number] -= 1
            trainings.lose(trial.number)
        else:
            trainings.all.tell(replace(COMPLETE, number=trial.number), SECOND)
    for number, n in enumerate(n_lost):
        assert dealt.count(number) == min(n, max_retries) + 1
    states = [result.state for _, result in trainings.all.results]
    assert states == [
        TrialState.COMPLETE if n <= max_retries else TrialState.FAILED for n in n_lost
    ]
    # What lost attempts held is paid as well.
    paid = [(number, n + 1.0) for number, n in enumerate(n_lost) if n <= max_retries]
    assert sorted(trainings.ended) == paid


def test_a_training_whose_node_is_taken_back_is_dealt_again_however_often() -> None:
    trainings = Trainings(max_retries=0)
    first, *_ = [trainings.all.ask() for _ in LEADS]
    for _ in range(3):
        trainings.lose(0, preempted=True)
        assert (trainings.all.ask(), trainings.all.ask()) == (first, None)


def test_a_training_that_fails_by_itself_is_not_dealt_again() -> None:
    trainings = Trainings()
    for _ in LEADS:
        assert trainings.all.ask() is not None
    trainings.all.tell(TrialResult(number=2, state=TrialState.FAILED, reason="ValueError: x"))
    assert trainings.all.ask() is None
    [(trial, result)] = trainings.all.results
    assert (trial.condition.name, result.reason) == ("V2", "ValueError: x")
    assert trainings.ended == []


def test_epochs_that_are_told_again_count_once_and_are_in_order() -> None:
    trainings = Trainings()
    for number, epoch in [(0, 1), (0, 2), (1, 1), (0, 1), (0, 2), (0, 3)]:
        metrics = EpochMetrics(epoch=epoch, macro_auroc=None)
        assert trainings.all.report(number, metrics) is Decision.CONTINUE
    assert trainings.done == [1, 2, 3, 3, 3, 4]
    assert [metrics.epoch for metrics in trainings.all.epochs(0)] == [1, 2, 3]


def test_an_end_that_is_told_twice_ends_once() -> None:
    trainings = Trainings()
    trainings.all.ask()
    for _ in range(2):
        trainings.all.tell(COMPLETE, SECOND)
    assert trainings.ended == [(0, pytest.approx(1.0))]
