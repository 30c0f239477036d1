"""Hyper-parameters for the next trial, by Optuna's samplers or from a grid.

A proposal is a function of the study's records, its seed and the trial's number alone: each
proposal has a new sampler, so that a restart neither loses a state nor repeats draws.

The sampler learns from the trials of all conditions together, as `trial_history` presents them. The
lead itself is assigned by the study and never drawn.
"""

import warnings
from collections.abc import Container, Mapping, Sequence

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial

from mvkt_ray.config.objectives import SCORE
from mvkt_ray.config.search_config import Scalar, SearchConfig
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.trial_history import MOST_SEEN, history_for
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.training.seeds import derive_seed

MOST_DRAWS = 20
"""Proposals of a sampler for a student within the study's limits; then one is drawn at random."""

_SAMPLER_STREAM = 1
"""Stream of the sampler; a trial with the same number has another."""

_GRID_STREAM = 2
"""Stream of a grid's order."""


def propose(
    space: SearchSpace,
    config: SearchConfig,
    *,
    seed: int,
    number: int,
    records: Sequence[TrialRecord],
    given: Mapping[str, Scalar] | None = None,
    before: Sequence[FrozenTrial] = (),
) -> dict[str, Scalar]:
    """Draw the hyper-parameters of a search trial, repeatedly until they are within the limits.

    Samplers know no limits, but learn them, as all trials of their history are within. After
    `MOST_DRAWS` proposals beyond a limit a student within is drawn at random, and the sampler
    proposes the other parameters.

    Args:
        space: The search space.
        config: The sampler, and its number of random trials at the begin.
        seed: Seed of the study.
        number: Number of the new trial.
        records: All earlier trials.
        given: Enqueued values of parameters, which are not drawn; within the limits.
        before: Trials of another study in the sampler's history, numbered from 1.

    Returns:
        The drawn hyper-parameters by name; `space.complete` adds the others.
    """
    if not space.distributions:
        return {}
    history: list[FrozenTrial] = []
    if config.sampler != "random":
        own = history_for(
            config.sampler,
            space,
            records,
            config.objectives,
            most=MOST_SEEN[config.sampler] - len(before),
            n_before=max((trial.number for trial in before), default=0),
        )
        history = [*before, *own]
    for attempt in range(MOST_DRAWS):
        attempt_seed = derive_seed(seed, number, attempt, _SAMPLER_STREAM)
        drawn = _draw(space, config, history, attempt_seed, given)
        if space.fits(space.complete(drawn)):
            return drawn
    # From the trial's seed: trials get different students, and a restart the same ones.
    last_seed = derive_seed(seed, number, MOST_DRAWS, _SAMPLER_STREAM)
    within = space.fitting[last_seed % len(space.fitting)]
    return _draw(space, config, history, last_seed, {**within, **(given or {})})


def grid_point(space: SearchSpace, *, seed: int, place: int) -> dict[str, Scalar]:
    """Return the next point of a grid for a condition.

    All conditions have the points in one order, shuffled by the study's seed: a study that is
    stopped early has then tried the same points, from all parts of the space, in each condition.

    Args:
        space: A space with a grid.
        seed: Seed of the study.
        place: Number of the condition's search trials so far; fewer than points.
    """
    assert space.grid is not None
    order = np.random.default_rng(derive_seed(seed, _GRID_STREAM)).permutation(len(space.grid))
    return {**space.grid[order[place]]}


def _draw(
    space: SearchSpace,
    config: SearchConfig,
    history: Sequence[FrozenTrial],
    seed: int,
    given: Mapping[str, Scalar] | None = None,
) -> dict[str, Scalar]:
    study = optuna.create_study(
        storage=_HistoryStorage(history),
        # numpy's seeds have 32 bits.
        sampler=_make_sampler(space, config, seed % 2**32),
        directions=["maximize" if each == SCORE else "minimize" for each in config.objectives],
    )
    return space.draw(study.ask(), given)


def _make_sampler(space: SearchSpace, config: SearchConfig, seed: int) -> BaseSampler:
    if config.sampler == "random":
        return RandomSampler(seed=seed)
    n_startup = config.n_startup_trials
    if config.sampler == "gp":
        return GPSampler(seed=seed, n_startup_trials=n_startup, warn_independent_sampling=False)
    if config.sampler == "nsga2":
        return _SteadyState(seed=seed, population_size=n_startup)
    with warnings.catch_warnings():
        # `group` is experimental since Optuna 2.8; without it, conditional parameters would be
        # sampled independently of all others.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            seed=seed,
            n_startup_trials=n_startup,
            multivariate=True,
            group=space.has_dependent_parameters,
            constant_liar=True,
        )


class _SteadyState(NSGAIISampler):
    """NSGA-II whose parents are the best of all trials so far, not of a generation.

    A trial's generation depends on the trials that had ended when it was drawn, and in Optuna on
    attributes that it writes then; a restarted driver would draw other values. With a population
    that includes each trial as it ends (Durillo et al. 2009, "On the effect of the steady-state
    selection scheme in multi-objective genetic algorithms", EMO 2009, 183-197), the records
    determine the proposal. Also, no trial waits for the end of a generation.
    """

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """Return 0, where parameters are drawn at random, until there is a whole population."""
        assert self.population_size is not None
        return int(len(self.get_population(study, 0)) >= self.population_size)

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """Return all complete trials: parents are selected among the generation before."""
        assert generation == 0
        return study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])


class _HistoryStorage(InMemoryStorage):
    """A storage with a given history before the new trial.

    Optuna's `add_trial` would copy and check each of thousands of trials for one proposal.
    """

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
