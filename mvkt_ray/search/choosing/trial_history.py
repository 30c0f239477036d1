"""Converts a study's trials to the history of a sampler of Optuna: centred, and thinned if many.

The lead shifts the scores of all its trials, so the condition's median is subtracted first; the
remainder is the effect of the hyper-parameters.

With several objectives a trial has a value in each. Sizes and latencies are given as logarithms, so
that halving a size counts the same at any size: the hypervolumes by which TPE selects trials, and
the crowding distances of NSGA-II, would otherwise depend on the largest students alone. No median
is subtracted, as a student's size hardly depends on its lead.

A pruned trial is then given as a complete one: with its size, and with its last score minus the
median of complete trials after the same epoch. Optuna's TPE ranks pruned trials by a single
objective and its NSGA-II ignores them, but here they may include most of the small students:
pruning is by score, and a student worse than large ones is not worse than others of its size.

The time of a proposal grows with the history, for TPE about linearly, for a Gaussian process with
the third power. Above `MOST_SEEN` trials the history is thinned to as many: the best of all, the
running, and an even selection of the others by age. TPE separates good from bad by the few best,
and of the others needs only their density. Whether proposals stay as good was not measured.
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
"""Length of the history by sampler; only TPE uses trials that are not complete. The time of a
proposal with one objective is in benchmarks/README.md."""

N_BEST = 100
"""Best trials that thinning always keeps; TPE treats at most 25 as good. With several objectives
the whole front is kept, too."""

_STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.RUNNING: optuna.trial.TrialState.RUNNING,
    # As pruned before its first epoch, which TPE ranks below everything else, so that it avoids
    # regions where training diverges.
    TrialState.DIVERGED: optuna.trial.TrialState.PRUNED,
}

_NEVER = datetime(2000, 1, 1)
"""Optuna's trials must have times, which samplers do not use."""


def history_for(
    sampler: str,
    space: SearchSpace,
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective] = (SCORE,),
    *,
    most: int | None = None,
    n_before: int = 0,
) -> list[FrozenTrial]:
    """Return the history of a sampler, by number.

    Args:
        sampler: `tpe`, `gp` or `nsga2`.
        space: The search space.
        records: All trials so far, by number.
        objectives: Objectives of the study.
        most: Its maximal length; None: `MOST_SEEN`.
        n_before: Number of trials of another study before these, with numbers from 1.

    Returns:
        Search trials, the median of their condition subtracted from their scores.
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
        # From 1, as the new trial has number 0 in its storage.
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
        """Return a complete trial's score minus the median of its condition's complete trials."""
        if record.macro_auroc is None:
            return None
        key = (record.condition, 0, True)
        if key not in self._known:
            values = (each.macro_auroc for each in self._by_condition[record.condition])
            self._known[key] = _median(value for value in values if value is not None)
        return record.macro_auroc - self._known[key]

    def above_last(self, record: TrialRecord) -> dict[int, float]:
        """Return a pruned trial's last value minus the median of all trials after that epoch.

        Returns:
            One difference, by its epoch; empty if the trial is not pruned or has no value.
        """
        if record.state is not TrialState.PRUNED or not record.values:
            return {}
        epoch = record.last_scored_epoch
        return {epoch: record.values[epoch] - self._at(record.condition, epoch, complete=False)}

    def above_complete(self, record: TrialRecord) -> float | None:
        """Return a pruned trial's last value minus the median of complete trials after that epoch.

        So a trial that was equal to the complete ones until then gets their final value; compared
        with all trials at the epoch, it would rank above complete ones. If no trial is complete,
        all trials at the epoch are used.
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
    """Return a trial's value in each objective; None if one of them is unknown."""
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
    """Thin trials to the length of a history: the best, the running, and evenly chosen others."""
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
    # From the newest, at equal steps; the newest is always among them.
    kept.update(others[-1 - place * len(others) // room] for place in range(room))
    return [each for each in trials if each.number in kept]


def _best(
    ended: Sequence[TrialRecord], values: Mapping[int, list[float] | None], levels: _Levels
) -> list[TrialRecord]:
    """Return the front and the best by score; trials without a value rank below all others."""
    valued = [(each, value) for each in ended if (value := values[each.number]) is not None]
    best = [each for each, _ in heapq.nlargest(N_BEST, valued, key=lambda pair: pair[1][0])]
    if valued and len(valued[0][1]) > 1:
        values_ND = np.array([value for _, value in valued])
        front_N = non_dominated(values_ND, maximize=_is_score(values_ND.shape[1]))
        best += [each for (each, _), is_front in zip(valued, front_N, strict=True) if is_front]
    if len(best) >= N_BEST:
        return best

    def longest_first(record: TrialRecord) -> tuple[int, float]:
        # As Optuna's TPE ranks pruned trials: by the last epoch, then by the value there.
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
