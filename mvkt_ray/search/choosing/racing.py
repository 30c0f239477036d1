"""Racing: conditions that are clearly worse stop getting trials.

Conditions are compared at a few looks: the first when each that still runs has `FIRST_LOOK` search
trials that have ended, every other one at twice as many, by the best of exactly these. A condition
stops when the best student of the leader is better than its own by more than chance explains, where
chance is

- which patients the validation split happens to hold: from a paired bootstrap over patients of the
  two students' predictions, which all conditions share; and
- which trials the sampler and the seeds happened to give: the jackknife variance of a maximum of
  n values is (1 - 1/n)^2 times its squared distance to the second best, pooled over the conditions.

What is promised: the best condition, one whose best of so many trials is expected to be at least
that of any other, is ever stopped in a study with probability at most `ERROR_RATE`, whatever the
others are like. For it to be stopped at a look, one of the rivals must be ahead by more than chance
explains at `level / n_rivals`, and the levels of all looks sum to at most `ERROR_RATE` (Bonferroni,
with alpha halved from look to look). What is not promised: that a condition which starts behind
could not have overtaken the others in many more trials. It loses nothing but trials: it stays in
the study with its baselines and best student, and in the finals. `benchmarks/calibration.py`
simulates all of this.

A look depends on the first trials of each condition alone, by number, and on their predictions: a
driver that died before it wrote a look down comes to the same one. It is written down before any
trial is dealt by it.
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
"""Of these, complete ones: with fewer, a condition neither leads nor stops."""

NOTE = "race"
"""Under which the ledger notes the looks of a study."""

Noise = Callable[[Sequence[int]], NDArray[np.float64]]
"""Covariance `[n, n]` of the macro AUROC of these trials (by number) over samples of patients."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Why a condition stopped getting trials."""

    condition: str
    trial: int
    """Its best search trial."""
    macro_auroc: float
    """Score of that trial."""
    difference: float
    """By how much the leader's best trial is better."""
    validation_se: float
    """Standard error of the difference over samples of patients."""
    standard_error: float
    """The same, with what trials and seeds add."""
    p: float
    """One-sided; below `level / n_rivals` of the look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One comparison of the conditions that still ran, and what it stopped."""

    number: int
    """From 1."""
    n_compared: int
    """Search trials of each condition that were compared: its first so many."""
    at_trial: int
    """Number of the first trial that was dealt by it."""
    leader: str | None
    """None when fewer than two conditions had enough complete trials to be compared."""
    leader_trial: int | None
    leader_macro_auroc: float | None
    level: float
    """Share of `ERROR_RATE` that the look spends."""
    n_rivals: int
    """Conditions that the best one could have been stopped by: all that ran, but one."""
    running: tuple[str, ...]
    """Conditions that go on getting trials, in the study's order."""
    stopped: tuple[Stop, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for the ledger."""
        return asdict(self) | {
            "running": list(self.running),
            "stopped": [asdict(stop) for stop in self.stopped],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Look":
        """Read what `to_json` gave."""
        stopped = tuple(Stop(**stop) for stop in value["stopped"])
        fields: dict[str, Any] = {**value, "running": tuple(value["running"]), "stopped": stopped}
        return cls(**fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Best:
    """The best of the first trials of a condition."""

    number: int
    macro_auroc: float
    variance: float
    """Of having drawn these trials, by the jackknife: without the best, the second would be it."""


class Race:
    """The conditions of a study that still run, and the looks that stopped the others."""

    def __init__(
        self,
        conditions: Sequence[Condition],
        baselines: Sequence[Arm],
        noise: Noise | None,
        looks: Sequence[Look] = (),
    ) -> None:
        """Go on after looks that were taken before.

        Args:
            conditions: All of the study.
            baselines: What every condition must have tried before it can be stopped.
            noise: Asked at every look, for the best trials of the conditions; None for a race that
                is only looked at.
            looks: From the ledger.
        """
        self._conditions = tuple(conditions)
        self._baselines = tuple(baselines)
        self._noise = noise
        self._searched: dict[str, list[int]] = {each.name: [] for each in conditions}
        """Numbers of the search trials of each condition, so that the many trials at which it is
        not time for a look do not go through all those before them."""
        self._n_sorted = 0
        self.looks = tuple(looks)

    @property
    def running(self) -> tuple[Condition, ...]:
        """Conditions that get trials, in the study's order."""
        if not self.looks:
            return self._conditions
        return tuple(each for each in self._conditions if each.name in self.looks[-1].running)

    def take_look(self, records: Sequence[TrialRecord]) -> Look | None:
        """Compare the conditions if it is time to, and remember what that stopped.

        Args:
            records: All trials of the study, by number; not fewer than the last time.

        Returns:
            What was found; None when it is not yet time, or when nothing is left to compare.
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
        """Return the first search trials of these conditions, so many each; None: not ended yet."""
        for record in records[self._n_sorted :]:
            if record.trial.arm is Arm.SEARCH:
                self._searched[record.condition].append(record.number)
        self._n_sorted = len(records)
        if any(len(self._searched[name]) < n_trials for name in names):
            return None
        # Later trials do not count, so that the look is the same whenever it is taken.
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
        # 1/2 + 1/4 + ... < 1: all looks together spend at most the error rate, however many.
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
    """Return how many search trials of each condition are compared at a look, the first being 1."""
    return FIRST_LOOK * 2 ** (number - 1)


def read_looks(notes: Mapping[str, Any]) -> tuple[Look, ...]:
    """Read the looks that a ledger notes of its study; none where conditions are not raced."""
    return tuple(Look.from_json(value) for value in notes.get(NOTE, ()))


def _best_of(trials: Sequence[TrialRecord]) -> _Best | None:
    """Find the best of equal trials the first; None where too few are complete."""
    complete = [(r.macro_auroc, -r.number) for r in trials if r.macro_auroc is not None]
    if len(complete) < MIN_COMPLETE:
        return None
    # By negative numbers, so that of equal scores the first trial is the best.
    (best, number), (second, _) = sorted(complete, reverse=True)[:2]
    variance = ((1 - 1 / len(complete)) * (best - second)) ** 2
    return _Best(number=-number, macro_auroc=best, variance=variance)


def _test(ranked: Sequence[str], bests: Mapping[str, _Best], noise: Noise) -> list[Stop]:
    """Compare every condition with the first of the ranked ones."""
    numbers = [bests[name].number for name in ranked]
    covariance = noise(numbers)
    # Twice: leader and condition each had their own trials. Pooled, as two values tell little.
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
