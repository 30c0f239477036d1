"""Limits on the spending of a study, and the account of its spending, running trials included.

The answer to a trial's report after an epoch stops it, so that a limit is exceeded by at most one
epoch of each running trial. Stopped trials keep their checkpoints, and resume when the study is
started again with higher limits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from mvkt_ray.config.resources import CostConfig, ResourcesConfig
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Usage
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.prices import SECONDS_PER_HOUR, PriceList, Spent
from mvkt_ray.slots import Node

WRITE_EVERY_S = 60.0
"""Worker seconds between two records of a running trial's usage. A driver's death loses less than
that; a record for each report would double the writes of the ledger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits on the total over all starts of a study; None: no limit."""

    gpu_hours: float | None = None
    money: float | None = None

    def check(self, resources: ResourcesConfig) -> None:
        """Refuse limits that can never be reached, or cannot be measured.

        Raises:
            ConfigError: The message has the flag, and the missing GPUs or prices.
        """
        models = resources.models()
        if self.gpu_hours is not None and not any(m.gpus_per_worker for m in models.values()):
            keys = ", ".join(f"resources.{name}" for name in models)
            raise ConfigError(
                f"--max-gpu-hours {self.gpu_hours:g} would never be reached: neither trials nor "
                f"the teacher reserve a GPU (gpus_per_worker is 0 in {keys}). Leave it out, or "
                "limit the search by --time-budget, --max-trials or --max-cost."
            )
        if self.money is not None and not resources.cost.node_types:
            raise ConfigError(
                f"--max-cost {self.money:g} needs prices, and the study has none. Give "
                "resources.cost.node_types in the study file, or a file of prices by --prices: "
                "for each type of node its price_per_hour, cpus, gpus and accelerator_type."
            )

    def check_nodes(self, nodes: Iterable[Node], resources: ResourcesConfig) -> None:
        """Refuse a limit of money if a worker may run on a node without a price.

        Raises:
            ConfigError: The message has the nodes, and the types with prices.
        """
        if self.money is None:
            return
        needed = resources.models().values()
        usable = {node for node in nodes if any(node.slots(each) > 0 for each in needed)}
        unpriced = PriceList(resources.cost).unpriced(usable)
        if unpriced:
            raise ConfigError(
                f"--max-cost {self.money:g} cannot be kept: there is no price for "
                f"{', '.join(sorted(map(str, unpriced)))}. Prices are known for "
                f"{', '.join(resources.cost.node_types)}. Name the node's group, or give its "
                "cpus, gpus and accelerator_type, in resources.cost.node_types or in the file of "
                "--prices."
            )


NO_LIMITS = Limits()


class Budget:
    """Limits, and the spending that counts against them."""

    def __init__(
        self,
        prices: PriceList | None = None,
        limits: Limits = NO_LIMITS,
        *,
        before: Spent | None = None,
    ) -> None:
        """Begin to count.

        Args:
            prices: Prices of nodes.
            limits: Limits of the spending.
            before: Spending on other things than trials: the teacher.
        """
        self.prices = prices or PriceList(CostConfig())
        self.limits = limits
        self.spent = before or Spent()
        """Spending of the trials and before them."""
        self._by_trial: dict[int, Spent] = {}

    def book(self, number: int, usage: Usage) -> None:
        """Replace a trial's usage by its new total."""
        # As a difference to the trial's former total: a sum over all trials would make the price of
        # a report grow with the study.
        now = self.prices.spent(usage.reservations)
        self.spent += now - self._by_trial.get(number, Spent())
        self._by_trial[number] = now

    @property
    def reached(self) -> str:
        """The limit that is reached, in words; empty while none is."""
        limits, spent = self.limits, self.spent
        gpu_hours = spent.gpu_s / SECONDS_PER_HOUR
        if limits.gpu_hours is not None and gpu_hours >= limits.gpu_hours:
            return f"{gpu_hours:.3g} GPU hours of {limits.gpu_hours:g} (--max-gpu-hours) are spent"
        if limits.money is None:
            return ""
        currency = self.prices.currency
        if spent.money >= limits.money:
            return f"{spent.money:.4g} {currency} of {limits.money:g} (--max-cost) are spent"
        if spent.unpriced_s > 0:
            return (
                f"{spent.money:.4g} {currency} are spent, and {spent.unpriced_s:.0f} s on nodes "
                f"that have no price, so that --max-cost {limits.money:g} cannot be kept"
            )
        return ""


class UsageLedger(Protocol):
    """The record of usage."""

    @property
    def records(self) -> list[TrialRecord]:
        """The records of all trials, by number."""
        ...

    def write_usage(self, number: int, usage: Usage) -> None:
        """Record the usage of a trial over all attempts."""
        ...


class Account:
    """Books the usage of trials' attempts, in a ledger and against a budget."""

    def __init__(self, ledger: UsageLedger, budget: Budget) -> None:
        """Count the usage in the ledger."""
        self.budget = budget
        self._ledger = ledger
        self._before: dict[int, Usage] = {}
        for record in ledger.records:
            budget.book(record.number, record.usage)

    def book(self, number: int, attempt: Usage, *, is_over: bool) -> None:
        """Count the usage of the running attempt since it began.

        Args:
            number: Number of the trial.
            attempt: The attempt's total so far, which replaces its earlier totals.
            is_over: The attempt has ended: record at once; the next attempt starts from 0.
        """
        written = self._ledger.records[number].usage
        usage = self._before.setdefault(number, written).plus(attempt)
        self.budget.book(number, usage)
        if usage != written and (is_over or usage.worker_s - written.worker_s >= WRITE_EVERY_S):
            self._ledger.write_usage(number, usage)
        if is_over:
            del self._before[number]
