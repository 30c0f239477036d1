"""A study: which trial is next, whether a trial goes on, and how each ended.

This is the whole conversation between a search and whoever runs its trials; runners know no
Optuna. The driver alone talks to a study, in one thread. Everything is in the ledger before it is
answered, so a driver may die between any two calls, and a study opened again goes on as if it
had not.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from mvkt_ray import __version__
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import ArtifactError, StaleArtifactError
from mvkt_ray.records import (
    NOTHING_USED,
    Arm,
    Condition,
    Decision,
    EpochMetrics,
    MeasuredPrecision,
    Trial,
    TrialResult,
    TrialState,
    Usage,
)
from mvkt_ray.search.base_study import BaseStudy
from mvkt_ray.search.choosing.dealing import Dealer
from mvkt_ray.search.choosing.pruning import Pruning
from mvkt_ray.search.choosing.racing import Look, Noise, Race, read_looks
from mvkt_ray.search.choosing.space import SearchSpace, n_trials
from mvkt_ray.search.choosing.warm_starts.learnt import KIND, Learnt
from mvkt_ray.search.failing.failure_streak import FailureStreak
from mvkt_ray.search.failing.lost_trials import LostTrials
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.study_identity import plain_config
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.same_study import check_same_study
from mvkt_ray.search.spending.budget import Budget

PRECISION_NOTE = "cpu_precision"
"""Under which the ledger notes what `precision: auto` is on CPUs, by network."""


class Study(BaseStudy):
    """Deals trials to conditions, decides on reports, and keeps the ledger."""

    def __init__(
        self,
        config: StudyConfig,
        space: SearchSpace,
        ledger: Ledger,
        *,
        deadline_s: float | None,
        noise: Noise | None = None,
        budget: Budget | None = None,
        learnt: Learnt | None = None,
    ) -> None:
        """Take over a ledger; use `begin_or_resume` or `open`."""
        super().__init__(config, space, ledger, budget)
        self._deadline = None if deadline_s is None else time.monotonic() + deadline_s
        self._pruning = Pruning(
            config.search.pruner, epochs=config.student.epochs, study_name=config.name
        )
        self._race = Race(
            space.conditions,
            [Arm(name) for name in config.search.baselines],
            noise,
            read_looks(ledger.notes),
        )
        open_records = [record for record in ledger.records if record.result is None]
        aside = [r.number for r in open_records if len(r.failures) > config.search.max_retries]
        self._lost = LostTrials(aside, any_ended=len(open_records) < len(ledger.records))
        self._to_run_again = deque(n for n in self._to_run_again if n not in self._lost)
        self._streak = FailureStreak(
            config.search.stop_after_failures, [record.state for record in ledger.records]
        )
        history = () if learnt is None else tuple(learnt.history(config, space))
        self._dealer = Dealer(config, space, ledger, self._race, history)
        self._running: set[int] = set()
        for record in ledger.records:
            self._pruning.enter(record)

    @classmethod
    def begin_or_resume(
        cls,
        config: StudyConfig,
        space: SearchSpace,
        ledger: Ledger,
        *,
        inputs: Mapping[str, str],
        precisions: Callable[[], Mapping[str, MeasuredPrecision]] = dict,
        deadline_s: float | None = None,
        noise: Noise | None = None,
        budget: Budget | None = None,
        learnt: Learnt | None = None,
    ) -> "Study":
        """Start the study of an open ledger, or resume it.

        Args:
            config: The study. To resume, it must equal the one that was started, except for the
                numbers of trials (more of them extend the study) and retries, and the resources.
            space: Its search space.
            ledger: Its ledger, empty at first; see `find_ledger`.
            inputs: Fingerprints of the trials' inputs, by kind.
            precisions: Measures which precision `auto` is on CPUs, by network; called once, when
                the study starts.
            deadline_s: Seconds from now after which no new trial is dealt.
            noise: Covariance of trials' scores; needed by a study that races its conditions.
            budget: Limits, and what was spent before the trials; by default no limit.
            learnt: Trials of another study for the sampler's history; by default none.

        Raises:
            StaleArtifactError: The study there has another configuration or other inputs.
        """
        assert (learnt is None) == (config.search.learn_from is None)
        if learnt is not None:
            inputs = {**inputs, KIND: learnt.fingerprint}
        check_same_study(ledger.notes, config, inputs)
        ledger.name_objectives(config.search.objectives)
        ledger.mend()
        settled = ledger.notes.get(PRECISION_NOTE)
        if settled is None:
            settled = {name: each.to_json() for name, each in precisions().items()}
        ledger.note(
            {
                PRECISION_NOTE: settled,
                "leads": list(space.leads),
                "inputs": dict(inputs),
                "mvkt_ray_version": __version__,
                # Last: a study without it was not begun.
                "config": plain_config(config),
            }
        )
        return cls(
            config,
            space,
            ledger,
            deadline_s=deadline_s,
            noise=noise,
            budget=budget,
            learnt=learnt,
        )

    @classmethod
    def open(
        cls, config: StudyConfig, database: LedgerDatabase, *, budget: Budget | None = None
    ) -> "Study":
        """Open a study to look at it; another process may be running it.

        Args:
            config: The study.
            database: Where its ledger is.
            budget: What was spent before the trials; by default nothing.

        Raises:
            ArtifactError: It is not there, or has not begun.
            StaleArtifactError: It was begun with another configuration.
        """
        ledger = Ledger.open(database, config.name)
        if "config" not in ledger.notes:
            ledger.close()
            raise ArtifactError(f"{database.url} holds a study without trials. Start it again.")
        try:
            check_same_study(ledger.notes, config, {})
        except StaleArtifactError:
            ledger.close()
            raise
        space = SearchSpace.from_config(config, ledger.notes["leads"])
        return cls(config, space, ledger, deadline_s=None, budget=budget)

    @property
    def n_trials(self) -> int:
        """How many trials the study comes to, baselines included."""
        return n_trials(self.config, self.space)

    @property
    def cpu_precision(self) -> dict[str, str]:
        """Precision that `auto` stands for on CPUs, by network; fixed when the study started."""
        return cpu_precision_of(self._ledger.notes)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions that the study compares."""
        return self.space.conditions

    @property
    def looks(self) -> tuple[Look, ...]:
        """When conditions were compared, and which of them stopped getting trials and why.

        Empty where conditions are not raced.
        """
        return self._race.looks

    def has_failed(self, number: int) -> bool:
        """Whether a trial is over without having come to an end, so that none goes on from it."""
        return self._ledger.records[number].state is TrialState.FAILED

    def ask(self) -> Trial | None:
        """Return the next trial to run; see `BaseStudy.ask`.

        Raises:
            MachineError: Only trials are left whose process is lost each time, and none has ended.
        """
        trial = super().ask()
        if trial is None and not self._running and not self._account.budget.reached:
            trial = self._ask_for_lost()
        if trial is not None:
            self._running.add(trial.number)
        return trial

    def report(self, number: int, metrics: EpochMetrics, usage: Usage = NOTHING_USED) -> Decision:
        """Write down what a trial reached, and decide whether it goes on.

        The same epoch may be reported again, after a restart: it is answered as the first time.
        After one without a score the trial goes on, as far as the pruner is concerned. When the
        budget is spent, every trial that has epochs left is told to stop.

        Args:
            number: Of the trial.
            metrics: Of its epoch.
            usage: What this attempt has used since it began.
        """
        record, epoch = self._ledger.records[number], metrics.epoch
        if record.state.is_finished:
            return record.decision_at(epoch)
        with self._ledger.as_one(at_once=False):
            self._account.book(number, usage, is_over=False)
            if metrics.macro_auroc is None:
                self._note_unscored(number, metrics)
            elif epoch not in record.values:
                self._decide(record, epoch, metrics.macro_auroc)
        return self._answer(number, epoch)

    def tell(self, result: TrialResult, usage: Usage = NOTHING_USED) -> None:
        """Write down how a trial ended; the same may be told again.

        A trial that failed for a reason worth another attempt is not ended: `ask` gives it
        out again, as often as the study allows, and then `lost_trials` says whether it did that
        itself. One whose node was taken back is given out again however often. One that was told to
        stop goes on being a running one, until the study is opened again.

        Args:
            result: How it ended.
            usage: What this attempt has used.

        Raises:
            MachineError: Several trials are lost too often, and no other ends.
            AllFailedError: This one has failed as those before it, and is one too many.
        """
        number = result.number
        record = self._ledger.records[number]
        if record.state.is_finished or number in self._to_run_again or number in self._lost:
            return
        self._running.discard(number)
        with self._ledger.as_one():
            self._account.book(number, usage, is_over=True)
            if result.preempted:
                self._to_run_again.append(number)
            elif result.state is TrialState.FAILED and result.retriable:
                self._tell_lost(record, result)
            elif result.state.is_finished:
                self._ledger.write_result(number, result)
                self._to_run_again.extend(self._lost.note_end(number))
        if self._ledger.records[number].state.is_finished:
            self._streak.note(result)

    @property
    def _all_dealt(self) -> bool:
        return len(self._ledger.records) >= self.n_trials

    @property
    def _last_epoch(self) -> int:
        return self.config.trial_epochs

    @staticmethod
    def stop_at(recorded: TrialResult) -> Callable[[EpochMetrics], Decision]:
        """Return a report function that ends a trial where its record says that it ended."""

        def report(metrics: EpochMetrics) -> Decision:
            is_end = recorded.state is TrialState.PRUNED and metrics.epoch >= recorded.epochs
            return Decision.PRUNE if is_end else Decision.CONTINUE

        return report

    def _add_next(self) -> TrialRecord | None:
        is_late = self._deadline is not None and time.monotonic() >= self._deadline
        if is_late or self._all_dealt:
            return None
        with self._ledger.as_one():
            record = self._add(*self._dealer.deal())
        self._pruning.enter(record)
        return record

    def _ask_for_lost(self) -> Trial | None:
        """Return a trial that was set aside, when there is no other; settle those of this start."""
        self._to_run_again.extend(self._lost.take_later())
        trial = super().ask()
        if trial is None and self._all_dealt:
            with self._ledger.as_one():
                for result in self._lost.settle():
                    self._ledger.write_result(result.number, result)
        return trial

    def _tell_lost(self, record: TrialRecord, result: TrialResult) -> None:
        number = record.number
        self._lost.note(number)
        may_retry = len(record.failures) < self.config.search.max_retries
        if not may_retry and self._lost.is_to_blame(number):
            self._ledger.write_result(number, result)
            return
        self._ledger.write_failure(number, result.reason)
        if may_retry:
            self._to_run_again.append(number)
        else:
            self._lost.set_aside(result)

    def _decide(self, record: TrialRecord, epoch: int, macro_auroc: float) -> None:
        """Write down what a trial reached after an epoch that is new, and what that means."""
        number = record.number
        if epoch > record.decided_epoch:
            verdict = self._pruning.judge(record, epoch, macro_auroc)
            prune = verdict.decision is Decision.PRUNE
            if prune or verdict.memory != record.pruner_memory:
                # Before the value: whoever dies in between finds the decision when asked again.
                self._ledger.write_decision(number, epoch, prune=prune, memory=verdict.memory)
        self._ledger.write_value(number, epoch, macro_auroc)


def cpu_precision_of(notes: Mapping[str, Any]) -> dict[str, str]:
    """Read what a ledger notes of the precision on CPUs, by network."""
    settled = notes.get(PRECISION_NOTE, {})
    return {name: MeasuredPrecision.from_json(value).chosen for name, value in settled.items()}
