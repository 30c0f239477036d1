"""Differences between contenders on the test split, each corrected over its family.

Three families, each corrected by Holm: the gains of the answer over every other contender of every
lead; leads against leads; and, for every other contender, the mean of its gains over the leads.

Shapes: K contenders, B resamples, R seeds.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.facts.evidence import LEVEL, Evidence, Resampled
from mvkt_ray.delivery.report.reported_differences import Gain, LeadPair, MeanGain
from mvkt_ray.delivery.report.reported_leads import ReportedLead
from mvkt_ray.search.finals.finals_plan import CHOSEN, is_chosen
from mvkt_ray.search.finals.finals_results import Key
from mvkt_ray.statistics.gains import Difference, correct_together, paired_differences
from mvkt_ray.statistics.intervals import ends
from mvkt_ray.statistics.resampling import AurocResamples

ALONE = "student_alone"
"""Name of the contender without a teacher, the first baseline of gains."""

Pairs = Sequence[tuple[int, int]]
"""Position of each minuend, and of its subtrahend, on the axis of contenders."""


def compared_with(leads: Sequence[ReportedLead]) -> tuple[list[str], list[str]]:
    """Return the names of the contenders that the answer was compared with, in their order.

    Args:
        leads: Leads of the report.

    Returns:
        Baselines and other contenders; and, separately, further chosen trials, which are smaller or
        next-best students of the same teacher.
    """
    names = dict.fromkeys(gain.over for lead in leads for gain in lead.gains)
    further = [name for name in names if is_chosen(name) and name != CHOSEN]
    return [name for name in names if name not in further], further


def gains_of_answer(evidence: Evidence) -> dict[Key, Gain]:
    """Return the gain of each lead's answer over every other contender, over shared seeds."""
    found: dict[Key, tuple[Difference, int]] = {}
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
        at = resampled.position
        pairs = [(at(evidence.answer(key[1])), at(key)) for key in others]
        differences = macro_differences(resampled.areas, pairs)
        found |= {key: (each, len(seeds)) for key, each in zip(others, differences, strict=True)}
    family = correct_together([difference for difference, _ in found.values()], LEVEL)
    return {
        key: describe_difference(key[0], difference, n_seeds)
        for (key, (_, n_seeds)), difference in zip(found.items(), family, strict=True)
    }


def lead_against_lead(evidence: Evidence, leads: Sequence[str]) -> tuple[LeadPair, ...]:
    """Return the differences of all pairs of leads, the higher-ranked one as the minuend.

    Args:
        evidence: Resampled contenders.
        leads: Names of the leads by rank, the best first.
    """
    if len(leads) < 2:
        return ()
    resampled = evidence.over(evidence.ranking_seeds)
    at = [resampled.position(evidence.answer(lead)) for lead in leads]
    pairs = list(itertools.combinations(range(len(leads)), 2))
    differences = macro_differences(resampled.areas, [(at[i], at[j]) for i, j in pairs])
    return tuple(
        LeadPair(
            lead=leads[i],
            **asdict(describe_difference(leads[j], difference, len(resampled.seeds))),
        )
        for (i, j), difference in zip(pairs, differences, strict=True)
    )


def mean_gains(evidence: Evidence) -> tuple[MeanGain, ...]:
    """Return the answer's gains over every other contender, averaged over the leads."""
    found: list[tuple[str, Resampled, Pairs]] = []
    for name in dict.fromkeys(contender.name for contender in evidence.finals.plan):
        shared = over_shared_seeds(evidence, name, evidence.leads)
        if name == evidence.finals.answer or shared is None:
            continue
        resampled, leads = shared
        at = resampled.position
        found.append((name, resampled, [(at(evidence.answer(x)), at((name, x))) for x in leads]))
    means = [mean_difference(resampled.areas, pairs) for _, resampled, pairs in found]
    means = correct_together(means, LEVEL)
    return tuple(
        MeanGain(
            **asdict(describe_difference(name, mean, len(resampled.seeds))),
            n_leads=len(pairs),
            n_positive_leads=_n_positive(resampled.areas.macro_K, pairs),
        )
        for (name, resampled, pairs), mean in zip(found, means, strict=True)
    )


def macro_differences(areas: AurocResamples, pairs: Pairs) -> list[Difference]:
    """Return the macro AUROC differences of pairs of contenders, corrected as one family."""
    return paired_differences(
        areas.macro_K, areas.macro_BK, pairs, level=LEVEL, seeds_KR=areas.macro_KR
    )


def mean_difference(areas: AurocResamples, pairs: Pairs) -> Difference:
    """Return the difference of two macro AUROCs that are averaged over pairs of contenders."""

    def means(of_K: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([of_K[list(side)].mean(0) for side in zip(*pairs, strict=True)])

    return paired_differences(
        means(areas.macro_K),
        means(areas.macro_BK.T).T,
        [(0, 1)],
        level=LEVEL,
        seeds_KR=means(areas.macro_KR),
    )[0]


def describe_difference(over: str, difference: Difference, n_seeds: int) -> Gain:
    """Return a difference as a gain of the report.

    Args:
        over: Name of the subtrahend.
        difference: Difference corrected over its family.
        n_seeds: Number of seeds that both sides share.
    """
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
    """Return the leads with a contender, and its scores over the seeds shared by these leads.

    Returns:
        None if no lead has the contender, or the leads share no seed.
    """
    keys = [(name, lead) for lead in leads if (name, lead) in evidence.finals.test.seeds]
    keys = [key for key in keys if evidence.can_be_compared(key)]
    if not keys:
        return None
    seeds = set.intersection(*(set(evidence.seeds(key)) for key in keys))
    return (evidence.over(tuple(sorted(seeds))), [lead for _, lead in keys]) if seeds else None


def _n_positive(scores_K: NDArray[np.float64], pairs: Pairs) -> int:
    return sum(bool(scores_K[first] > scores_K[other]) for first, other in pairs)
