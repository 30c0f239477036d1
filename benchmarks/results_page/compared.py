"""The comparisons of the results page: contenders over leads, under one set of resamples.

Shapes: K contender of a lead, R seeds, N recordings, C classes, B resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.errors import DataError
from mvkt_ray.search.finals.finals_plan import Contender
from mvkt_ray.search.finals.finals_results import Examined, FinalsResults
from mvkt_ray.statistics.best_set import BestSet, best_set
from mvkt_ray.statistics.gains import Difference, paired_differences
from mvkt_ray.statistics.intervals import Interval, percentile_interval
from mvkt_ray.statistics.resampling import (
    AurocResamples,
    PatientResamples,
    bootstrap_auroc,
    draw_patients,
)
from mvkt_ray.statistics.scores import auroc_per_class, macro_mean

ALONE = "alone"
"""Name of the contender that saw no teacher."""
N_RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Group:
    """Contenders that were trained for the same leads, scored with the seeds that all have."""

    names: tuple[str, ...]
    leads: tuple[str, ...]
    seeds: tuple[int, ...]
    auroc: AurocResamples
    """Contender by contender, lead by lead."""

    @property
    def others(self) -> tuple[str, ...]:
        """All but the student alone."""
        return tuple(name for name in self.names if name != ALONE)

    def rows(self, name: str) -> list[int]:
        """Return the positions of a contender, one per lead."""
        first = self.names.index(name) * len(self.leads)
        return list(range(first, first + len(self.leads)))

    def score(self, name: str, lead: str) -> tuple[float, Interval, float]:
        """Return the macro AUROC, its interval, and the standard deviation over seeds."""
        k = self.rows(name)[self.leads.index(lead)]
        by_seed = self.auroc.macro_KR[k]
        deviation = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else float("nan")
        interval = percentile_interval(self.auroc.macro_BK[:, k])
        return float(self.auroc.macro_K[k]), interval, deviation

    @cached_property
    def gains(self) -> dict[tuple[str, str], Difference]:
        """Each contender minus the student alone, by name and lead; one family for Holm."""
        keys = [(name, lead) for name in self.others for lead in self.leads]
        alone = self.rows(ALONE)
        pairs = [
            (self.rows(name)[i], alone[i]) for name in self.others for i in range(len(self.leads))
        ]
        found = paired_differences(
            self.auroc.macro_K, self.auroc.macro_BK, pairs, seeds_KR=self.auroc.macro_KR
        )
        return dict(zip(keys, found, strict=True))

    def mean_gain(self, name: str) -> Difference:
        """Return the mean over the leads of a contender's gain over the student alone."""
        return self.mean_difference(name, ALONE)

    def mean_difference(self, name: str, reference: str) -> Difference:
        """Return the mean over the leads of one contender minus another."""
        rows = [self.rows(name), self.rows(reference)]
        (difference,) = paired_differences(
            np.array([self.auroc.macro_K[own].mean() for own in rows]),
            np.stack([self.auroc.macro_BK[:, own].mean(axis=1) for own in rows], axis=1),
            [(0, 1)],
            seeds_KR=np.stack([self.auroc.macro_KR[own].mean(axis=0) for own in rows]),
        )
        return difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """Which part of the gap between student alone and teacher a contender closes."""

    fraction: float
    """NaN where the student alone is as good as the teacher."""
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Everything that the page says of the test split."""

    answer: str
    classes: tuple[str, ...]
    n_patients: int
    n_positive_C: NDArray[np.int64]
    teacher: AurocResamples
    every_lead: Group
    """Contenders of all leads."""
    some_leads: Group | None
    """Contenders of some leads, beside the student alone with the same seeds."""
    best: BestSet
    """Of the answer's leads, in the order of `every_lead.leads`."""
    validation_K: NDArray[np.float64]
    """The answer's macro AUROC on the validation split, in the same order."""
    missing: tuple[str, ...]
    """Contenders left out, as no training of theirs was completed for some lead."""

    @property
    def ranked(self) -> list[str]:
        """Leads by the answer's score on the test split, the best first."""
        scores = self.every_lead.auroc.macro_K[self.every_lead.rows(self.answer)]
        return [self.every_lead.leads[i] for i in np.argsort(-scores, kind="stable")]

    @property
    def best_on_validation(self) -> str:
        """The lead that validation alone puts first."""
        return self.every_lead.leads[int(self.validation_K.argmax())]

    @property
    def best_leads(self) -> list[str]:
        """Leads that cannot be told from the best, the best first."""
        members = dict(zip(self.every_lead.leads, self.best.members, strict=True))
        return [lead for lead in self.ranked if members[lead]]

    def gap_closed(self, name: str, leads: Sequence[str]) -> Share:
        """Return the mean gain over some leads as a share of their mean gap to the teacher."""
        group, auroc = self.every_lead, self.every_lead.auroc
        places = [group.leads.index(lead) for lead in leads]
        own, alone = (np.array(group.rows(of))[places] for of in (name, ALONE))

        gain = auroc.macro_K[own].mean() - auroc.macro_K[alone].mean()
        gap = self.teacher.macro_K[0] - auroc.macro_K[alone].mean()
        gain_B = auroc.macro_BK[:, own].mean(axis=1) - auroc.macro_BK[:, alone].mean(axis=1)
        gap_B = self.teacher.macro_BK[:, 0] - auroc.macro_BK[:, alone].mean(axis=1)
        if not gap > 0:
            return Share(
                fraction=float("nan"), interval=Interval(low=float("nan"), high=float("nan"))
            )
        share_B = np.divide(gain_B, gap_B, out=np.full(len(gap_B), np.nan), where=gap_B > 0)
        return Share(fraction=float(gain / gap), interval=percentile_interval(share_B))


def compare(finals: FinalsResults, *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Compared:
    """Score and compare everything in finals.

    Raises:
        DataError: There is no student alone, or it or the answer was not completed for all leads.
    """
    test = finals.test
    leads = tuple(dict.fromkeys(contender.condition.name for contender in finals.plan))
    everywhere, somewhere = _names(finals.plan, leads)
    complete = [n for n in everywhere if all((n, lead) in test.scores for lead in leads)]
    for needed in (ALONE, finals.answer):
        if needed not in complete:
            raise DataError(
                f"the page compares with {needed!r} in every lead, but the finals have it in "
                f"{sum((needed, lead) in test.scores for lead in leads)} of {len(leads)}. Train "
                "what is missing by `mvkt finalize`, or name it in finals.contenders."
            )
    resamples = draw_patients(test.patient_ids_N, n_resamples, seed)
    every_lead = _group(test, complete, leads, resamples)
    some_leads, missing = None, [name for name in everywhere if name not in complete]
    if somewhere:
        some = tuple(lead for lead in leads if all((n, lead) in test.scores for n in somewhere))
        if some:
            some_leads = _group(test, [ALONE, *somewhere], some, resamples)
        else:
            missing += somewhere
    rows = every_lead.rows(finals.answer)
    auroc = every_lead.auroc
    validation = finals.validation
    return Compared(
        answer=finals.answer,
        classes=finals.classes,
        n_patients=resamples.n_patients,
        n_positive_C=(test.labels_NC > 0.5).sum(axis=0),
        teacher=bootstrap_auroc(test.labels_NC, test.teacher_NC[None, None], resamples),
        every_lead=every_lead,
        some_leads=some_leads,
        best=best_set(auroc.macro_K[rows], auroc.macro_BK[:, rows], seeds_KR=auroc.macro_KR[rows]),
        validation_K=np.array([_macro(validation, finals.answer, lead) for lead in leads]),
        missing=tuple(missing),
    )


def _names(plan: Sequence[Contender], leads: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the contenders of every lead, and those of some leads."""
    of: dict[str, set[str]] = {}
    for contender in plan:
        of.setdefault(contender.name, set()).add(contender.condition.name)
    everywhere = [name for name in of if len(of[name]) == len(leads)]
    return everywhere, [name for name in of if name not in everywhere]


def _group(
    examined: Examined, names: Sequence[str], leads: tuple[str, ...], resamples: PatientResamples
) -> Group:
    keys = [(name, lead) for name in names for lead in leads]
    seeds = sorted(set.intersection(*(set(examined.seeds[key]) for key in keys)))
    if not seeds:
        raise DataError(
            f"the contenders {', '.join(names)} have no seed in common over the leads "
            f"{', '.join(leads)}. Train what is missing by `mvkt finalize`."
        )
    scores_KRNC = np.stack(
        [examined.scores[key][[examined.seeds[key].index(seed) for seed in seeds]] for key in keys]
    )
    return Group(
        names=tuple(names),
        leads=leads,
        seeds=tuple(seeds),
        auroc=bootstrap_auroc(examined.labels_NC, scores_KRNC, resamples),
    )


def _macro(examined: Examined, name: str, lead: str) -> float:
    seeds = examined.scores[name, lead]
    return float(np.mean([macro_mean(auroc_per_class(examined.labels_NC, s)).value for s in seeds]))
