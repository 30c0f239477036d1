"""The gap of a lead's students to the teacher, in three parts by lead and class.

*Closed* is the answer's gain over a student without a teacher. *Attainable* is the gain of an
ensemble of the answer's students over one of them: information that the lead contains, so that
better training could use it. *Left* is the difference of the teacher to that ensemble.

Shapes: K contenders, B resamples, R seeds, N recordings, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.delivery.facts.comparisons import ALONE, over_shared_seeds
from mvkt_ray.delivery.facts.evidence import (
    LEVEL,
    TEACHER,
    Evidence,
    Resampled,
    Seeds,
    scores_over,
)
from mvkt_ray.delivery.facts.split_scores import MIN_POSITIVES
from mvkt_ray.delivery.report.reported_differences import (
    GapClosed,
    GapPart,
    GapRow,
    LeadGap,
    TeacherGap,
    WholeGap,
)
from mvkt_ray.json_values import finite
from mvkt_ray.search.finals.finals_plan import Contender
from mvkt_ray.search.finals.finals_results import FinalsResults
from mvkt_ray.statistics.intervals import ends
from mvkt_ray.statistics.resampling import AurocResamples, bootstrap_auroc
from mvkt_ray.statistics.split_gap import Part, split_gap

NO_GAP = (
    "The teacher is not shown to be better than the student alone, so there is no gap to close."
)
NO_SCORE = "No test recording is with the class, or none is without it."


def gap_closed(evidence: Evidence, leads: Sequence[str]) -> GapClosed | None:
    """Return the share of the gap between student alone and teacher that the answer closes.

    Args:
        evidence: Resampled contenders.
        leads: Names of the leads; for several leads the share is the ratio of the means.

    Returns:
        None if no student alone was compared.
    """
    shared = over_shared_seeds(evidence, ALONE, leads)
    if evidence.finals.answer == ALONE or shared is None:
        return None
    resampled, with_alone = shared
    areas = resampled.areas
    answers = [resampled.position(evidence.answer(lead)) for lead in with_alone]
    alone = [resampled.position((ALONE, lead)) for lead in with_alone]
    teacher = resampled.position(TEACHER)
    scores, values, seeds = (
        np.stack([of[alone].mean(0), of[answers].mean(0), of[teacher]])
        for of in (areas.macro_K, areas.macro_BK.T, areas.macro_KR)
    )
    found = split_gap(scores, values.T, seeds_KR=seeds, level=LEVEL)
    closed = found.parts[0]
    return GapClosed(
        fraction=None if closed.share is None else finite(closed.share),
        ci=ends(closed.share_interval),
        gap=found.gap.difference,
        gap_ci=ends(found.gap.interval),
        reason=None if found.is_shown else NO_GAP,
    )


def describe_teacher_gap(evidence: Evidence, leads: Sequence[str]) -> TeacherGap | None:
    """Return the report's `teacher_gap`.

    Args:
        evidence: Resampled contenders.
        leads: Names of the leads by rank, the best first.

    Returns:
        None if no contender learned without a teacher.
    """
    baseline = baseline_of(evidence.finals)
    if baseline is None:
        return None
    ensembles = _Ensembles(evidence)
    described: list[LeadGap] = []
    for lead in leads:
        shared = over_shared_seeds(evidence, baseline, [lead])
        if shared is not None:
            described.append(_describe_lead(evidence, ensembles, shared[0], baseline, lead))
    if not described:
        return None
    return TeacherGap(baseline=baseline, leads=tuple(described))


def baseline_of(finals: FinalsResults) -> str | None:
    """Return the name of the contender that learned from labels alone, preferably `student_alone`.

    Returns:
        None if there is none, or if the answer itself learned from labels alone.
    """
    untaught = dict.fromkeys(each.name for each in finals.plan if not _is_taught(each))
    if finals.answer in untaught:
        return None
    return ALONE if ALONE in untaught else next(iter(untaught), None)


def _is_taught(contender: Contender) -> bool:
    hyperparameters = contender.hyperparameters
    return contender.name != ALONE and Hyperparameters.of(hyperparameters).uses_teacher


class _Ensembles:
    """Ensembles: each answer's probabilities averaged over seeds, under the same resamples."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._over: dict[Seeds, tuple[tuple[str, ...], AurocResamples]] = {}

    def of(self, seeds: Seeds, lead: str) -> tuple[AurocResamples, int]:
        """Return the ensembles over some seeds, and the position of the lead's on the axis K."""
        if seeds not in self._over:
            self._over[seeds] = self._score(seeds)
        names, areas = self._over[seeds]
        return areas, names.index(lead)

    def _score(self, seeds: Seeds) -> tuple[tuple[str, ...], AurocResamples]:
        evidence, test = self._evidence, self._evidence.finals.test
        names = tuple(
            lead for lead in evidence.leads if set(seeds) <= set(test.seeds[evidence.answer(lead)])
        )
        means_KNC: list[NDArray[np.float64]] = []
        for lead in names:
            scores_RNC = scores_over(test, evidence.answer(lead), seeds)
            means_KNC.append(scores_RNC.astype(np.float64).mean(axis=0))
        scores_K1NC = np.stack(means_KNC)[:, None]
        return names, bootstrap_auroc(test.labels_NC, scores_K1NC, evidence.resamples)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Steps:
    """Scores of one class, or of the macro mean, from student alone to teacher."""

    names: tuple[str, ...]
    observed_K: NDArray[np.float64]
    values_BK: NDArray[np.float64]
    seeds_KR: NDArray[np.float64]


def _describe_lead(
    evidence: Evidence, ensembles: _Ensembles, resampled: Resampled, baseline: str, lead: str
) -> LeadGap:
    labels_NC = evidence.finals.test.labels_NC
    n_seeds = len(resampled.seeds)
    at = [resampled.position(key) for key in ((baseline, lead), evidence.answer(lead), TEACHER)]
    # One student is no ensemble.
    ensemble = ensembles.of(resampled.seeds, lead) if n_seeds > 1 else None

    def steps(c: int | None) -> _Steps:
        columns = [_column(resampled.areas, k, c) for k in at]
        names = ["alone", "answer", "teacher"]
        if ensemble is not None:
            observed, values_B, seeds_R = _column(*ensemble, c)
            columns.insert(2, (observed, values_B, np.repeat(seeds_R, n_seeds)))
            names.insert(2, "ensemble")
        observed_K, values_KB, seeds_KR = zip(*columns, strict=True)
        return _Steps(
            names=tuple(names),
            observed_K=np.array(observed_K),
            values_BK=np.stack(values_KB, axis=1),
            seeds_KR=np.stack(seeds_KR),
        )

    rows = [_row(steps(None), None, None)]
    for c, name in enumerate(evidence.finals.classes):
        rows.append(_row(steps(c), name, int((labels_NC[:, c] > 0.5).sum())))
    return LeadGap(lead=lead, n_students=n_seeds, rows=tuple(rows))


def _column(
    areas: AurocResamples, k: int, c: int | None
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return score, resamples `[B]` and scores by seed `[R]` of contender k for class c.

    None for c stands for the macro mean.
    """
    if c is None:
        return float(areas.macro_K[k]), areas.macro_BK[:, k], areas.macro_KR[k]
    return float(areas.observed_KC[k, c]), areas.values_BKC[:, k, c], areas.observed_KRC[k, :, c]


def _row(steps: _Steps, class_name: str | None, n_positive: int | None) -> GapRow:
    observed = {
        name: finite(score) for name, score in zip(steps.names, steps.observed_K, strict=True)
    }
    defined = ~np.isnan(steps.values_BK).any(axis=1)
    gap = closed = left = None
    attainable: list[GapPart] = []
    reason: str | None = NO_SCORE
    if not np.isnan(steps.observed_K).any() and defined.sum() >= 2:
        found = split_gap(steps.observed_K, steps.values_BK, seeds_KR=steps.seeds_KR, level=LEVEL)
        gap = WholeGap(difference=found.gap.difference, ci=ends(found.gap.interval))
        closed, *attainable, left = map(_part, found.parts)
        reason = None if found.is_shown else NO_GAP
    return GapRow(
        class_=class_name,
        n_positive=n_positive,
        too_few=n_positive is not None and n_positive < MIN_POSITIVES,
        alone=observed["alone"],
        answer=observed["answer"],
        ensemble=observed.get("ensemble"),
        teacher=observed["teacher"],
        gap=gap,
        closed=closed,
        attainable=attainable[0] if attainable else None,
        left=left,
        reason=reason,
    )


def _part(part: Part) -> GapPart:
    return GapPart(
        difference=part.difference.difference,
        ci=ends(part.difference.interval),
        fraction=None if part.share is None else finite(part.share),
        fraction_ci=ends(part.share_interval),
    )
