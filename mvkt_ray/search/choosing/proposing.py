"""Hyper-parameters for the next trial, by Optuna's samplers.

A proposal depends on the records of the study, its seed and the trial's number, and on nothing
else: a sampler is made anew for each, so none has a state to lose, and none repeats itself after a
restart.

All conditions teach the sampler together. What a lead shows shifts every value of its trials; so a
condition's median is taken off first, and what is left is what the hyper-parameters did. The lead
itself is dealt by the study and never drawn.
"""

import math
import statistics
import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial

from mvkt_ray.config.schema import Scalar, SearchConfig
from mvkt_ray.records import Arm, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.training.seeds import derive_seed

_SAMPLER_STREAM = 1
"""Keeps the sampler's random numbers apart from those of the trial with the same number."""

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


def propose(
    space: SearchSpace,
    config: SearchConfig,
    *,
    seed: int,
    number: int,
    records: Sequence[TrialRecord],
) -> dict[str, Scalar]:
    """Draw the hyper-parameters of a search trial.

    Args:
        space: What to draw.
        config: The sampler and how many trials it draws at random first.
        seed: The study's.
        number: The new trial's.
        records: All trials before it.

    Returns:
        The drawn hyper-parameters by name; `space.complete` adds the others.
    """
    if not space.distributions:
        return {}
    history = [] if config.sampler == "random" else _centred_history(space, records)
    sampler_seed = derive_seed(seed, number, 0, _SAMPLER_STREAM) % 2**32
    study = optuna.create_study(
        storage=_HistoryStorage(history),
        sampler=_make_sampler(space, config, sampler_seed),
        direction="maximize",
    )
    return space.draw(study.ask())


def _make_sampler(space: SearchSpace, config: SearchConfig, seed: int) -> BaseSampler:
    if config.sampler == "random":
        return RandomSampler(seed=seed)
    n_startup = config.n_startup_trials
    if config.sampler == "gp":
        return GPSampler(seed=seed, n_startup_trials=n_startup, warn_independent_sampling=False)
    with warnings.catch_warnings():
        # `group` is marked experimental since Optuna 2.8; without it, parameters that are drawn
        # only sometimes would be sampled one by one.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            seed=seed,
            n_startup_trials=n_startup,
            multivariate=True,
            group=space.has_dependent_parameters,
            constant_liar=True,
        )


class _HistoryStorage(InMemoryStorage):
    """Trials that were made elsewhere, before the one that is asked for."""

    def __init__(self, history: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._history = history

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[optuna.trial.TrialState] | None = None,
    ) -> list[FrozenTrial]:
        before = [trial for trial in self._history if states is None or trial.state in states]
        return before + super().get_all_trials(study_id, deepcopy=deepcopy, states=states)


def _centred_history(space: SearchSpace, records: Sequence[TrialRecord]) -> list[FrozenTrial]:
    """Search trials with the medians of their conditions taken off their values."""
    medians = _Medians(records)
    distributions: dict[frozenset[str], dict[str, BaseDistribution]] = {}
    history: list[FrozenTrial] = []
    for record in records:
        if record.trial.arm is not Arm.SEARCH or record.state not in _STATES:
            continue
        names = frozenset(record.drawn)
        if names not in distributions:
            distributions[names] = {name: space.distributions[name] for name in record.drawn}
        value, last = None, dict[int, float]()
        if record.macro_auroc is not None:
            value = record.macro_auroc - medians.final(record.condition)
        elif record.state is TrialState.PRUNED and record.values:
            epoch = record.last_scored_epoch
            last = {epoch: record.values[epoch] - medians.at(record.condition, epoch)}
        history.append(
            # The trial that is asked for gets number 0 in its storage, so these start at 1.
            _freeze(record, record.number + 1, value, last, distributions[names])
        )
    return history


def _freeze(
    record: TrialRecord,
    number: int,
    value: float | None,
    last: dict[int, float],
    distributions: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    state = _STATES[record.state]
    params: dict[str, Any] = dict(record.drawn)
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=value,
        datetime_start=_NEVER,
        datetime_complete=_NEVER if state.is_finished() else None,
        params=params,
        distributions=dict(distributions),
        user_attrs={},
        system_attrs={},
        intermediate_values=last,
    )


class _Medians:
    """The level of each condition, after the last epoch and after earlier ones.

    Baselines count: they are the same in every condition, and there before the first search trial.
    """

    def __init__(self, records: Sequence[TrialRecord]) -> None:
        self._by_condition: dict[str, list[TrialRecord]] = {}
        for record in records:
            self._by_condition.setdefault(record.condition, []).append(record)
        self._known: dict[tuple[str, int], float] = {}

    def final(self, condition: str) -> float:
        """Median of the condition's complete trials."""
        values = (record.macro_auroc for record in self._by_condition[condition])
        return self._median(condition, 0, (value for value in values if value is not None))

    def at(self, condition: str, epoch: int) -> float:
        """Median of the condition's trials that came to an epoch."""
        records = self._by_condition[condition]
        return self._median(
            condition, epoch, (r.values[epoch] for r in records if epoch in r.values)
        )

    def _median(self, condition: str, epoch: int, values: Iterable[float]) -> float:
        key = (condition, epoch)
        if key not in self._known:
            finite = [value for value in values if math.isfinite(value)]
            self._known[key] = statistics.median(finite) if finite else 0.0
        return self._known[key]
