"""Racing: conditions that are clearly worse get no further trials.

Conditions are compared at a few looks: the first when each running condition has `FIRST_LOOK` ended
search trials, each further one at twice as many, by the best of exactly these trials. A condition
is stopped if the leader's best student is better than its own by more than chance explains, where
chance has two parts:

- the sample of patients in the validation split: a paired bootstrap over patients of the two
  students' predictions, which all conditions share; and
- the sample of trials by the sampler and the seeds: the jackknife variance of a maximum of n values
  is (1 - 1/n)^2 times its squared distance to the second best, pooled over the conditions.

Guarantee: the best condition, whose best of so many trials has an expectation at least that of any
other, is ever stopped in a study with probability at most `ERROR_RATE`, whatever the others are
like. To stop it at a look, one of the rivals must be ahead by more than chance explains at
`level / n_rivals`, and the levels of all looks sum to at most `ERROR_RATE` (Bonferroni, with alpha
halved from look to look). No guarantee: a condition that starts behind might have overtaken the
others in many more trials. It loses only trials: it stays in the study with its baselines and best
student, and in the finals. `benchmarks/calibration.py` simulates all of this.

A look depends only on the first trials of each condition, by number, and on their predictions: if a
driver died before it recorded a look, the next one computes the same. A look is recorded before any
trial is chosen by it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.records import Arm, Condition
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.statistics.welch import p_greater

ERROR_RATE = 0.05
"""Bound of the probability that a study ever stops its best condition."""

FIRST_LOOK = 3
"""Search trials of every condition that have ended before the first look."""

MIN_COMPLETE = 2
"""Complete trials among them; with fewer, a condition neither leads nor is stopped."""

NOTE = "race"
"""Key of the looks in the ledger's notes."""

Noise = Callable[[Sequence[int]], NDArray[np.float64]]
"""Covariance `[n, n]` of the macro AUROC of these trials (by number) over samples of patients."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """A stopped condition, with the comparison that stopped it."""

    condition: str
    trial: int
    """Its best search trial."""
    macro_auroc: float
    """Score of that trial."""
    difference: float
    """Score of the leader's best trial minus this score."""
    validation_se: float
    """Standard error of the difference over samples of patients."""
    standard_error: float
    """Standard error over samples of patients, trials and seeds."""
    p: float
    """One-sided p-value; at most `level / n_rivals` of the look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One comparison of the running conditions, and the conditions that it stopped."""

    number: int
    """From 1."""
    n_compared: int
    """Number of the first search trials of each condition that were compared."""
    at_trial: int
    """Number of the first trial that was chosen by it."""
    leader: str | None
    """None: fewer than two conditions had enough complete trials for a comparison."""
    leader_trial: int | None
    leader_macro_auroc: float | None
    level: float
    """Share of `ERROR_RATE` that the look spends."""
    n_rivals: int
    """Number of running conditions minus one: those that could have stopped the best one."""
    running: tuple[str, ...]
    """Conditions that get further trials, in the study's order."""
    stopped: tuple[Stop, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for the ledger."""
        return asdict(self) | {
            "running": list(self.running),
            "stopped": [asdict(stop) for stop in self.stopped],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Look":
        """Parse the output of `to_json`."""
        stopped = tuple(Stop(**stop) for stop in value["stopped"])
        fields: dict[str, Any] = {**value, "running": tuple(value["running"]), "stopped": stopped}
        return cls(**fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Best:
    """The best of the first trials of a condition."""

    number: int
    macro_auroc: float
    variance: float
    """Jackknife variance of the maximum over samples of trials."""


class Race:
    """The running conditions of a study, and the looks that stopped the others."""

    def __init__(
        self,
        conditions: Sequence[Condition],
        baselines: Sequence[Arm],
        noise: Noise | None,
        looks: Sequence[Look] = (),
    ) -> None:
        """Continue a race after earlier looks.

        Args:
            conditions: All conditions of the study.
            baselines: Arms that every condition must have ended before it can be stopped.
            noise: Called at every look with the conditions' best trials; None: `take_look` is not
                called.
            looks: Earlier looks, from the ledger.
        """
        self._conditions = tuple(conditions)
        self._baselines = tuple(baselines)
        self._noise = noise
        self._searched: dict[str, list[int]] = {each.name: [] for each in conditions}
        """Numbers of each condition's search trials, kept so that a call reads new records only."""
        self._n_sorted = 0
        self.looks = tuple(looks)

    @property
    def running(self) -> tuple[Condition, ...]:
        """Conditions that get trials, in the study's order."""
        if not self.looks:
            return self._conditions
        return tuple(each for each in self._conditions if each.name in self.looks[-1].running)

    def take_look(self, records: Sequence[TrialRecord]) -> Look | None:
        """Compare the conditions if a look is due, and keep its result.

        Args:
            records: All trials of the study, by number; not fewer than at the last call.

        Returns:
            The look; None: it is not due yet, or fewer than two conditions run.
        """
        names = [condition.name for condition in self.running]
        n_compared = trials_at_look(len(self.looks) + 1)
        first = self._first_trials(records, names, n_compared)
        if len(names) < 2 or first is None or not self._have_baselines(records, names):
            return None
        bests = {name: best for name in names if (best := _best_of(first[name]))}
        look = self._compare(names, bests, n_compared, at_trial=len(records))
        self.looks = (*self.looks, look)
        return look

    def to_json(self) -> list[dict[str, Any]]:
        """Return all looks as plain values, for the ledger."""
        return [look.to_json() for look in self.looks]

    def _first_trials(
        self, records: Sequence[TrialRecord], names: Sequence[str], n_trials: int
    ) -> dict[str, list[TrialRecord]] | None:
        """Return the first `n_trials` search trials of each condition; None: not all have ended."""
        for record in records[self._n_sorted :]:
            if record.trial.arm is Arm.SEARCH:
                self._searched[record.condition].append(record.number)
        self._n_sorted = len(records)
        if any(len(self._searched[name]) < n_trials for name in names):
            return None
        # Without later trials, so that the look does not depend on the time of the call.
        first = {name: [records[n] for n in self._searched[name][:n_trials]] for name in names}
        have_ended = all(each.state.is_finished for trials in first.values() for each in trials)
        return first if have_ended else None

    def _have_baselines(self, records: Sequence[TrialRecord], names: Sequence[str]) -> bool:
        ended = {(r.trial.arm, r.condition) for r in records if r.state.is_finished}
        return all((arm, name) in ended for arm in self._baselines for name in names)

    def _compare(
        self, names: Sequence[str], bests: Mapping[str, _Best], n_compared: int, at_trial: int
    ) -> Look:
        number = len(self.looks) + 1
        # 1/2 + 1/4 + ... < 1: the levels of any number of looks sum to less than the error rate.
        level = ERROR_RATE / 2**number
        n_rivals = len(names) - 1
        ranked = sorted(bests, key=lambda name: (-bests[name].macro_auroc, bests[name].number))
        stopped: list[Stop] = []
        if len(ranked) >= 2:
            assert self._noise is not None
            stops = _test(ranked, bests, self._noise)
            stopped = [stop for stop in stops if stop.p <= level / n_rivals]
        gone = {stop.condition for stop in stopped}
        leader = ranked[0] if len(ranked) >= 2 else None
        return Look(
            number=number,
            n_compared=n_compared,
            at_trial=at_trial,
            leader=leader,
            leader_trial=None if leader is None else bests[leader].number,
            leader_macro_auroc=None if leader is None else bests[leader].macro_auroc,
            level=level,
            n_rivals=n_rivals,
            running=tuple(name for name in names if name not in gone),
            stopped=tuple(stopped),
        )


def trials_at_look(number: int) -> int:
    """Return the number of search trials of each condition at a look, whose number is from 1."""
    return FIRST_LOOK * 2 ** (number - 1)


def read_looks(notes: Mapping[str, Any]) -> tuple[Look, ...]:
    """Return the looks in a ledger's notes; empty without racing."""
    return tuple(Look.from_json(value) for value in notes.get(NOTE, ()))


def _best_of(trials: Sequence[TrialRecord]) -> _Best | None:
    """Return the best trial, of equal ones the first; None: too few are complete."""
    complete = [(r.macro_auroc, -r.number) for r in trials if r.macro_auroc is not None]
    if len(complete) < MIN_COMPLETE:
        return None
    # Negative numbers: of equal scores the first trial is the best.
    (best, number), (second, _) = sorted(complete, reverse=True)[:2]
    variance = ((1 - 1 / len(complete)) * (best - second)) ** 2
    return _Best(number=-number, macro_auroc=best, variance=variance)


def _test(ranked: Sequence[str], bests: Mapping[str, _Best], noise: Noise) -> list[Stop]:
    """Compare every condition with the first of the ranked ones."""
    numbers = [bests[name].number for name in ranked]
    covariance = noise(numbers)
    # Twice, for the trials of leader and condition; pooled, as an estimate from two is poor.
    trial_variance = 2 * float(np.mean([bests[name].variance for name in ranked]))
    # A squared distance between neighbours has about the weight of half a degree of freedom.
    degrees = max(1.0, len(ranked) / 2)
    stops: list[Stop] = []
    for index, name in enumerate(ranked[1:], start=1):
        variance = float(covariance[0, 0] + covariance[index, index] - 2 * covariance[0, index])
        total = max(variance, 0.0) + trial_variance
        difference = bests[ranked[0]].macro_auroc - bests[name].macro_auroc
        stops.append(
            Stop(
                condition=name,
                trial=bests[name].number,
                macro_auroc=bests[name].macro_auroc,
                difference=difference,
                validation_se=math.sqrt(max(variance, 0.0)),
                standard_error=math.sqrt(total),
                p=p_greater(difference, total, trial_variance, degrees),
            )
        )
    return stops
