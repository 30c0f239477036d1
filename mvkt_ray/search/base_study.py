"""Common base of a search's study and its finals: trials in a ledger, within a budget."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import Scalar
from mvkt_ray.records import Condition, Decision, EpochMetrics, Trial
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.budget import Account, Budget
from mvkt_ray.search.spending.prices import PriceList, Spent


class BaseStudy(ABC):
    """Returns interrupted trials before new ones, and none after its budget is spent."""

    def __init__(
        self, config: StudyConfig, space: SearchSpace, ledger: Ledger, budget: Budget | None = None
    ) -> None:
        """Take over a ledger.

        Args:
            config: The study.
            space: Its search space.
            ledger: Its ledger; mended, unless it is only read.
            budget: Limits, and earlier spending; None: no limit.
        """
        self.config = config
        self.space = space
        self._ledger = ledger
        self._account = Account(ledger, budget or Budget(PriceList(config.resources.cost)))
        self._to_run_again = deque(
            record.number for record in ledger.records if record.result is None
        )

    @property
    @abstractmethod
    def n_trials(self) -> int:
        """Planned number of trials."""

    @property
    @abstractmethod
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions that the study compares, in order."""

    @property
    def prices(self) -> PriceList:
        """Prices of nodes."""
        return self._account.budget.prices

    @property
    def spent(self) -> Spent:
        """Total spending so far, including running trials and the stages before the trials."""
        return self._account.budget.spent

    @property
    def stopped_by(self) -> str:
        """Description of the limit that stops the trials; empty: none does."""
        n_ended = sum(record.state.is_finished for record in self.trials())
        return self._account.budget.reached if n_ended < self.n_trials else ""

    def trials(self) -> tuple[TrialRecord, ...]:
        """Return the records of all trials so far, by number; from memory."""
        return tuple(self._ledger.records)

    def ask(self) -> Trial | None:
        """Return the next trial to run; None: there is none now, or the budget is spent.

        Trials that lost their worker or driver, and must be repeated, come before new ones. While
        trials are running, a later call may return another trial after a None.
        """
        if self._account.budget.reached:
            return None
        if self._to_run_again:
            return self._ledger.records[self._to_run_again.popleft()].trial
        record = self._add_next()
        return None if record is None else record.trial

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    @property
    def _last_epoch(self) -> int:
        """Largest number of epochs of a trial."""
        return self.config.student.epochs

    @abstractmethod
    def _add_next(self) -> TrialRecord | None:
        """Add the next new trial to the ledger; None: there is none left."""

    def _note_unscored(self, number: int, metrics: EpochMetrics) -> None:
        """Record that a trial ended an epoch without validation."""
        if metrics.epoch > self._ledger.records[number].last_epoch:
            self._ledger.write_unscored(number, metrics.epoch)

    def _answer(self, number: int, epoch: int) -> Decision:
        """Return the decision on a running trial: STOP if the budget is spent, not at its end."""
        decision = self._ledger.records[number].decision_at(epoch)
        is_last = epoch >= self._last_epoch
        if decision is Decision.CONTINUE and not is_last and self._account.budget.reached:
            return Decision.STOP
        return decision

    def _add(self, trial: Trial, drawn: Mapping[str, Scalar]) -> TrialRecord:
        return self._ledger.add(
            trial,
            drawn=drawn,
            distributions=self.space.distributions,
            conditions=self.conditions,
        )
