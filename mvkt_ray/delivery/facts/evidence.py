"""Test predictions of all contenders under the same bootstrap resamples.

Patients are drawn once, and seeds once for every number of seeds, so that all comparisons are
paired. Contenders usually share their seeds and are resampled in one call. A contender with fewer
seeds is compared over the seeds that it shares with the answer.

Shapes: K contenders, B resamples, P patients, N recordings, R seeds, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.search.finals.finals_results import Examined, FinalsResults, Key
from mvkt_ray.statistics.resampling import (
    AurocJackknife,
    AurocResamples,
    PatientResamples,
    bootstrap_auroc,
    draw_patients,
)

N_RESAMPLES = 2000
LEVEL = 0.95
SEED = 0
"""Seed of the resamples; constant, so that the same folder gives the same report."""

TEACHER: Key = ("teacher", "")

Seeds = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Resampled:
    """AUROC resamples of the contenders that have a set of seeds."""

    seeds: Seeds
    keys: tuple[Key, ...]
    areas: AurocResamples

    @cached_property
    def jackknife(self) -> AurocJackknife:
        """AUROCs with each patient left out."""
        return self.areas.jackknife()

    def position(self, key: Key) -> int:
        """Return the position of a contender on the axis K."""
        return self.keys.index(key)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """All contenders of finals on the test split, resampled on first use."""

    finals: FinalsResults
    resamples: PatientResamples
    leads: tuple[str, ...]
    """Leads with an answer to rank, in the order of the plan."""
    ranking_seeds: Seeds
    """Seeds shared by the answers of all `leads`."""
    _resampled: dict[Seeds, Resampled] = field(default_factory=dict[Seeds, Resampled])

    @classmethod
    def of(cls, finals: FinalsResults) -> "Evidence":
        """Draw the resamples of the test patients, and determine the leads and seeds to rank."""
        seeds_of = {
            contender.condition.name: set(
                finals.test.seeds.get((finals.answer, contender.condition.name), ())
            )
            for contender in finals.plan
        }
        # Without a class that is present in some recordings and absent in others, there is no
        # score to rank by.
        ranked = [lead for lead, seeds in seeds_of.items() if seeds and _any_class_scored(finals)]
        # After failed trainings leads may share no seed: those with the fewest are not ranked.
        while ranked and not set.intersection(*(seeds_of[lead] for lead in ranked)):
            ranked.remove(min(ranked, key=lambda lead: len(seeds_of[lead])))
        shared = set.intersection(*(seeds_of[lead] for lead in ranked)) if ranked else set[int]()
        return cls(
            finals=finals,
            resamples=draw_patients(finals.test.patient_ids_N, N_RESAMPLES, SEED),
            leads=tuple(ranked),
            ranking_seeds=tuple(sorted(shared)),
        )

    @property
    def can_be_scored(self) -> bool:
        """Whether any class is present in some test recordings and absent in others."""
        return _any_class_scored(self.finals)

    def answer(self, lead: str) -> Key:
        """Return the contender that a lead is ranked by."""
        return self.finals.answer, lead

    def contenders(self, lead: str) -> tuple[Key, ...]:
        """Return the contenders of a lead with predictions, in the order of the plan."""
        keys = [(each.name, lead) for each in self.finals.plan if each.condition.name == lead]
        return tuple(key for key in keys if key in self.finals.test.seeds)

    def seeds(self, key: Key) -> Seeds:
        """Return the seeds that a contender is scored over.

        These are its ranking seeds, or all of its own for an unranked lead, and for a contender
        without a ranking seed.
        """
        own = self.finals.test.seeds[key]
        shared = tuple(seed for seed in own if seed in self.ranking_seeds)
        return shared if shared and key[1] in self.leads else own

    def can_be_compared(self, key: Key) -> bool:
        """Return whether a contender shares a seed with its lead's answer."""
        return key[1] in self.leads and bool(set(self.seeds(key)) & set(self.ranking_seeds))

    def over(self, seeds: Seeds) -> Resampled:
        """Return all contenders that have the given seeds, and the teacher, resampled."""
        if seeds not in self._resampled:
            self._resampled[seeds] = self._resample(seeds)
        return self._resampled[seeds]

    def scored(self, key: Key) -> tuple[Resampled, int]:
        """Return the resamples of a contender or the teacher, and its position on the axis K."""
        seeds = self.ranking_seeds if key == TEACHER else self.seeds(key)
        resampled = self.over(seeds)
        return resampled, resampled.position(key)

    def _resample(self, seeds: Seeds) -> Resampled:
        test = self.finals.test
        keys = [key for key, own in test.seeds.items() if set(seeds) <= set(own)]
        scores = [scores_over(test, key, seeds) for key in keys]
        # The teacher is one training: its probabilities are repeated for each seed.
        scores.append(np.repeat(test.teacher_NC[None], len(seeds), axis=0))
        areas = bootstrap_auroc(test.labels_NC, np.stack(scores), self.resamples)
        return Resampled(seeds=seeds, keys=(*keys, TEACHER), areas=areas)


def scores_over(examined: Examined, key: Key, seeds: Sequence[int]) -> NDArray[np.float32]:
    """Return the probabilities of a contender over some of its seeds, float32 `[R, N, C]`."""
    own = examined.seeds[key]
    return examined.scores[key][[own.index(seed) for seed in seeds]]


def _any_class_scored(finals: FinalsResults) -> bool:
    labels_NC = finals.test.labels_NC
    return bool((labels_NC.min(axis=0) < labels_NC.max(axis=0)).any())
