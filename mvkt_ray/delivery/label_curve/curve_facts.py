"""The numbers of a label budget: scores by budget, lead and contender, gains, and equal labels.

Shapes: K contenders, B resamples, M budgets, R seeds, N recordings, C classes, U units: draws of
the labels, or seeds for one draw.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray import __version__
from mvkt_ray.delivery.facts.evidence import LEVEL, N_RESAMPLES, SEED, TEACHER, scores_over
from mvkt_ray.delivery.facts.gaps.teacher_gap import baseline_of
from mvkt_ray.delivery.label_curve.curve_material import CurveMaterial, ExaminedCell, n_labelled
from mvkt_ray.delivery.label_curve.reported_curve import (
    SCHEMA_VERSION,
    BudgetDraw,
    CurveCell,
    CurveGain,
    CurvePoint,
    CurveScore,
    CurveStatistics,
    DrawnBudget,
    EqualLabels,
    LabelCurve,
    LeadCurve,
)
from mvkt_ray.json_values import finite
from mvkt_ray.search.finals.finals_results import FinalsResults, Key
from mvkt_ray.search.label_budget.budget_cells import Budget
from mvkt_ray.statistics.budget_curve import (
    BudgetScores,
    equal_labels,
    quantiles_with_infinity,
    score_budget,
)
from mvkt_ray.statistics.gains import Difference, correct_together, paired_differences
from mvkt_ray.statistics.intervals import ends, percentile_interval
from mvkt_ray.statistics.resampling import draw_patients


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Point:
    """Scores of one budget."""

    cells: tuple[ExaminedCell, ...]
    keys: tuple[Key, ...]
    """Contenders on the axis K; the teacher is the last."""
    scores: BudgetScores

    @property
    def n_labelled(self) -> float:
        return n_labelled(self.cells)


def describe_curve(material: CurveMaterial) -> LabelCurve:
    """Return the report of a label budget without its sentences.

    Raises:
        DataError: The finals of one budget share no lead.
    """
    first, base = material.examined[0], material.plan.base
    test, answer, alone = first.finals.test, first.finals.answer, baseline_of(first.finals)
    assert alone is not None
    resamples = draw_patients(test.patient_ids_N, N_RESAMPLES, SEED)
    points = {
        budget: _score(cells, resamples, stream, alone)
        for stream, (budget, cells) in enumerate(material.by_budget.items())
    }
    gains = _gains(points, answer, alone)
    leads = dict.fromkeys(lead for point in points.values() for _, lead in point.keys[:-1])
    return LabelCurve(
        schema_version=SCHEMA_VERSION,
        study=base.name,
        task=base.data.task,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        mvkt_ray_version=__version__,
        distils_unlabelled=first.cell.study(base).data.label_use.distils_unlabelled,
        is_synthetic=base.data.source == "synthetic",
        metric="macro_auroc",
        statistics=CurveStatistics(level=LEVEL, n_resamples=N_RESAMPLES, n_gains=len(gains)),
        alone=alone,
        answer=answer,
        n_test_recordings=len(test.record_ids_N),
        n_test_patients=len(set(test.patient_ids_N)),
        budgets=tuple(_describe_budget(material, *each) for each in points.items()),
        leads=tuple(_describe_lead(lead, points, gains, answer, alone) for lead in leads),
        cells=tuple(
            CurveCell(name=cell.name, labels=cell.describe(), state=state)
            for cell, state in material.states
        ),
        sentences=(),
    )


def _score(cells: Sequence[ExaminedCell], resamples: Any, stream: int, alone: str) -> _Point:
    """Score the leads with both contenders in all draws of a budget."""
    keys = [
        key
        for key in cells[0].finals.test.scores
        if key[0] in (alone, cells[0].finals.answer)
        and all(key in each.finals.test.scores for each in cells)
    ]
    draws: list[list[NDArray[Any]]] = []
    for each in cells:
        seeds = _shared_seeds(each.finals, keys)
        scores = [scores_over(each.finals.test, key, seeds) for key in keys]
        # The teacher is one training: its probabilities are repeated for each seed.
        teacher = np.repeat(each.finals.test.teacher_NC[None], len(seeds), axis=0)
        draws.append([*scores, teacher])
    scores = score_budget(cells[0].finals.test.labels_NC, draws, resamples, stream)
    return _Point(cells=tuple(cells), keys=(*keys, TEACHER), scores=scores)


def _shared_seeds(finals: FinalsResults, keys: Sequence[Key]) -> list[int]:
    return sorted(set.intersection(*(set(finals.test.seeds[key]) for key in keys)))


def _gains(
    points: Mapping[Budget, _Point], answer: str, alone: str
) -> dict[tuple[Budget, str], Difference]:
    """Return the gains, distilled minus alone, by budget and lead, corrected as one family."""
    found: list[tuple[tuple[Budget, str], Difference]] = []
    for budget, point in points.items():
        leads = [lead for name, lead in point.keys if name == answer]
        leads = [lead for lead in leads if (alone, lead) in point.keys]
        pairs = [
            (point.keys.index((answer, lead)), point.keys.index((alone, lead))) for lead in leads
        ]
        scores = point.scores
        differences = paired_differences(
            scores.observed_K, scores.values_BK, pairs, level=LEVEL, seeds_KR=scores.units_KU
        )
        found += [((budget, lead), each) for lead, each in zip(leads, differences, strict=True)]
    family = correct_together([each for _, each in found], LEVEL)
    return {key: each for (key, _), each in zip(found, family, strict=True)}


def _describe_budget(material: CurveMaterial, budget: Budget, point: _Point) -> DrawnBudget:
    return DrawnBudget(
        budget=budget,
        n_labelled=point.n_labelled,
        n_draws=len(point.cells),
        n_draws_planned=sum(cell.budget == budget for cell, _ in material.states),
        draws=tuple(
            BudgetDraw(
                name=each.cell.name,
                labelled={k: v for k, v in asdict(each.cell.labelled).items() if v is not None},
                n_labelled=each.n_labelled,
            )
            for each in point.cells
        ),
    )


def _describe_lead(
    lead: str,
    points: Mapping[Budget, _Point],
    gains: Mapping[tuple[Budget, str], Difference],
    answer: str,
    alone: str,
) -> LeadCurve:
    ours, theirs = (answer, lead), (alone, lead)
    own = {
        budget: point
        for budget, point in points.items()
        if ours in point.keys and theirs in point.keys
    }
    return LeadCurve(
        lead=lead,
        points=tuple(
            CurvePoint(
                budget=budget,
                n_labelled=point.n_labelled,
                alone=_describe_score(point, theirs),
                answer=_describe_score(point, ours),
                teacher=_describe_score(point, TEACHER),
                gain=_describe_gain(gains[budget, lead]),
                equal_labels=_equal(list(own.values()), point, ours, theirs),
            )
            for budget, point in own.items()
        ),
    )


def _describe_score(point: _Point, key: Key) -> CurveScore:
    k = point.keys.index(key)
    interval = percentile_interval(point.scores.widened(LEVEL)[:, k], LEVEL)
    clipped = replace(interval, low=max(0.0, interval.low), high=min(1.0, interval.high))
    units_U = point.scores.units_KU[k]
    return CurveScore(
        macro_auroc=finite(point.scores.observed_K[k]),
        ci=ends(clipped),
        by_draw=tuple(units_U.tolist()) if len(point.cells) > 1 else (float(units_U.mean()),),
    )


def _describe_gain(difference: Difference) -> CurveGain:
    return CurveGain(
        difference=difference.difference,
        ci=ends(difference.interval),
        ci_corrected=ends(difference.corrected),
        p_holm=difference.p_holm,
        claimed=difference.claimed,
    )


def _equal(points: Sequence[_Point], point: _Point, answer: Key, alone: Key) -> EqualLabels | None:
    """Return the number of labels with which alone reaches the answer's score at a budget."""
    if len(points) < 2:
        return None
    n_labels_M = np.array([each.n_labelled for each in points])
    observed_M = np.array([_observed(each, alone) for each in points])
    found = float(equal_labels(n_labels_M, observed_M, _observed(point, answer)))
    values_BM = np.stack([_values(each, alone) for each in points], axis=1)
    wanted_B = _values(point, answer)
    defined = ~(np.isnan(values_BM).any(axis=1) | np.isnan(wanted_B))
    found_B = equal_labels(n_labels_M, values_BM[defined], wanted_B[defined])
    low, high = quantiles_with_infinity(np.asarray(found_B), LEVEL)
    return EqualLabels(
        n_labels=_inside(found),
        low=_inside(low),
        high=_inside(high),
        is_beyond=math.isinf(found),
        is_below=found == 0,
        low_is_beyond=math.isinf(low),
        low_is_below=bool(low == 0),
        high_is_beyond=math.isinf(high),
        high_is_below=bool(high == 0),
        fewest=float(n_labels_M.min()),
        most=float(n_labels_M.max()),
    )


def _observed(point: _Point, key: Key) -> float:
    return float(point.scores.observed_K[point.keys.index(key)])


def _values(point: _Point, key: Key) -> NDArray[np.float64]:
    return point.scores.widened(LEVEL)[:, point.keys.index(key)]


def _inside(n_labels: float) -> float | None:
    return n_labels if 0 < n_labels < np.inf else None
