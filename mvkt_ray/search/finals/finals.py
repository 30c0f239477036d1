"""Finals: the trainings of a plan, offered to runners as a study offers trials, and never pruned.

Their ledger is a separate Optuna study in the search's database, `NAME.finals-01`. As with a study,
every change is in the ledger before a call returns, so that a driver may die between any two calls.

A training that fails stays open in the ledger, with the reason: the next `mvkt finalize` repeats
it. A diverged training has ended, since it would diverge again.
"""

from collections.abc import Sequence
from dataclasses import replace

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import (
    NOTHING_USED,
    Condition,
    Decision,
    EpochMetrics,
    Trial,
    TrialResult,
    TrialState,
    Usage,
)
from mvkt_ray.search.base_study import BaseStudy
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_plan import Contender, final_trials
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.budget import Budget


class Finals(BaseStudy):
    """Returns the trainings of a plan in order, and writes their ledger."""

    def __init__(
        self,
        config: StudyConfig,
        space: SearchSpace,
        ledger: FinalsLedger,
        budget: Budget | None = None,
    ) -> None:
        """Take over a ledger that contains the plan.

        Args:
            config: The study.
            space: Its search space.
            ledger: Ledger of finals that have begun.
            budget: Limits, and earlier spending; by default no limit.
        """
        super().__init__(config, space, ledger, budget)
        self.ledger = ledger
        self._trials = final_trials(ledger.plan)
        self._failed: dict[int, TrialResult] = {}
        self._n_lost: dict[int, int] = {}

    @property
    def number(self) -> int:
        """Number of these finals, from 1."""
        return self.ledger.number

    @property
    def plan(self) -> tuple[Contender, ...]:
        """The contenders."""
        return self.ledger.plan

    @property
    def n_trials(self) -> int:
        """Number of trainings in the plan."""
        return len(self._trials)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions of the plan, in the study's order."""
        return tuple(dict.fromkeys(contender.condition for contender in self.plan))

    @property
    def planned(self) -> tuple[Trial, ...]:
        """Every training, by number."""
        return self._trials

    @property
    def answer(self) -> str:
        """Name of the contender by which leads are ranked."""
        return self.config.finals.answer

    def trials(self) -> tuple[TrialRecord, ...]:
        """Return the records of the trainings that have begun, by number; from memory."""
        return tuple(self._as_ended(record) for record in self.ledger.records)

    def problems(self) -> list[TrialRecord]:
        """Return the trainings that failed in this run, and all that diverged."""
        states = (TrialState.FAILED, TrialState.DIVERGED)
        return [record for record in self.trials() if record.state in states]

    @property
    def is_trained(self) -> bool:
        """Whether every training has ended, well or not."""
        records = self.trials()
        return len(records) == self.n_trials and all(r.state.is_finished for r in records)

    def report(self, number: int, metrics: EpochMetrics, usage: Usage = NOTHING_USED) -> Decision:
        """Record an epoch of a training; it continues unless the budget is spent."""
        record, epoch = self.ledger.records[number], metrics.epoch
        if record.state.is_finished:
            return Decision.CONTINUE
        with self.ledger.as_one(at_once=False):
            self._account.book(number, usage, is_over=False)
            if metrics.macro_auroc is None:
                self._note_unscored(number, metrics)
            elif epoch not in record.values:
                self.ledger.write_value(number, epoch, metrics.macro_auroc)
        return self._answer(number, epoch)

    def tell(self, result: TrialResult, usage: Usage = NOTHING_USED) -> None:
        """Record the end of a training; a repeated call has no effect.

        A training that lost its worker is repeated up to `max_retries` times per start; preemptions
        of its node are not counted. A training that was stopped by the budget stays RUNNING until
        the finals are opened again.
        """
        number = result.number
        ended = self.ledger.records[number].state.is_finished or number in self._failed
        if ended or number in self._to_run_again:
            # A runner may tell the same end twice: usage and losses are counted once.
            return
        self._account.book(number, usage, is_over=True)
        if result.preempted:
            self._to_run_again.append(number)
            return
        if result.state is not TrialState.FAILED:
            if result.state.is_finished:
                self.ledger.write_result(number, result)
            return
        self.ledger.write_failure(number, result.reason)
        self._n_lost[number] = self._n_lost.get(number, 0) + 1
        if result.retriable and self._n_lost[number] <= self.config.search.max_retries:
            self._to_run_again.append(number)
        else:
            self._failed[number] = result

    def give_up_failed(self) -> None:
        """Make this run's failures final: end them in the ledger, so that none is repeated."""
        for number, result in self._failed.items():
            self.ledger.write_result(number, result)
        self._failed.clear()

    def _add_next(self) -> TrialRecord | None:
        number = len(self.ledger.records)
        if number >= self.n_trials:
            return None
        trial = self._trials[number]
        return self._add(trial, self.space.part_in_space(trial.hyperparameters))

    def _as_ended(self, record: TrialRecord) -> TrialRecord:
        result = self._failed.get(record.number)
        return record if result is None else replace(record, state=result.state, result=result)


def name_of(record: TrialRecord | Trial) -> str:
    """Return the name of a training, such as `student_alone of V1, seed 2`."""
    trial = record.trial if isinstance(record, TrialRecord) else record
    return f"{trial.contender} of {trial.condition.name}, seed {trial.repetition}"


def listed(records: Sequence[TrialRecord], most: int = 5) -> str:
    """Return a phrase with trainings, their states and reasons."""
    shown = [
        f"training {record.number} ({name_of(record)}) {record.state.value}: "
        f"{record.result.reason if record.result else ''}".rstrip(": ")
        for record in records[:most]
    ]
    more = len(records) - most
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
