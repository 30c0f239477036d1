"""Metrics of a study's progress, which Ray exports to Prometheus with its own metrics.

Ray prefixes their names with `ray_`, and appends `_total` to counters. The driver's node serves
them at `/metrics` of the port that `ray start --metrics-export-port` sets; Ray lists all nodes for
Prometheus in `prom_metrics_service_discovery.json` of its temporary folder.
"""

import contextlib
import time
from collections import Counter as CountOf
from collections.abc import Callable, Generator, Sequence
from typing import Protocol, runtime_checkable

from ray.util.metrics import Counter, Gauge

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.prices import SECONDS_PER_HOUR, PriceList, Spent

_SECONDS_BETWEEN_UPDATES = 1.0
"""An update reads all records, which takes longer than a report; scrapes are less frequent."""


@runtime_checkable
class Measured(Protocol):
    """Anything that has metrics: a study, its finals, or a wrapper of one."""

    @property
    def config(self) -> StudyConfig:
        """Configuration of the study."""
        ...

    @property
    def prices(self) -> PriceList:
        """Prices of nodes."""
        ...

    @property
    def spent(self) -> Spent:
        """Spending so far, including running trials."""
        ...

    def trials(self) -> Sequence[TrialRecord]:
        """Return the records of all trials, by number."""
        ...


class StudyMetrics:
    """Gauges and counters of one study."""

    def __init__(self, study: Measured) -> None:
        """Register with the Ray that this process is connected to."""
        self._study = study
        self._tags = {"study": study.config.name}
        self._trials = Gauge("mvkt_trials", "Trials by state.", ("study", "state"))
        self._best = Gauge(
            "mvkt_best_macro_auroc", "Of complete trials, on validation.", ("study",)
        )
        self._epochs = Counter("mvkt_epochs", "Epochs that were reported.", ("study",))
        self._gpu_hours = Gauge("mvkt_spent_gpu_hours", "GPU hours spent.", ("study",))
        self._money = Gauge("mvkt_spent_money", "Money spent.", ("study", "currency"))
        # The counter starts at 0 and adds only epochs of this start of the study.
        self._n_epochs = self._count_epochs()

    def update(self) -> None:
        """Set the metrics to the study's current state."""
        records, spent = self._study.trials(), self._study.spent
        states = CountOf(record.state for record in records)
        for state in TrialState:
            self._trials.set(states[state], {**self._tags, "state": state.value})
        scores = [record.macro_auroc for record in records if record.macro_auroc is not None]
        if scores:
            self._best.set(max(scores), self._tags)
        n_epochs = self._count_epochs()
        if n_epochs > self._n_epochs:
            self._epochs.inc(n_epochs - self._n_epochs, self._tags)
            self._n_epochs = n_epochs
        self._gpu_hours.set(spent.gpu_s / SECONDS_PER_HOUR, self._tags)
        if not self._study.prices.is_empty:
            tags = {**self._tags, "currency": self._study.prices.currency}
            self._money.set(spent.money, tags)

    def _count_epochs(self) -> int:
        return sum(record.last_epoch for record in self._study.trials())


@contextlib.contextmanager
def measuring(study: object, on_change: Callable[[], None]) -> Generator[Callable[[], None]]:
    """Export metrics of a study during the block; yield the function to call at each change.

    Args:
        study: The study; without the interface of `Measured`, it has no metrics.
        on_change: Called at each change, too.
    """
    if not isinstance(study, Measured):
        yield on_change
        return
    metrics = StudyMetrics(study)
    metrics.update()
    last = time.monotonic()

    def changed() -> None:
        nonlocal last
        on_change()
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_UPDATES:
            last = now
            metrics.update()

    try:
        yield changed
    finally:
        metrics.update()
