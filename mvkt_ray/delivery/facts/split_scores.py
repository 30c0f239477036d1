"""Scores of a contender or the teacher on the test split, by class and as means.

Scores are means over seeds; thresholds are chosen on the same student's validation predictions.

Shapes: R seeds, N recordings, C classes.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.facts.class_means import validation_scores
from mvkt_ray.delivery.facts.evidence import LEVEL, TEACHER, Evidence, Resampled, scores_over
from mvkt_ray.delivery.facts.task_metrics import Both, f1_and_thresholds, task_scores
from mvkt_ray.delivery.report.quantities import Ends
from mvkt_ray.delivery.report.reported_scores import (
    ClassScores,
    TestScores,
    ValidationScores,
)
from mvkt_ray.json_values import finite
from mvkt_ray.search.finals.finals_results import Examined, Key
from mvkt_ray.statistics.intervals import Interval, bca_interval, ends, percentile_interval
from mvkt_ray.statistics.scores import auroc_per_class, average_precision_per_class, macro_mean

MIN_POSITIVES = 10
"""Least number of positive recordings for a class's score to count in the report."""

NO_THRESHOLDS = (
    "The students were trained on the validation split too, so no recordings were left to choose "
    "thresholds on."
)


def describe_test(evidence: Evidence, key: Key, task: str) -> TestScores:
    """Return the report's `test` scores of a contender or the teacher."""
    finals = evidence.finals
    resampled, k = evidence.scored(key)
    areas = resampled.areas
    both = Both(
        labels_NC=finals.test.labels_NC,
        scores_RNC=_scores(finals.test, resampled, key),
        chosen_on_NC=finals.validation.labels_NC,
        chosen_by_RNC=_validation_scores(evidence, resampled, key),
    )
    precision_C = np.mean(
        [average_precision_per_class(both.labels_NC, scores) for scores in both.scores_RNC], axis=0
    )
    f1_C, threshold_C = f1_and_thresholds(both)
    precision, f1 = macro_mean(precision_C), macro_mean(f1_C)
    per_seed = areas.macro_KR[k, : len(both.scores_RNC)]
    values_B = areas.macro_BK[:, k]
    observed = float(areas.macro_K[k])
    return TestScores(
        macro_auroc=observed,
        ci=_area(percentile_interval(values_B, LEVEL)),
        ci_bca=_area(bca_interval(observed, values_B, resampled.jackknife.macro_PK[:, k], LEVEL)),
        seed_sd=float(per_seed.std(ddof=1)) if len(per_seed) > 1 else None,
        per_seed=tuple(per_seed.tolist()),
        n_seeds=len(per_seed),
        per_class={
            name: _describe_class(resampled, k, c, both.labels_NC, precision_C, f1_C, threshold_C)
            for c, name in enumerate(finals.classes)
        },
        macro_f1=finite(f1.value),
        f1_left_out=tuple(finals.classes[c] for c in f1.left_out),
        f1_reason=None if both.chosen_by_RNC is not None else NO_THRESHOLDS,
        macro_average_precision=finite(precision.value),
        average_precision_left_out=tuple(finals.classes[c] for c in precision.left_out),
        left_out=tuple(finals.classes[c] for c in areas.left_out),
        task_scores=task_scores(task, finals.classes, both),
    )


def describe_validation(evidence: Evidence, key: Key) -> ValidationScores | None:
    """Return the report's `validation` scores of a contender; None if it was trained on them.

    Unlike scores of the search these are means over seeds.
    """
    resampled, _ = evidence.scored(key)
    scores_RNC = _validation_scores(evidence, resampled, key)
    if scores_RNC is None:
        return None
    labels_NC = evidence.finals.validation.labels_NC
    auroc_C = np.mean([auroc_per_class(labels_NC, scores) for scores in scores_RNC], axis=0)
    classes = evidence.finals.classes
    per_class = dict(zip(classes, map(float, auroc_C), strict=True))
    scores = validation_scores(macro_mean(auroc_C).value, per_class, classes)
    return replace(scores, n_seeds=len(scores_RNC))


def _describe_class(
    resampled: Resampled,
    k: int,
    c: int,
    labels_NC: NDArray[Any],
    precision_C: NDArray[np.float64],
    f1_C: NDArray[np.float64],
    threshold_C: NDArray[np.float64],
) -> ClassScores:
    n_positive = int((labels_NC[:, c] > 0.5).sum())
    areas = resampled.areas
    auroc = finite(areas.observed_KC[k, c])
    interval = None if auroc is None else percentile_interval(areas.values_BKC[:, k, c], LEVEL)
    return ClassScores(
        auroc=auroc,
        ci=None if interval is None else _area(interval),
        n_positive=n_positive,
        average_precision=finite(precision_C[c]),
        f1=finite(f1_C[c]),
        threshold=finite(threshold_C[c]),
        too_few=n_positive < MIN_POSITIVES,
    )


def _area(interval: Interval) -> Ends | None:
    """Return the ends of an AUROC's interval, clipped to 0 and 1.

    The simulated noise of further seeds is normal, hence unbounded.
    """
    found = ends(interval)
    if found is None:
        return None
    low, high = (min(1.0, max(0.0, end)) for end in found)
    return low, high


def _scores(examined: Examined, resampled: Resampled, key: Key) -> NDArray[np.float32]:
    """Return the probabilities of a contender over its seeds, or of the teacher once (R = 1)."""
    if key == TEACHER:
        return examined.teacher_NC[None]
    return scores_over(examined, key, resampled.seeds)


def _validation_scores(
    evidence: Evidence, resampled: Resampled, key: Key
) -> NDArray[np.float32] | None:
    """Return validation probabilities `[R, N, C]`; None for students trained on that split."""
    if evidence.finals.refit and key != TEACHER:
        return None
    return _scores(evidence.finals.validation, resampled, key)
