"""Hyper-parameters for the next trial, by Optuna's samplers.

A proposal depends on the records of the study, its seed and the trial's number, and on nothing
else: a sampler is made anew for each, so none has a state to lose, and none repeats itself after a
restart.

All conditions teach the sampler together, by what `trial_history` shows of them. The lead itself is
dealt by the study and never drawn.
"""

import warnings
from collections.abc import Container, Sequence

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial

from mvkt_ray.config.schema import Scalar, SearchConfig
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.trial_history import history_for
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.training.seeds import derive_seed

_SAMPLER_STREAM = 1
"""Keeps the sampler's random numbers apart from those of the trial with the same number."""


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
    history = [] if config.sampler == "random" else history_for(config.sampler, space, records)
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
