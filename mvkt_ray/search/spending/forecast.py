"""Predicts the cost of a search from ended trials, the basis of the forecast.

Trials are assumed to take as many epochs, and seconds per epoch, as those of the basis on average,
pruned trials included and failures left out. The forecast is as good as the basis is similar: the
same data, networks, kinds of nodes and `student.validate`.

Networks with reservations of their own (`resources.students`) are drawn unpredictably often, so the
forecast takes the worst of each: most GPUs, highest price, fewest trials at once, fewest workers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.prices import SECONDS_PER_HOUR, PriceList
from mvkt_ray.slots import Node, models_on

_MEASURED_STATES = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The predicted remainder of a search."""

    basis: str
    """The trials that it rests on, in words."""
    n_trials: int
    """Trials that have not ended."""
    full_trial_s: float
    """Wall seconds of a trial that is not pruned."""
    share: float
    """Expected share of a full trial's epochs that is trained, as pruning saves the rest."""
    worker_hours: float
    gpu_hours: float
    """With the GPUs of the network that has most."""
    money: float | None
    """At the highest price; None where a usable node has no price."""
    currency: str
    wall_s: float
    n_at_once: int
    """Trials side by side, as many as the nodes hold now."""


def forecast(
    config: StudyConfig,
    *,
    n_ended: int,
    basis: Sequence[TrialRecord],
    basis_epochs: int,
    basis_name: str,
    nodes: Sequence[Node],
    one_at_a_time: bool,
) -> Forecast | None:
    """Predict the remainder of a study; None where the basis has no complete or pruned trial.

    Args:
        config: The study.
        n_ended: Number of its ended trials.
        basis: Records of similar trials.
        basis_epochs: Epochs of an unpruned trial of the basis.
        basis_name: The basis in words.
        nodes: Present nodes.
        one_at_a_time: Whether trials never run side by side.
    """
    pace = _Pace.of(basis, basis_epochs)
    if pace is None:
        return None
    kinds, prices = config.trial_workers(), PriceList(config.resources.cost)
    n_trials = max(0, config.search.n_trials - n_ended)
    side_by_side = () if one_at_a_time else nodes
    most = config.resources.max_concurrent_trials or n_trials
    n_at_once = max(1, min(trials_at_once(config, side_by_side), most, n_trials))
    n_workers = min(_n_workers(side_by_side, workers, n_at_once) for workers in kinds)

    full_trial_s = config.trial_epochs * pace.epoch_s / n_workers
    n_rounds = math.ceil(n_trials / n_at_once)
    worker_s = n_trials * pace.share * config.trial_epochs * pace.epoch_s
    gpus = max(workers.gpus_per_worker for workers in kinds)
    price = _price(nodes, kinds, prices)
    return Forecast(
        basis=f"{pace.n_trials} trials of {basis_name}",
        n_trials=n_trials,
        full_trial_s=full_trial_s,
        share=pace.share,
        worker_hours=worker_s / SECONDS_PER_HOUR,
        gpu_hours=worker_s * gpus / SECONDS_PER_HOUR,
        money=None if price is None else price * worker_s / SECONDS_PER_HOUR,
        currency=prices.currency,
        wall_s=n_rounds * pace.share * full_trial_s,
        n_at_once=n_at_once,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pace:
    """Mean seconds per epoch, and trained share of the epochs, of the basis' trials."""

    n_trials: int
    """Number of trials that it is based on: complete or pruned."""
    epoch_s: float
    """Seconds of all workers together for one epoch."""
    share: float
    """Trained share of the epochs that these trials could have had."""

    @classmethod
    def of(cls, basis: Sequence[TrialRecord], basis_epochs: int) -> "_Pace | None":
        """Measure the basis' trials; None: no trial is complete or pruned."""
        ended = [(r.result, r.usage.worker_s) for r in basis if r.result is not None]
        measured = [
            # Without recorded usage: the wall time, as of one worker.
            (result.epochs, worker_s or result.wall_s)
            for result, worker_s in ended
            if result.state in _MEASURED_STATES and result.epochs
        ]
        if not measured:
            return None
        n_epochs = sum(epochs for epochs, _ in measured)
        return cls(
            n_trials=len(measured),
            epoch_s=sum(seconds for _, seconds in measured) / n_epochs,
            share=n_epochs / (len(measured) * basis_epochs),
        )


def trials_at_once(config: StudyConfig, nodes: Sequence[Node]) -> int:
    """Return the number of concurrent trials that fit on nodes, whatever networks they draw."""
    return min(models_on(nodes, workers) for workers in config.trial_workers())


def _n_workers(nodes: Sequence[Node], workers: WorkersConfig, n_at_once: int) -> int:
    """Return the number of a trial's workers; elastic ones use the slots that others leave."""
    share = sum(node.slots(workers) for node in nodes) // n_at_once
    return max(workers.min_workers, min(workers.max_workers, share))


def _price(
    nodes: Sequence[Node], kinds: Sequence[WorkersConfig], prices: PriceList
) -> float | None:
    """Return the highest price of a worker's hour; None if a price is unknown."""
    found: list[float | None] = []
    for workers in kinds:
        usable = [node for node in nodes if node.slots(workers) > 0]
        asked = workers.cpus, workers.gpus_per_worker
        found += [prices.per_worker_hour(node, *asked) for node in usable] or [None]
    known = [price for price in found if price is not None]
    return max(known) if len(known) == len(found) else None
