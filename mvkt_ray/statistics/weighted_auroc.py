"""Areas under the ROC curve of one class, for many weightings of the same recordings at once.

A resample of patients is a weighting: how often each recording counts. The recordings are sorted
once, and each weighting costs one running sum, so nothing is sorted or copied per resample.

Shapes: N recordings, B weightings, P patients.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.statistics.scores import mid_ranks

CHUNK = 128
"""Weightings worked on together; the running sums of 2,000 recordings then stay in the cache."""


def weight_chunks(weights_BN: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the weightings as contiguous arrays `[N, up to CHUNK]`, as `weighted_auroc` wants."""
    starts = range(0, len(weights_BN), CHUNK)
    return [np.ascontiguousarray(weights_BN[start : start + CHUNK].T) for start in starts]


def weighted_auroc(
    positive_N: NDArray[np.bool_], scores_N: NDArray[Any], chunks: Sequence[NDArray[Any]]
) -> NDArray[np.float64]:
    """Return the area under every weighting, float64 `[B]`.

    Equal to the area over recordings that are repeated as often as they weigh, ties counting half.

    Args:
        positive_N: whether a recording has the class.
        scores_N: higher means more likely; without NaN.
        chunks: of `weight_chunks`, each `[N, up to CHUNK]`; whole numbers from 0.

    Returns:
        NaN where the weighting leaves no recording with the class, or none without it.
    """
    scores_N = np.asarray(scores_N, dtype=np.float64)
    if 2 * positive_N.sum() > len(positive_N):
        # The same area, seen from the other side: the running sum is read at the rarer kind.
        positive_N, scores_N = ~positive_N, -scores_N
    rare, common = np.flatnonzero(positive_N), np.flatnonzero(~positive_N)
    common = common[np.argsort(scores_N[common], kind="stable")]
    n_below = np.searchsorted(scores_N[common], scores_N[rare], side="left")
    n_not_above = np.searchsorted(scores_N[common], scores_N[rare], side="right")
    areas = [_areas(chunk, rare, common, n_below, n_not_above) for chunk in chunks]
    return np.concatenate(areas) if areas else np.empty(0)


def _areas(
    weights_NB: NDArray[Any],
    rare: NDArray[np.int64],
    common: NDArray[np.int64],
    n_below: NDArray[np.int64],
    n_not_above: NDArray[np.int64],
) -> NDArray[np.float64]:
    # Row i: weight of the i lowest of the common kind. A recording of the rare kind beats those
    # below it, and half of those that equal it: twice that is the sum of two rows.
    running = np.zeros((len(common) + 1, weights_NB.shape[1]), dtype=np.int32)
    np.cumsum(weights_NB[common], axis=0, dtype=np.int32, out=running[1:])
    twice_beaten = running[n_below]
    twice_beaten += running[n_not_above]
    weights_rare = weights_NB[rare]
    twice_wins = np.einsum("nb,nb->b", weights_rare, twice_beaten, dtype=np.float64)
    twice_pairs = 2.0 * weights_rare.sum(axis=0, dtype=np.int64) * running[-1]
    undefined = np.full(len(twice_wins), np.nan)
    return np.divide(twice_wins, twice_pairs, out=undefined, where=twice_pairs > 0)


def leave_one_out_auroc(
    positive_N: NDArray[np.bool_],
    scores_N: NDArray[Any],
    patient_N: NDArray[np.int64],
    n_patients: int,
) -> NDArray[np.float64]:
    """Return the area without each patient, float64 `[P]`, exactly and without a loop.

    Of the pairs that are won, those that a patient is part of are taken away: once for each of the
    patient's recordings, and the pairs between two of them, taken twice, are given back.

    Args:
        positive_N: whether a recording has the class.
        scores_N: without NaN.
        patient_N: the patient of each recording, 0 to `n_patients` - 1.
        n_patients: each has a recording.

    Returns:
        NaN where no recording with the class is left, or none without it.
    """
    rank_N = _ranks(scores_N)
    wins_N = np.empty(len(rank_N))
    # A rank among all less the rank among its own kind is the number of the other kind below it,
    # ties as one half. A recording without the class has its won pairs with those above it.
    wins_N[positive_N] = rank_N[positive_N] - _ranks(rank_N[positive_N])
    below_N = rank_N[~positive_N] - _ranks(rank_N[~positive_N])
    wins_N[~positive_N] = positive_N.sum() - below_N

    total = wins_N[positive_N].sum()
    of_patient = np.bincount(patient_N, weights=wins_N, minlength=n_patients)
    within = _wins_within_patients(positive_N, rank_N, patient_N, n_patients)
    n_positive = positive_N.sum() - np.bincount(patient_N[positive_N], minlength=n_patients)
    n_negative = (~positive_N).sum() - np.bincount(patient_N[~positive_N], minlength=n_patients)
    n_pairs = n_positive * n_negative
    undefined = np.full(n_patients, np.nan)
    return np.divide(total - of_patient + within, n_pairs, out=undefined, where=n_pairs > 0)


def _wins_within_patients(
    positive_N: NDArray[np.bool_],
    rank_N: NDArray[np.float64],
    patient_N: NDArray[np.int64],
    n_patients: int,
) -> NDArray[np.float64]:
    """Count, of each patient, the pairs of own recordings that are in order, ties as one half."""
    # Ranks are at most N, so this key sorts by patient first, and by score within a patient.
    key_N = patient_N * (2.0 * len(rank_N) + 1.0) + rank_N
    n_of = np.bincount(patient_N, minlength=n_patients)
    n_positive_of = np.bincount(patient_N[positive_N], minlength=n_patients)
    before = np.cumsum(n_of) - n_of
    positive_before = np.cumsum(n_positive_of) - n_positive_of
    patient = patient_N[positive_N]
    rank_own = _ranks(key_N)[positive_N] - before[patient]
    rank_own_positive = _ranks(key_N[positive_N]) - positive_before[patient]
    wins = np.bincount(patient, weights=rank_own - rank_own_positive, minlength=n_patients)
    return wins.astype(np.float64)


def _ranks(values_N: NDArray[Any]) -> NDArray[np.float64]:
    return mid_ranks(values_N[:, None])[:, 0]
