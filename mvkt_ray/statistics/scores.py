"""Scores of predictions that need no threshold: ROC areas and average precision.

Shapes: N recordings, C classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def auroc_per_class(labels_NC: NDArray[Any], scores_NC: NDArray[Any]) -> NDArray[np.float64]:
    """Return the area under the ROC curve of every class, float64 `[n_classes]`.

    The area is the probability that a recording with the class scores above one without it, ties
    counting one half (Mann-Whitney U from mid-ranks), as scikit-learn's `roc_auc_score`.

    Args:
        labels_NC: 1 if a recording has the class, else 0.
        scores_NC: Scores; higher means more likely.

    Returns:
        NaN for a class that none or all of the recordings have, or with a NaN score.
    """
    positive_NC = np.asarray(labels_NC) > 0.5
    n_positive_C = positive_NC.sum(axis=0, dtype=np.int64)
    n_pairs_C = n_positive_C * (len(positive_NC) - n_positive_C)
    if len(positive_NC) == 0:
        return np.full(positive_NC.shape[1], np.nan)
    ranks_NC = mid_ranks(scores_NC)
    wins_C = (ranks_NC * positive_NC).sum(axis=0) - n_positive_C * (n_positive_C + 1) / 2
    return np.divide(wins_C, n_pairs_C, out=np.full(len(wins_C), np.nan), where=n_pairs_C > 0)


def mid_ranks(values_NC: NDArray[Any]) -> NDArray[np.float64]:
    """Return the ranks of the values in every column, from 1; equal values have their mean rank.

    As `scipy.stats.rankdata` with `axis=0`, without importing `scipy.stats` in every worker.

    Returns:
        float64 `[n_recordings, n_classes]`; NaN throughout a column with a NaN.
    """
    values_NC = np.asarray(values_NC)
    n = len(values_NC)
    order_NC = np.argsort(values_NC, axis=0, kind="stable")
    sorted_NC = np.take_along_axis(values_NC, order_NC, axis=0)
    place_N1 = np.arange(n)[:, None]
    differs_NC = sorted_NC[1:] != sorted_NC[:-1]
    # Positions of the first and the last value that equal each value.
    first_NC, last_NC = np.zeros(values_NC.shape, int), np.full(values_NC.shape, n - 1)
    first_NC[1:] = np.maximum.accumulate(np.where(differs_NC, place_N1[1:], 0), axis=0)
    last_NC[:-1] = np.where(differs_NC, place_N1[:-1], n - 1)
    last_NC = np.minimum.accumulate(last_NC[::-1], axis=0)[::-1]
    ranks_NC = np.empty(values_NC.shape)
    np.put_along_axis(ranks_NC, order_NC, (first_NC + last_NC) / 2 + 1, axis=0)
    ranks_NC[:, np.isnan(values_NC).any(axis=0)] = np.nan
    return ranks_NC


def average_precision_per_class(
    labels_NC: NDArray[Any], scores_NC: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the average precision of every class, float64 `[n_classes]`.

    The sum over distinct scores, from high to low, of precision times the gained recall, as
    scikit-learn's `average_precision_score` (no interpolation).

    Returns:
        NaN for a class without recordings, or with a NaN score.
    """
    positive_NC = np.asarray(labels_NC) > 0.5
    scores_NC = np.asarray(scores_NC)
    precisions = np.full(positive_NC.shape[1], np.nan)
    for column, (positive_N, scores_N) in enumerate(zip(positive_NC.T, scores_NC.T, strict=True)):
        if positive_N.any() and not np.isnan(scores_N).any():
            cuts = Cuts.of(positive_N, scores_N)
            gained = np.diff(cuts.n_true, prepend=0) / positive_N.sum()
            precisions[column] = (gained * cuts.n_true / cuts.n_fired).sum()
    return precisions


@dataclass(frozen=True, kw_only=True, slots=True)
class Cuts:
    """All distinct cuts of a class's recordings by score, from the highest score down."""

    lowest: NDArray[np.float64]
    """Lowest score at or above each cut, descending."""
    n_fired: NDArray[np.int64]
    """Number of recordings at or above it."""
    n_true: NDArray[np.int64]
    """Number of these recordings that have the class."""

    @classmethod
    def of(cls, positive_N: NDArray[np.bool_], scores_N: NDArray[Any]) -> "Cuts":
        """Cut at each distinct score."""
        scores_N = np.asarray(scores_N, dtype=np.float64)
        order = np.argsort(-scores_N, kind="stable")
        descending = scores_N[order]
        ends = np.append(np.flatnonzero(np.diff(descending)), len(descending) - 1)
        return cls(
            lowest=descending[ends],
            n_fired=ends + 1,
            n_true=np.cumsum(positive_N[order], dtype=np.int64)[ends],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MacroMean:
    """A mean over classes, and the classes that it leaves out."""

    value: float
    """NaN if no class is defined."""
    n_classes: int
    """Number of classes in the mean."""
    left_out: tuple[int, ...]
    """Positions of the classes without a value, which none or all of the recordings have."""


def macro_mean(values_C: NDArray[Any]) -> MacroMean:
    """Return the mean over the classes with a value, and the positions of the others.

    A class without recordings cannot be scored; scikit-learn's `average="macro"` then returns no
    number at all. Callers that show the mean must show `left_out`, too.
    """
    values_C = np.asarray(values_C, dtype=np.float64)
    undefined = np.isnan(values_C)
    n_classes = int((~undefined).sum())
    return MacroMean(
        value=float(values_C[~undefined].mean()) if n_classes else float("nan"),
        n_classes=n_classes,
        left_out=tuple(int(column) for column in np.flatnonzero(undefined)),
    )


def mean_of_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of values `[..., C]` over the last axis, without NaN.

    Returns:
        `[...]`; NaN if all values are NaN, for which numpy's `nanmean` would warn.
    """
    defined = ~np.isnan(values)
    n_defined = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.divide(total, n_defined, out=np.full(total.shape, np.nan), where=n_defined > 0)
