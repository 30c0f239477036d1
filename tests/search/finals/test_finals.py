"""The trainings of a plan are dealt once each, never pruned, never lost; failures may come back."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import FinalsConfig
from mvkt_ray.records import (
    Arm,
    Decision,
    EpochMetrics,
    Reservation,
    Trial,
    TrialResult,
    TrialState,
    Usage,
)
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.finals.finals import Finals
from mvkt_ray.search.finals.finals_ledger import FinalsLedger, ledger_name
from mvkt_ray.search.finals.finals_plan import final_trials, is_chosen, plan_finals
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.budget import Budget, Limits
from mvkt_ray.search.spending.prices import Spent

if TYPE_CHECKING:
    from conftest import Lab

LEADS = ("I", "II", "V1", "V5")


class Rig:
    """Finals of two leads, of two contenders with some seeds each, in the folder of a lab."""

    def __init__(self, lab: "Lab", n_seeds: int = 2) -> None:
        self.lab = lab
        finals = FinalsConfig(n_seeds=n_seeds, baselines=("student_alone",))
        self.config: StudyConfig = replace(lab.config(), finals=finals)
        self.space = SearchSpace.from_config(self.config, LEADS)
        self.plan = plan_finals(finals, self.space, [self.searched(0), self.searched(1)])
        self.opened: list[Finals] = []

    def searched(self, number: int) -> TrialRecord:
        """A complete trial of the search, of the lead with this number."""
        trial = Trial(
            number=number,
            condition=self.space.conditions[number],
            arm=Arm.SEARCH,
            hyperparameters=self.space.complete({"distill_temperature": 1.5 + number}),
        )
        state = TrialState.COMPLETE
        return TrialRecord(trial=trial, drawn={}, state=state, result=result(trial))

    def open(self, budget: Budget | None = None) -> Finals:
        """Begin the finals, or go on with them."""
        database = LedgerDatabase(self.lab.url)
        ledger = FinalsLedger.find(database, ledger_name("lab", 1))
        if ledger is not None and ledger.has_begun:
            ledger.mend()
        else:
            ledger = FinalsLedger.begin(
                database, "lab", 1, plan=self.plan, facts={"a": 1}, reason=""
            )
        self.opened.append(Finals(self.config, self.space, ledger, budget))
        return self.opened[-1]

    def run(self, finals: Finals) -> list[Decision]:
        """Run every training to its last epoch."""
        said: list[Decision] = []
        while (trial := finals.ask()) is not None:
            for epoch in (1, 2):
                said.append(finals.report(trial.number, metrics(trial, epoch)))
            finals.tell(result(trial))
        return said


def score(trial: Trial, epoch: int) -> float:
    return 0.5 + 0.01 * trial.number + 0.001 * epoch


def metrics(trial: Trial, epoch: int) -> EpochMetrics:
    return EpochMetrics(epoch=epoch, macro_auroc=score(trial, epoch))


def result(trial: Trial, state: TrialState = TrialState.COMPLETE, **facts: Any) -> TrialResult:
    value = score(trial, 2) if state is TrialState.COMPLETE else None
    return TrialResult(number=trial.number, state=state, macro_auroc=value, epochs=2, **facts)


@pytest.fixture
def rig(lab: "Lab") -> Iterator[Rig]:
    made = Rig(lab)
    yield made
    for finals in made.opened:
        finals.close()


def test_every_training_of_the_plan_is_dealt_once_in_its_order_and_none_is_pruned(
    rig: Rig,
) -> None:
    finals = rig.open()
    assert set(rig.run(finals)) == {Decision.CONTINUE}
    records = finals.trials()
    assert tuple(record.trial for record in records) == final_trials(rig.plan)
    assert len(records) == 2 * 2 * 2 == finals.n_trials
    assert {record.trial.arm for record in records} == {Arm.FINAL}
    assert all(record.state is TrialState.COMPLETE for record in records)
    assert finals.is_trained
    assert finals.problems() == []
    assert finals.ask() is None


def test_finals_that_may_spend_no_more_deal_nothing_and_go_on_with_more(rig: Rig) -> None:
    def limited(gpu_hours: float) -> Budget:
        return Budget(limits=Limits(gpu_hours=gpu_hours), before=Spent(gpu_s=1800))

    held = Reservation(node=None, cpus=1, gpus=1, worker_s=1800)
    finals = rig.open(limited(1.0))
    first = finals.ask()
    assert first is not None
    assert finals.stopped_by == ""
    finals.tell(result(first), Usage(kept=(held,)))
    assert finals.ask() is None
    assert finals.stopped_by == "1 GPU hours of 1 (--max-gpu-hours) are spent"
    finals.close()
    assert rig.open(limited(1.0)).ask() is None
    more = rig.open(limited(9.0))
    rig.run(more)
    assert more.is_trained
    assert more.stopped_by == ""


def test_finals_that_run_stop_when_the_limit_is_reached_and_go_on_where_they_were(
    rig: Rig,
) -> None:
    held = Usage(kept=(Reservation(node=None, cpus=1, gpus=1, worker_s=1800),))
    before = Spent(gpu_s=1800)
    finals = rig.open(Budget(limits=Limits(gpu_hours=1.0), before=before))
    trial = finals.ask()
    assert trial is not None
    unscored = EpochMetrics(epoch=1, macro_auroc=None)
    assert finals.report(trial.number, unscored) is Decision.CONTINUE
    assert finals.report(trial.number, replace(unscored, epoch=2), held) is Decision.STOP
    finals.tell(result(trial, TrialState.RUNNING), held)
    assert (finals.ask(), finals.is_trained) == (None, False)
    finals.close()
    more = rig.open(Budget(limits=Limits(gpu_hours=9.0), before=before))
    (record,) = more.trials()
    assert (record.state, record.last_epoch, dict(record.values)) == (TrialState.RUNNING, 2, {})
    assert more.ask() == trial
    last = more.config.student.epochs
    assert more.report(trial.number, metrics(trial, last)) is Decision.CONTINUE
    assert more.trials()[0].last_epoch == last


def test_they_have_a_ledger_of_their_own_and_the_searchs_is_not_touched(rig: Rig) -> None:
    study = rig.lab.open(rig.lab.config(n_trials=5))
    rig.lab.run(study)
    before = rig.lab.facts(rig.lab.look())
    rig.run(rig.open())
    assert rig.lab.facts(rig.lab.look()) == before
    names = optuna.get_all_study_names(rig.lab.url)
    assert sorted(names) == ["lab", "lab.finals-01"]
    theirs = optuna.load_study(study_name=ledger_name("lab", 1), storage=rig.lab.url)
    assert [trial.value for trial in theirs.trials] == [
        pytest.approx(score(trial, 2)) for trial in final_trials(rig.plan)
    ]


def test_what_was_begun_is_read_back_and_the_plan_is_the_same(rig: Rig) -> None:
    finals = rig.open()
    first = finals.ask()
    assert first is not None
    finals.report(first.number, metrics(first, 1))
    again = rig.open()
    assert again.plan == rig.plan
    assert again.ask() == first
    again.report(first.number, metrics(first, 1))
    assert dict(again.trials()[0].values) == {1: score(first, 1)}
    with FinalsLedger.open_all(LedgerDatabase(rig.lab.url), "lab") as (ledger,):
        assert (ledger.number, ledger.facts, ledger.reason) == (1, {"a": 1}, "")
        assert (ledger.opening, ledger.left_behind) == (None, None)


def test_a_training_that_lost_its_worker_is_dealt_again_and_then_fails_for_this_time(
    rig: Rig,
) -> None:
    finals = rig.open()
    trial = finals.ask()
    assert trial is not None
    lost = result(trial, TrialState.FAILED, reason="worker lost", retriable=True)
    taken_back = replace(lost, preempted=True)
    for told in [taken_back, lost] * rig.config.search.max_retries:
        finals.tell(told)
        assert finals.ask() == trial
    finals.tell(lost)
    assert finals.ask() != trial
    assert [record.number for record in finals.problems()] == [trial.number]
    assert not finals.is_trained


def test_a_training_that_failed_is_tried_again_the_next_time(rig: Rig) -> None:
    finals = rig.open()
    trial = finals.ask()
    assert trial is not None
    finals.tell(result(trial, TrialState.FAILED, reason="disk full"))
    finals.tell(result(trial, TrialState.FAILED, reason="told twice"))
    rig.run(finals)
    assert finals.is_trained
    (problem,) = finals.problems()
    assert problem.result is not None
    assert problem.result.reason == "disk full"
    assert problem.failures == ("disk full",)

    again = rig.open()
    assert not again.is_trained
    assert [again.ask(), again.ask()] == [trial, None]
    again.tell(result(trial))
    assert again.is_trained
    assert again.problems() == []
    assert again.trials()[0].failures == ("disk full",)


def test_what_is_given_up_stays_failed_and_what_diverged_has_ended(rig: Rig) -> None:
    finals = rig.open()
    failed, diverged = finals.ask(), finals.ask()
    assert failed is not None
    assert diverged is not None
    finals.tell(result(failed, TrialState.FAILED, reason="disk full"))
    finals.tell(result(diverged, TrialState.DIVERGED, reason="epoch 1: the loss is not finite"))
    rig.run(finals)
    assert [record.number for record in finals.problems()] == [0, 1]
    finals.give_up_failed()
    again = rig.open()
    assert again.ask() is None
    assert again.is_trained
    states = [record.state for record in again.problems()]
    assert states == [TrialState.FAILED, TrialState.DIVERGED]


def test_a_driver_killed_after_every_write_ends_with_the_same_trainings(
    lab: "Lab", monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(lab, n_seeds=1)

    class Killed(BaseException):
        """What a kill is to the code that it hits."""

    lives = [10**6]

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            done = method(*args, **kwargs)
            lives[0] -= 1
            if lives[0] <= 0:
                raise Killed
            return done

        return write

    writes = ("create_new_trial", "set_trial_user_attr", "set_trial_intermediate_value",
              "set_trial_state_values", "create_new_study", "set_study_user_attr")  # fmt: skip
    for name in writes:
        method = getattr(optuna.storages.RDBStorage, name)
        monkeypatch.setattr(optuna.storages.RDBStorage, name, dying(method))
    n_dead, is_over = 0, False
    while not is_over:
        lives[0] = 1
        try:
            rig.run(rig.open())
            is_over = True
        except Killed:
            n_dead += 1
    lives[0] = 10**6
    # The study, its notes and its plan; of each training its creation, values, result and state.
    assert n_dead >= 2 + 4 * 5
    records = rig.open().trials()
    assert tuple(record.trial for record in records) == final_trials(rig.plan)
    assert all(record.state is TrialState.COMPLETE for record in records)
    theirs = Ledger.open(LedgerDatabase(rig.lab.url), "lab.finals-01")
    assert [record.ended_at is not None for record in theirs.records] == [True] * 4
    theirs.close()
    for finals in rig.opened:
        finals.close()


@pytest.mark.parametrize(
    ("contender", "is_one"),
    [("chosen", True), ("chosen_2", True), ("chosen_12", True), ("chosen_", False),
     ("chosen_small", False), ("student_alone", False), ("2", False)],
)  # fmt: skip
def test_what_was_chosen_is_known_by_its_name(contender: str, is_one: bool) -> None:
    assert is_chosen(contender) == is_one
