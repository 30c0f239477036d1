"""The expected score of the best of many configurations, corrected for its selection.

Shapes: T configurations, N recordings, C classes, B resamples.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.errors import DataError
from mvkt_ray.slots import own_cores
from mvkt_ray.statistics.intervals import Interval, percentile_interval
from mvkt_ray.statistics.resampling import MOST_THREADS, PatientResamples, check_scores
from mvkt_ray.statistics.scores import auroc_per_class, macro_mean, mean_of_defined
from mvkt_ray.statistics.weighted_auroc import weight_chunks, weighted_auroc


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectionEstimate:
    """The score of the configuration that looked best, as it looked and as is to be expected."""

    best: int
    """Position of the configuration with the highest score."""
    naive: float
    """Its macro AUROC on the recordings that it was chosen on: optimistic."""
    corrected: float
    """Expected macro AUROC of a choice like this one on patients who had no part in the choice."""
    interval: Interval
    """Around `corrected`; wide, as each resample leaves only a third of the patients to score."""


def corrected_best(
    labels_NC: NDArray[Any],
    scores_TNC: NDArray[Any],
    resamples: PatientResamples,
    *,
    level: float = 0.95,
    n_threads: int | None = None,
) -> SelectionEstimate:
    """Return the best of several scores on one split, corrected for the selection on that split.

    Bootstrap bias corrected cross-validation (BBC-CV), Tsamardinos, Greasidou and Borboudakis 2018,
    "Bootstrapping the out-of-sample predictions for efficient and accurate cross-validation",
    Machine Learning 107, 1895-1922: in every resample the configuration that is best on the drawn
    patients is scored on those who were not drawn; the mean of these scores is the estimate, their
    middle `level` the interval. Nothing is trained again.

    A class that the patients of a resample lack is left out of that resample's macro means.

    Args:
        labels_NC: 1 where a recording has the class, else 0.
        scores_TNC: of every configuration that was tried, for recordings it was not trained on.
        resamples: of the patients of these recordings.
        level: of the interval.
        n_threads: of numpy's work; None: the cores of this process, up to `MOST_THREADS`. The
            result does not depend on it.

    Raises:
        DataError: shapes do not fit, a score is NaN, or no resample can be scored.
    """
    positive_NC = np.asarray(labels_NC) > 0.5
    scores_TNC = np.asarray(scores_TNC)
    check_scores(positive_NC, scores_TNC, resamples)
    with ThreadPoolExecutor(n_threads or min(own_cores(), MOST_THREADS)) as pool:
        chunks = weight_chunks(resamples.weights_BN)
        drawn_TB = list(
            pool.map(lambda scores_NC: _macro(positive_NC, scores_NC, chunks), scores_TNC)
        )
        drawn_BT = np.stack(drawn_TB, axis=1)
        scorable = np.flatnonzero(~np.isnan(drawn_BT).any(axis=1))
        chosen = drawn_BT[scorable].argmax(axis=1)

        # By whole patients: their recordings are all drawn or all left out.
        left = resamples.weights_BN == 0
        left_out_B = np.full(resamples.n_resamples, np.nan)

        def score_left_out(t: int) -> None:
            rows = scorable[chosen == t]
            weights = weight_chunks(left[rows].astype(np.uint8))
            left_out_B[rows] = _macro(positive_NC, scores_TNC[t], weights)

        list(pool.map(score_left_out, np.unique(chosen).tolist()))
    if np.isnan(left_out_B).all():
        raise DataError(
            f"none of {len(left_out_B)} resamples has a class with and without recordings among "
            "the drawn and the other patients. Give a split with more patients of each class."
        )
    naive_T = [macro_mean(auroc_per_class(positive_NC, scores)).value for scores in scores_TNC]
    return SelectionEstimate(
        best=int(np.argmax(naive_T)),
        naive=float(np.max(naive_T)),
        corrected=float(np.nanmean(left_out_B)),
        interval=percentile_interval(left_out_B, level),
    )


def _macro(
    positive_NC: NDArray[np.bool_], scores_NC: NDArray[Any], chunks: list[NDArray[Any]]
) -> NDArray[np.float64]:
    columns = zip(positive_NC.T, scores_NC.T, strict=True)
    areas = [weighted_auroc(positive_N, scores_N, chunks) for positive_N, scores_N in columns]
    return mean_of_defined(np.stack(areas, axis=-1))
