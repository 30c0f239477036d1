"""The trials of a study as a sampler of Optuna sees them: centred, and of very many a part.

What a lead shows shifts every score of its trials; so a condition's median is taken off first, and
what is left is what the hyper-parameters did.

With several objectives a trial has a value in each. Sizes and latencies are shown as their
logarithms, so that half of a size is worth the same wherever it is halved: the hypervolumes by
which TPE chooses among trials, and the crowding distances of NSGA-II, would else see the largest
students alone. No median is taken off: a student's size hardly depends on its lead.

A pruned trial is then shown as a complete one, with its size, and with its last score less the
median of what complete trials had after that epoch. Optuna's TPE ranks pruned trials by a single
objective, and its NSGA-II sees none, but here most of the small students may be among them: pruning
is by score, and one that is worse than large students is not worse than others of its size.

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

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from mvkt_ray.config.objectives import SCORE, Objective
from mvkt_ray.records import Arm, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.statistics.pareto import non_dominated

MOST_SEEN: Mapping[str, int] = {"tpe": 1500, "gp": 500, "nsga2": 1500}
"""Trials, by sampler; only TPE has a use for any but complete ones. What they come to in seconds
with one objective is in benchmarks/README.md."""

N_BEST = 100
"""Of all trials, those that are always among them. TPE calls at most 25 good; with several
objectives, the front is among them, too, however many trials it has."""

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
    sampler: str,
    space: SearchSpace,
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective] = (SCORE,),
    *,
    most: int | None = None,
    n_before: int = 0,
) -> list[FrozenTrial]:
    """Return what a sampler is to see of a study, by number.

    Args:
        sampler: `tpe`, `gp` or `nsga2`.
        space: What hyper-parameters are drawn from.
        records: All trials so far, by number.
        objectives: Of the study.
        most: How many it sees at most; None: `MOST_SEEN`.
        n_before: Trials that it sees before these, which have the numbers from 1 on.

    Returns:
        Search trials, with the medians of their conditions taken off their scores.
    """
    levels = _Levels(records)
    shown = [r for r in records if r.trial.arm is Arm.SEARCH and r.state in _STATES]
    values = {r.number: _values(r, levels, objectives) for r in shown}
    most = MOST_SEEN[sampler] if most is None else most
    if len(shown) > most:
        shown = _thinned(shown, values, levels, sampler, most)
    distributions: dict[frozenset[str], dict[str, BaseDistribution]] = {}
    history: list[FrozenTrial] = []
    for record in shown:
        names = frozenset(record.drawn)
        if names not in distributions:
            distributions[names] = {name: space.distributions[name] for name in record.drawn}
        # With several objectives, values that a pruned trial has no other use for are left out:
        # TPE would compare them by the direction of a single objective.
        curve = levels.above_last(record) if len(objectives) == 1 else {}
        # The trial that is asked for gets number 0 in its storage, so these start at 1.
        number = n_before + record.number + 1
        history.append(_freeze(record, number, values[record.number], curve, distributions[names]))
    return history


class _Levels:
    """The medians of each condition, after the last epoch and after earlier ones.

    Baselines count: they are the same in every condition, and there before the first search trial.
    """

    def __init__(self, records: Sequence[TrialRecord]) -> None:
        self._by_condition: dict[str, list[TrialRecord]] = {}
        for record in records:
            self._by_condition.setdefault(record.condition, []).append(record)
        self._known: dict[tuple[str, int, bool], float] = {}

    def above_final(self, record: TrialRecord) -> float | None:
        """Take off what a complete trial reached the median of the condition's complete trials."""
        if record.macro_auroc is None:
            return None
        key = (record.condition, 0, True)
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
        return {epoch: record.values[epoch] - self._at(record.condition, epoch, complete=False)}

    def above_complete(self, record: TrialRecord) -> float | None:
        """Take off the last value of a pruned trial what complete ones had after its epoch.

        A trial that did as they did until then is so worth as much as they are in the end; against
        all that came to the epoch, a pruned one would look better than a complete one. Where none
        is complete, those that came to it have to do.
        """
        if record.state is not TrialState.PRUNED or not record.values:
            return None
        epoch = record.last_scored_epoch
        level = self._at(record.condition, epoch, complete=True)
        above = record.values[epoch] - level
        return above if math.isfinite(above) else None

    def _at(self, condition: str, epoch: int, *, complete: bool) -> float:
        key = (condition, epoch, complete)
        if key not in self._known:
            came = [r for r in self._by_condition[condition] if epoch in r.values]
            if complete:
                came = [r for r in came if r.macro_auroc is not None] or came
            self._known[key] = _median(r.values[epoch] for r in came)
        return self._known[key]


def _values(
    record: TrialRecord, levels: _Levels, objectives: Sequence[Objective]
) -> list[float] | None:
    """Return what a trial is worth in each objective; None where it has no place among others."""
    above = levels.above_final(record)
    if above is None and len(objectives) > 1:
        above = levels.above_complete(record)
    if above is None or record.result is None:
        return None
    costs = [record.result.objective(name) for name in objectives[1:]]
    known = [cost for cost in costs if cost is not None]
    return None if len(known) < len(costs) else [above, *map(math.log, known)]


def _thinned(
    trials: list[TrialRecord],
    values: Mapping[int, list[float] | None],
    levels: _Levels,
    sampler: str,
    most: int,
) -> list[TrialRecord]:
    """Leave as many as the sampler sees: the best, those that run, and evenly many others."""
    running = [each for each in trials if each.state is TrialState.RUNNING]
    ended = [
        each
        for each in trials
        if each.state is not TrialState.RUNNING
        and (sampler == "tpe" or values[each.number] is not None)
    ]
    kept = {each.number for each in (*_best(ended, values, levels), *running)}
    others = [each.number for each in ended if each.number not in kept]
    room = min(len(others), max(0, most - len(kept)))
    kept.update(others[-1 - place * len(others) // room] for place in range(room))
    return [each for each in trials if each.number in kept]


def _best(
    ended: Sequence[TrialRecord], values: Mapping[int, list[float] | None], levels: _Levels
) -> list[TrialRecord]:
    """Return the front, and the best by score: trials without a value are below all others."""
    valued = [(each, value) for each in ended if (value := values[each.number]) is not None]
    best = [each for each, _ in heapq.nlargest(N_BEST, valued, key=lambda pair: pair[1][0])]
    if valued and len(valued[0][1]) > 1:
        values_ND = np.array([value for _, value in valued])
        front_N = non_dominated(values_ND, maximize=_is_score(values_ND.shape[1]))
        best += [each for (each, _), is_front in zip(valued, front_N, strict=True) if is_front]
    if len(best) >= N_BEST:
        return best

    def longest_first(record: TrialRecord) -> tuple[int, float]:
        [(epoch, value)] = levels.above_last(record).items() or [(0, -math.inf)]
        return epoch, -math.inf if math.isnan(value) else value

    others = (each for each in ended if values[each.number] is None)
    return best + heapq.nlargest(N_BEST - len(best), others, key=longest_first)


def _is_score(n_objectives: int) -> list[bool]:
    return [True, *[False] * (n_objectives - 1)]


def _freeze(
    record: TrialRecord,
    number: int,
    values: list[float] | None,
    curve: Mapping[int, float],
    distributions: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    state = _STATES[record.state] if values is None else optuna.trial.TrialState.COMPLETE
    params: dict[str, Any] = dict(record.drawn)
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=None,
        values=values,
        datetime_start=_NEVER,
        datetime_complete=_NEVER if state.is_finished() else None,
        params=params,
        distributions=dict(distributions),
        user_attrs={},
        system_attrs={},
        intermediate_values=dict(curve),
    )


def _median(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return statistics.median(finite) if finite else 0.0
