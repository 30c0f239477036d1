"""Evidence of the test predictions: every contender under the same resamples.

Patients are drawn once, and seeds once for every number of seeds, so all comparisons are paired.
Usually every contender has the same seeds, and all of them are resampled in one call. One that has
fewer is compared over the seeds that it shares with the answer.

Shapes: K contenders, B resamples, P patients, N recordings, R seeds, C classes.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mvkt_ray.search.finals.finals_results import FinalsResults, Key
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
"""Of the resamples: the same folder gives the same report."""

TEACHER: Key = ("teacher", "")

Seeds = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Resampled:
    """Contenders over one set of seeds."""

    seeds: Seeds
    keys: tuple[Key, ...]
    areas: AurocResamples

    @cached_property
    def jackknife(self) -> AurocJackknife:
        """The areas without each patient."""
        return self.areas.jackknife()

    def position(self, key: Key) -> int:
        """Return where a contender is on the axis K."""
        return self.keys.index(key)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """All contenders of finals on the test split, resampled when first asked for."""

    finals: FinalsResults
    resamples: PatientResamples
    leads: tuple[str, ...]
    """Conditions with an answer to rank, in the order of the plan."""
    ranking_seeds: Seeds
    """Seeds that the answers of all `leads` have."""
    _resampled: dict[Seeds, Resampled] = field(default_factory=dict[Seeds, Resampled])

    @classmethod
    def of(cls, finals: FinalsResults) -> "Evidence":
        """Draw the patients of the test split, and find out which seeds can be compared."""
        seeds_of = {
            contender.condition.name: set(
                finals.test.seeds.get((finals.answer, contender.condition.name), ())
            )
            for contender in finals.plan
        }
        # Without a class that some recordings have and others have not, there is no score.
        ranked = [lead for lead, seeds in seeds_of.items() if seeds and _any_class_scored(finals)]
        # Where trainings failed, a lead whose seeds no other has must not silence them all.
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
        """Whether any class is in some recordings of the test split and not in others."""
        return _any_class_scored(self.finals)

    def answer(self, lead: str) -> Key:
        """Return the contender that a lead is ranked by."""
        return self.finals.answer, lead

    def contenders(self, lead: str) -> tuple[Key, ...]:
        """Return the contenders of a lead that have a prediction, in the order of the plan."""
        keys = [(each.name, lead) for each in self.finals.plan if each.condition.name == lead]
        return tuple(key for key in keys if key in self.finals.test.seeds)

    def seeds(self, key: Key) -> Seeds:
        """Return the seeds that a contender is scored over.

        Those that the answer of its lead is scored over, as far as it has them; else its own.
        """
        own = self.finals.test.seeds[key]
        shared = tuple(seed for seed in own if seed in self.ranking_seeds)
        return shared if shared and key[1] in self.leads else own

    def can_be_compared(self, key: Key) -> bool:
        """Whether the contender shares a seed with the answer of its lead."""
        return key[1] in self.leads and bool(set(self.seeds(key)) & set(self.ranking_seeds))

    def over(self, seeds: Seeds) -> Resampled:
        """Return every contender that has all of these seeds, scored over them, and the teacher."""
        if seeds not in self._resampled:
            self._resampled[seeds] = self._resample(seeds)
        return self._resampled[seeds]

    def scored(self, key: Key) -> tuple[Resampled, int]:
        """Return a contender, or the teacher, over the seeds that it is scored over."""
        seeds = self.ranking_seeds if key == TEACHER else self.seeds(key)
        resampled = self.over(seeds)
        return resampled, resampled.position(key)

    def _resample(self, seeds: Seeds) -> Resampled:
        test = self.finals.test
        keys = [key for key, own in test.seeds.items() if set(seeds) <= set(own)]
        scores = [test.scores[key][[test.seeds[key].index(seed) for seed in seeds]] for key in keys]
        # The teacher has no seeds: it is the same under each.
        scores.append(np.repeat(test.teacher_NC[None], len(seeds), axis=0))
        areas = bootstrap_auroc(test.labels_NC, np.stack(scores), self.resamples)
        return Resampled(seeds=seeds, keys=(*keys, TEACHER), areas=areas)


def _any_class_scored(finals: FinalsResults) -> bool:
    labels_NC = finals.test.labels_NC
    return bool((labels_NC.min(axis=0) < labels_NC.max(axis=0)).any())
