"""The trials of a study as a sampler of Optuna sees them: centred, and of very many a part.

What a lead shows shifts every value of its trials; so a condition's median is taken off first, and
what is left is what the hyper-parameters did.

A sampler's proposal takes the longer the more trials it sees, for TPE about in proportion, for a
Gaussian process with the third power. From `MOST_SEEN` trials on it sees as many and no more: the
best of all, those that run, and of the others evenly many of all ages. TPE tells good from bad by
the few best, and needs of the others only where they are dense. Whether its proposals are as good
as with all of them was not measured.
"""

import heapq
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from mvkt_ray.records import Arm, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.trial_record import TrialRecord

MOST_SEEN: Mapping[str, int] = {"tpe": 1500, "gp": 500}
"""Trials, by sampler; a Gaussian process has no use for any but complete ones. What they come to in
seconds is in benchmarks/README.md."""

N_BEST = 100
"""Of all trials, those that are always among them. TPE calls at most 25 good."""

_STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.RUNNING: optuna.trial.TrialState.RUNNING,
    # Shown as pruned before its first epoch, which TPE ranks below everything else: a region where
    # training diverges is to be avoided, not forgotten.
    TrialState.DIVERGED: optuna.trial.TrialState.PRUNED,
}

_NEVER = datetime(2000, 1, 1)
"""Samplers do not look at times, but Optuna's trials must have them."""


def history_for(
    sampler: str, space: SearchSpace, records: Sequence[TrialRecord]
) -> list[FrozenTrial]:
    """Return what a sampler is to see of a study, by number.

    Args:
        sampler: `tpe` or `gp`.
        space: What hyper-parameters are drawn from.
        records: All trials so far, by number.

    Returns:
        Search trials, with the medians of their conditions taken off their values.
    """
    levels = _Levels(records)
    shown = [r for r in records if r.trial.arm is Arm.SEARCH and r.state in _STATES]
    if len(shown) > MOST_SEEN[sampler]:
        shown = _thinned(shown, levels, sampler)
    distributions: dict[frozenset[str], dict[str, BaseDistribution]] = {}
    history: list[FrozenTrial] = []
    for record in shown:
        names = frozenset(record.drawn)
        if names not in distributions:
            distributions[names] = {name: space.distributions[name] for name in record.drawn}
        history.append(_freeze(record, levels, distributions[names]))
    return history


class _Levels:
    """The medians of each condition, after the last epoch and after earlier ones.

    Baselines count: they are the same in every condition, and there before the first search trial.
    """

    def __init__(self, records: Sequence[TrialRecord]) -> None:
        self._by_condition: dict[str, list[TrialRecord]] = {}
        for record in records:
            self._by_condition.setdefault(record.condition, []).append(record)
        self._known: dict[tuple[str, int], float] = {}

    def above_final(self, record: TrialRecord) -> float | None:
        """Take off what a complete trial reached the median of the condition's complete trials."""
        if record.macro_auroc is None:
            return None
        key = (record.condition, 0)
        if key not in self._known:
            values = (each.macro_auroc for each in self._by_condition[record.condition])
            self._known[key] = _median(value for value in values if value is not None)
        return record.macro_auroc - self._known[key]

    def above_last(self, record: TrialRecord) -> dict[int, float]:
        """Take off the last value of a pruned trial the median of those that came to its epoch.

        Returns:
            What is left, by epoch; empty for one that is not pruned or came to no epoch.
        """
        if record.state is not TrialState.PRUNED or not record.values:
            return {}
        epoch = record.last_scored_epoch
        key = (record.condition, epoch)
        if key not in self._known:
            records = self._by_condition[record.condition]
            self._known[key] = _median(r.values[epoch] for r in records if epoch in r.values)
        return {epoch: record.values[epoch] - self._known[key]}


def _thinned(trials: list[TrialRecord], levels: _Levels, sampler: str) -> list[TrialRecord]:
    """Leave as many as the sampler sees: the best, those that run, and evenly many others."""
    running = [each for each in trials if each.state is TrialState.RUNNING]
    ended = [
        each
        for each in trials
        if each.state is not TrialState.RUNNING
        and (sampler != "gp" or each.state is TrialState.COMPLETE)
    ]
    kept = {each.number for each in (*_best(ended, levels), *running)}
    others = [each.number for each in ended if each.number not in kept]
    room = min(len(others), max(0, MOST_SEEN[sampler] - len(kept)))
    kept.update(others[-1 - place * len(others) // room] for place in range(room))
    return [each for each in trials if each.number in kept]


def _best(ended: Sequence[TrialRecord], levels: _Levels) -> list[TrialRecord]:
    """Return the best trials as TPE ranks them: pruned ones are below those that are complete."""
    complete = [each for each in ended if each.macro_auroc is not None]
    best = heapq.nlargest(N_BEST, complete, key=lambda each: levels.above_final(each) or 0.0)
    if len(best) == N_BEST:
        return best

    def longest_first(record: TrialRecord) -> tuple[int, float]:
        [(epoch, value)] = levels.above_last(record).items() or [(0, -math.inf)]
        return epoch, -math.inf if math.isnan(value) else value

    others = (each for each in ended if each.macro_auroc is None)
    return best + heapq.nlargest(N_BEST - len(best), others, key=longest_first)


def _freeze(
    record: TrialRecord, levels: _Levels, distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    state = _STATES[record.state]
    params: dict[str, Any] = dict(record.drawn)
    # The trial that is asked for gets number 0 in its storage, so these start at 1.
    number = record.number + 1
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=levels.above_final(record),
        datetime_start=_NEVER,
        datetime_complete=_NEVER if state.is_finished() else None,
        params=params,
        distributions=dict(distributions),
        user_attrs={},
        system_attrs={},
        intermediate_values=levels.above_last(record),
    )


def _median(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return statistics.median(finite) if finite else 0.0
