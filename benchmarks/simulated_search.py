"""Simulated searches: tabulated students stand in for trained ones.

A lead has a height, the macro AUROC of its best student, from which a quadratic bowl over four
hyper-parameters takes off; the bottom of the bowl is somewhat different for every lead. What a
split shows of a student differs from that by the seed and by the patients who happen to be in the
split; the latter is shared, in part by all students, in part by those of a lead.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, PrunerConfig, Scalar, SearchConfig
from mvkt_ray.data.recording import LEADS
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.racing import Look, Race
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.study import Study

REAL_LEADS = {
    "V6": 0.872, "V5": 0.866, "aVR": 0.853, "II": 0.844, "I": 0.825, "V4": 0.823,
    "aVF": 0.815, "V3": 0.815, "V1": 0.814, "V2": 0.795, "III": 0.793, "aVL": 0.788,
}  # fmt: skip
"""Validation macro AUROC of the students of a search over 2,227 recordings of PTB-XL."""

HEIGHTS: Mapping[str, Mapping[str, float]] = {
    "real": REAL_LEADS,
    "two close": REAL_LEADS | {"V5": 0.870},
    "three close": REAL_LEADS | {"V5": 0.8705, "aVR": 0.869},
    "all close": {lead: 0.872 - 0.0001 * position for position, lead in enumerate(REAL_LEADS)},
    "two alone": {"V6": 0.872, "V5": 0.8719},
}
"""The leads as seen, and harder cases: the first two or three within 0.003, or all but equal."""

SEED_SD = 0.003
SAMPLING_SD = 0.008
"""Of the macro AUROC of one student over samples of some 600 patients."""
SHARED_BY_ALL, SHARED_BY_LEAD = 0.5, 0.4
"""Parts of its variance that are the same for all students, and for those of one lead."""
N_SEEDS = 5
"""Of finals."""

SPACE = {
    "learning_rate": (1e-3, 3e-2, 0.06),
    "distill_temperature": (1.0, 8.0, 0.02),
    "kd_weight": (0.1, 10.0, 0.02),
    "clt_weight": (0.001, 0.3, 0.02),
}
"""Low, high, and what the farther end of the range costs; all on a log scale."""
BOTTOM_SD = 0.1
"""How far the best values of a lead are from the middle of the ranges, in parts of the range."""


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Students of all leads, and two samples of patients that they are judged on."""

    heights: Mapping[str, float]
    bottoms: Mapping[str, NDArray[np.float64]]
    validation: Mapping[str, float]
    """What the sample of patients adds to the scores of a lead."""
    test: Mapping[str, float]
    seed: int
    steepness: float = 1.0
    """How much hyper-parameters matter; 0: not at all."""
    told_sd: float = SAMPLING_SD
    """What a race believes of `SAMPLING_SD`."""

    @classmethod
    def draw(cls, heights: Mapping[str, float], seed: int) -> "World":
        """Draw where bowls lie, and both splits."""
        rng = np.random.default_rng([seed, 0])
        bottoms = {lead: rng.normal(0.5, BOTTOM_SD, len(SPACE)) for lead in heights}
        return cls(
            heights=heights,
            bottoms=bottoms,
            validation=_draw_sample(rng, heights),
            test=_draw_sample(rng, heights),
            seed=seed,
        )

    @property
    def best_lead(self) -> str:
        """The lead whose best student is best."""
        return max(self.heights, key=lambda lead: self.heights[lead])

    def true_auroc(self, lead: str, hyperparameters: Mapping[str, Scalar]) -> float:
        """Macro AUROC in the population, mean over seeds; no teacher costs as a far end does."""
        loss = 0.0
        for (name, (low, high, cost)), bottom in zip(
            SPACE.items(), self.bottoms[lead], strict=True
        ):
            value = max(float(hyperparameters[name]), low)
            position = math.log(value / low) / math.log(high / low)
            loss += cost * (position - bottom) ** 2
        return float(self.heights[lead] - self.steepness * loss)

    def validate(self, number: int, lead: str, hyperparameters: Mapping[str, Scalar]) -> float:
        """What the validation split shows of a training of this number."""
        own = np.random.default_rng([self.seed, 1, number]).normal(0, _own_sd())
        return self.true_auroc(lead, hyperparameters) + self.validation[lead] + float(own)

    def examine(self, lead: str, hyperparameters: Mapping[str, Scalar]) -> float:
        """What the test split shows of finals: the mean over seeds."""
        stream = list(self.heights).index(lead)
        own = np.random.default_rng([self.seed, 2, stream]).normal(0, _own_sd(), N_SEEDS)
        return self.true_auroc(lead, hyperparameters) + self.test[lead] + float(own.mean())

    def noise(self, numbers: Sequence[int]) -> NDArray[np.float64]:
        """The covariance that a bootstrap would estimate; as badly known as from 100 resamples."""
        n = len(numbers)
        correlation = SHARED_BY_ALL * np.ones((n, n)) + (1 - SHARED_BY_ALL) * np.eye(n)
        rng = np.random.default_rng([self.seed, 3, *numbers])
        drawn = rng.multivariate_normal(np.zeros(n), self.told_sd**2 * correlation, size=100)
        return np.atleast_2d(np.cov(drawn, rowvar=False))


def _draw_sample(rng: np.random.Generator, leads: Mapping[str, float]) -> dict[str, float]:
    shared = rng.normal(0, SAMPLING_SD * math.sqrt(SHARED_BY_ALL))
    own = rng.normal(0, SAMPLING_SD * math.sqrt(SHARED_BY_LEAD), len(leads))
    return {lead: float(shared + value) for lead, value in zip(leads, own, strict=True)}


def _own_sd() -> float:
    rest = 1 - SHARED_BY_ALL - SHARED_BY_LEAD
    return math.sqrt(SEED_SD**2 + SAMPLING_SD**2 * rest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one way of searching came to in one world."""

    named: str
    """The lead it says is best."""
    regret: float
    """Height of the truly best lead, less that of the one that was named."""
    gained: float
    """True macro AUROC of the student that it hands over."""
    best_was_stopped: bool = False
    n_stopped: int = 0
    share_saved: float = 0.0
    """Trials that stopped leads did not get, of those they would have got."""


def search_and_finals(
    world: World, *, conditions: str, sampler: str, n_trials: int, n_startup_trials: int = 10
) -> Outcome:
    """Search as mvkt-ray does, choose for each lead by validation, and name the best by the test.

    Args:
        world: The tabulated students.
        conditions: `balanced` or `race`.
        sampler: `tpe` or `random`.
        n_trials: Baselines included; finals are `N_SEEDS` trainings of each lead on top.
        n_startup_trials: Drawn at random before TPE's model is used.
    """
    config = StudyConfig(
        name="simulated",
        seed=world.seed,
        space={name: ParameterConfig(low=a, high=b, log=True) for name, (a, b, _) in SPACE.items()},
        search=SearchConfig(
            leads=tuple(world.heights),
            n_trials=n_trials,
            sampler=sampler,  # type: ignore[arg-type]
            n_startup_trials=n_startup_trials,
            pruner=PrunerConfig(kind="none"),
            conditions=conditions,  # type: ignore[arg-type]
        ),
    )
    space = SearchSpace.from_config(config, LEADS)
    study = Study(config, space, _MemoryLedger(), deadline_s=None, noise=world.noise)
    while (trial := study.ask()) is not None:
        study.tell(_train(world, trial))
    return _outcome(world, study.looks, study.trials())


class _MemoryLedger(Ledger):
    """A ledger that is not written down: four fifths of a simulated study's time would be that."""

    def __init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.records: list[TrialRecord] = []
        self.notes: Mapping[str, Any] = {}

    def note(self, notes: Mapping[str, object]) -> None:
        self.notes = {**self.notes, **notes}

    def add(self, trial: Trial, *, drawn: Mapping[str, Scalar], **_: Any) -> TrialRecord:
        self.records.append(TrialRecord(trial=trial, drawn=drawn, state=TrialState.RUNNING))
        return self.records[-1]

    def write_result(self, number: int, result: TrialResult) -> None:
        self.records[number] = replace(self.records[number], state=result.state, result=result)


def _train(world: World, trial: Trial) -> TrialResult:
    value = world.validate(trial.number, trial.condition.name, trial.hyperparameters)
    return TrialResult(number=trial.number, state=TrialState.COMPLETE, macro_auroc=value)


def _outcome(world: World, looks: Sequence[Look], records: Sequence[TrialRecord]) -> Outcome:
    """Choose by validation for each lead, examine, and name the lead that is best on the test."""
    shown: dict[str, float] = {}
    true: dict[str, float] = {}
    searched = [record for record in records if record.trial.arm is Arm.SEARCH]
    for lead in world.heights:
        own = [record for record in searched if record.condition == lead]
        chosen = max(own, key=lambda record: record.macro_auroc or 0.0).trial.hyperparameters
        shown[lead], true[lead] = world.examine(lead, chosen), world.true_auroc(lead, chosen)
    named = max(shown, key=lambda lead: shown[lead])
    stopped = {stop.condition for look in looks for stop in look.stopped}
    n_got = sum(record.condition in stopped for record in searched)
    share = len(searched) / len(world.heights) * len(stopped)
    return Outcome(
        named=named,
        regret=world.heights[world.best_lead] - world.heights[named],
        gained=true[named],
        best_was_stopped=world.best_lead in stopped,
        n_stopped=len(stopped),
        share_saved=1 - n_got / share if stopped else 0.0,
    )


def race_alone(world: World, *, n_search: int, pruned: float = 0.0) -> Outcome:
    """Race random students of all leads, without ledger or proposals: some 10 ms for a study.

    Args:
        world: The tabulated students.
        n_search: Search trials of all leads together.
        pruned: Chance that a student more than 0.01 below its lead's best is pruned.
    """
    conditions = [Condition.from_name(lead) for lead in world.heights]
    rng = np.random.default_rng([world.seed, 4])
    race, records = Race(conditions, [], world.noise), list[TrialRecord]()
    dealt = Counter({lead: 0 for lead in world.heights})
    for number in range(n_search):
        race.take_look(records)
        condition = min(race.running, key=lambda each: dealt[each.name])
        dealt[condition.name] += 1
        trial = Trial(
            number=number,
            condition=condition,
            arm=Arm.SEARCH,
            hyperparameters={
                name: float(low * (high / low) ** rng.random())
                for name, (low, high, _) in SPACE.items()
            },
        )
        result = _train(world, trial)
        true = world.true_auroc(condition.name, trial.hyperparameters)
        if rng.random() < pruned and true < world.heights[condition.name] - 0.01:
            result = replace(result, state=TrialState.PRUNED)
        records.append(TrialRecord(trial=trial, drawn={}, state=result.state, result=result))
    return _outcome(world, race.looks, records)


def take_the_best_trial(world: World, *, n_trials: Sequence[int]) -> list[Outcome]:
    """Search as users do today: the lead is one more choice for TPE; the best trial names it.

    Args:
        world: The tabulated students.
        n_trials: After how many trials one might stop; rising.

    Returns:
        What stopping then would have come to.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=world.seed)
    )

    def objective(trial: optuna.Trial) -> float:
        lead = trial.suggest_categorical("lead", list(world.heights))
        values = {
            name: trial.suggest_float(name, a, b, log=True) for name, (a, b, _) in SPACE.items()
        }
        return world.validate(trial.number, str(lead), values)

    outcomes: list[Outcome] = []
    for n in n_trials:
        study.optimize(objective, n_trials=n - len(study.trials))
        best = study.best_trial
        lead = str(best.params["lead"])
        values = {name: best.params[name] for name in SPACE}
        outcomes.append(
            Outcome(
                named=lead,
                regret=world.heights[world.best_lead] - world.heights[lead],
                gained=world.true_auroc(lead, values),
            )
        )
    return outcomes
