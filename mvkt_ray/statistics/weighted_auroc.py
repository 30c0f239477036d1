"""Areas under the ROC curve of one class, for many weightings of the same recordings at once.

A resample of patients is a weighting: the number of times that each recording is drawn. The
recordings are sorted once, and each weighting takes one cumulative sum, without further sorting.

Shapes: N recordings, B weightings, P patients.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.statistics.scores import mid_ranks

CHUNK = 128
"""Weightings per block: the cumulative sums of 2,000 recordings then fit into the CPU's cache."""


def weight_chunks(weights_BN: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the weightings as contiguous arrays `[N, up to CHUNK]`, for `weighted_auroc`."""
    starts = range(0, len(weights_BN), CHUNK)
    return [np.ascontiguousarray(weights_BN[start : start + CHUNK].T) for start in starts]


def weighted_auroc(
    positive_N: NDArray[np.bool_], scores_N: NDArray[Any], chunks: Sequence[NDArray[Any]]
) -> NDArray[np.float64]:
    """Return the area under every weighting, float64 `[B]`.

    Equal to the area over recordings repeated by their weights, ties counting one half.

    Args:
        positive_N: Whether a recording has the class.
        scores_N: Scores, without NaN; higher means more likely.
        chunks: Output of `weight_chunks`; whole numbers from 0.

    Returns:
        NaN for a weighting without a recording with the class, or without one that lacks it.
    """
    scores_N = np.asarray(scores_N, dtype=np.float64)
    if 2 * positive_N.sum() > len(positive_N):
        # The same area with classes swapped: the cumulative sum is read at the rarer class only.
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
    # Row i: total weight of the i lowest common recordings. A rare recording beats all below it and
    # half of its ties: twice that is the sum of two rows.
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

    From the number of won pairs (a positive scored above a negative recording), the wins of each of
    the patient's recordings are subtracted; pairs within the patient, subtracted twice, are added.

    Args:
        positive_N: Whether a recording has the class.
        scores_N: Scores, without NaN.
        patient_N: Patient of each recording, 0 to `n_patients` - 1.
        n_patients: P; each patient has a recording.

    Returns:
        NaN if no recording with the class remains, or none without it.
    """
    rank_N = _ranks(scores_N)
    wins_N = np.empty(len(rank_N))
    # The rank among all minus the rank within the own class is the number of the other class below,
    # ties as one half. A negative recording's won pairs are with positive ones above it.
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
    """Return `[P]`: won pairs within each patient's recordings, ties as one half."""
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
