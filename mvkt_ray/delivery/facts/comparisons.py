"""Which differences between contenders the test split shows, each corrected over its family.

Three families, each corrected by Holm: the gains of the answer over every other contender of every
lead; leads against leads; and, for every other contender, the mean of its gains over the leads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.facts.evidence import LEVEL, Evidence, Resampled
from mvkt_ray.delivery.report.reported_differences import Gain
from mvkt_ray.delivery.report.reported_leads import ReportedLead
from mvkt_ray.search.finals.finals_plan import CHOSEN, is_chosen
from mvkt_ray.search.finals.finals_results import Key
from mvkt_ray.statistics.gains import Difference, correct_together, paired_differences
from mvkt_ray.statistics.intervals import ends

ALONE = "student_alone"
"""The contender without a teacher: gains are, first of all, over it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanDifference:
    """The mean over leads of the answer's gains over one other contender."""

    difference: Difference
    n_seeds: int
    n_leads: int
    n_positive_leads: int


def compared_with(leads: Sequence[ReportedLead]) -> tuple[list[str], list[str]]:
    """Return what the answer was compared with, in its order.

    Args:
        leads: The report's.

    Returns:
        The baselines and other contenders; and apart from them further trials that were chosen,
        which are smaller or next best students with the same teacher.
    """
    names = dict.fromkeys(gain.over for lead in leads for gain in lead.gains)
    further = [name for name in names if is_chosen(name) and name != CHOSEN]
    return [name for name in names if name not in further], further


def gains_of_answer(evidence: Evidence) -> dict[Key, tuple[Difference, int]]:
    """Return the gain of each lead's answer over every other contender, and the seeds of both."""
    found: list[tuple[Key, Difference, int]] = []
    for seeds in dict.fromkeys(evidence.seeds(key) for key in evidence.finals.test.seeds):
        others = [
            key
            for lead in evidence.leads
            for key in evidence.contenders(lead)
            if key != evidence.answer(lead)
            and evidence.can_be_compared(key)
            and evidence.seeds(key) == seeds
        ]
        if not others:
            continue
        resampled = evidence.over(seeds)
        pairs = [
            (resampled.position(evidence.answer(key[1])), resampled.position(key)) for key in others
        ]
        differences = _differences(resampled, pairs)
        found += [
            (key, difference, len(seeds))
            for key, difference in zip(others, differences, strict=True)
        ]
    family = correct_together([difference for _, difference, _ in found], LEVEL)
    return {
        key: (difference, n_seeds)
        for (key, _, n_seeds), difference in zip(found, family, strict=True)
    }


def lead_against_lead(
    evidence: Evidence, leads: Sequence[str]
) -> list[tuple[str, str, Difference]]:
    """Return all pairs of leads, the better one first.

    Args:
        evidence: The contenders.
        leads: Ranked, the best first.
    """
    if len(leads) < 2:
        return []
    resampled = evidence.over(evidence.ranking_seeds)
    at = [resampled.position(evidence.answer(lead)) for lead in leads]
    pairs = [(i, j) for i in range(len(leads)) for j in range(i + 1, len(leads))]
    differences = _differences(resampled, [(at[i], at[j]) for i, j in pairs])
    return [
        (leads[i], leads[j], difference)
        for (i, j), difference in zip(pairs, differences, strict=True)
    ]


def mean_gains(evidence: Evidence) -> dict[str, MeanDifference]:
    """Return the mean gains over the leads, by the contender that they are over."""
    made: dict[str, MeanDifference] = {}
    for name in dict.fromkeys(contender.name for contender in evidence.finals.plan):
        if name != evidence.finals.answer and (gain := _mean_gain(evidence, name)) is not None:
            made[name] = gain
    family = correct_together([gain.difference for gain in made.values()], LEVEL)
    return {
        name: MeanDifference(
            difference=difference,
            n_seeds=gain.n_seeds,
            n_leads=gain.n_leads,
            n_positive_leads=gain.n_positive_leads,
        )
        for (name, gain), difference in zip(made.items(), family, strict=True)
    }


def describe_difference(over: str, difference: Difference, n_seeds: int) -> Gain:
    """Return a difference as the report has it."""
    return Gain(
        over=over,
        difference=difference.difference,
        ci=ends(difference.interval),
        ci_corrected=ends(difference.corrected),
        p=difference.p,
        p_holm=difference.p_holm,
        claimed=difference.claimed,
        n_seeds=n_seeds,
    )


def over_shared_seeds(
    evidence: Evidence, name: str, leads: Sequence[str]
) -> tuple[Resampled, list[str]] | None:
    """Return the leads that have a contender, over the seeds that it has for all of them."""
    keys = [(name, lead) for lead in leads if (name, lead) in evidence.finals.test.seeds]
    keys = [key for key in keys if evidence.can_be_compared(key)]
    if not keys:
        return None
    seeds = set.intersection(*(set(evidence.seeds(key)) for key in keys))
    return (evidence.over(tuple(sorted(seeds))), [lead for _, lead in keys]) if seeds else None


def _differences(resampled: Resampled, pairs: Sequence[tuple[int, int]]) -> list[Difference]:
    areas = resampled.areas
    return paired_differences(
        areas.macro_K, areas.macro_BK, pairs, level=LEVEL, seeds_KR=areas.macro_KR
    )


def _mean_gain(evidence: Evidence, name: str) -> MeanDifference | None:
    shared = over_shared_seeds(evidence, name, evidence.leads)
    if shared is None:
        return None
    resampled, leads = shared
    areas = resampled.areas
    answers = [resampled.position(evidence.answer(lead)) for lead in leads]
    others = [resampled.position((name, lead)) for lead in leads]

    def both(of_K: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([of_K[answers].mean(0), of_K[others].mean(0)])

    difference = paired_differences(
        both(areas.macro_K),
        both(areas.macro_BK.T).T,
        [(0, 1)],
        level=LEVEL,
        seeds_KR=both(areas.macro_KR),
    )[0]
    return MeanDifference(
        difference=difference,
        n_seeds=len(resampled.seeds),
        n_leads=len(leads),
        n_positive_leads=int((areas.macro_K[answers] > areas.macro_K[others]).sum()),
    )
