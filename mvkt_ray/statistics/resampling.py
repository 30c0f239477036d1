"""Bootstrap over patients and seeds: drawn once for all scores, so that comparisons are paired.

A patient's recordings are resampled together, since they are correlated. A contender's score is the
mean over its seeds; resamples include the variance of that mean over other seeds.

Shapes: B resamples, P patients, N recordings, K contenders, R seeds, C classes.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.errors import DataError
from mvkt_ray.slots import own_cores
from mvkt_ray.statistics.scores import auroc_per_class, mean_of_defined
from mvkt_ray.statistics.seed_noise import noise_of_new_seeds, private_variance
from mvkt_ray.statistics.weighted_auroc import leave_one_out_auroc, weight_chunks, weighted_auroc

MOST_THREADS = 8
"""Threads that score resamples in parallel: each holds weights and orders in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientResamples:
    """Samples of patients, with replacement, as weights of their recordings."""

    weights_BN: NDArray[np.uint8]
    """Number of times that each recording is in each resample."""
    patient_N: NDArray[np.int64]
    """The patient of each recording, 0 to `n_patients` - 1."""
    n_patients: int
    seed: int

    @property
    def n_resamples(self) -> int:
        """Return B."""
        return len(self.weights_BN)


def draw_patients(
    patient_N: NDArray[Any], n_resamples: int = 2000, seed: int = 0
) -> PatientResamples:
    """Draw as many patients as there are, with replacement, `n_resamples` times.

    Args:
        patient_N: Patient of each recording, as text or number.
        n_resamples: B, the number of resamples.
        seed: The same seed and patients give the same resamples.

    Raises:
        DataError: There are fewer than two patients.
    """
    patients, index_N = np.unique(np.asarray(patient_N), return_inverse=True)
    if len(patients) < 2:
        raise DataError(
            f"{len(patients)} patient cannot be resampled: intervals need at least two. Give a "
            "split with more patients."
        )
    rng = np.random.default_rng([seed, 0])
    even = np.full(len(patients), 1.0 / len(patients))
    weights_BN = np.empty((n_resamples, len(index_N)), dtype=np.uint8)
    for row in range(n_resamples):
        # Fits into uint8: the probability of 256 draws of one patient is below 1e-500.
        weights_BN[row] = rng.multinomial(len(patients), even)[index_N]
    return PatientResamples(
        weights_BN=weights_BN,
        patient_N=index_N.astype(np.int64),
        n_patients=len(patients),
        seed=seed,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class AurocResamples:
    """Areas of contenders, observed and resampled; a contender's area is the mean of its seeds'.

    A class that all observed recordings have, or none, is NaN everywhere, and is in no macro mean
    (`left_out`). A class that only some resamples lack is NaN in these, and their macro mean is
    over the others; the same holds for every contender, so differences stay paired.
    """

    observed_KC: NDArray[np.float64]
    """Areas on the original recordings."""
    observed_KRC: NDArray[np.float64]
    """Areas of each seed on the original recordings."""
    values_BKC: NDArray[np.float64]
    """Areas under each resample: the mean over all seeds on the resampled patients, plus the
    deviation by other seeds (`seed_noise`)."""
    macro_K: NDArray[np.float64]
    """Macro areas on the original recordings; NaN if no class is defined."""
    macro_KR: NDArray[np.float64]
    """Macro areas of each seed on the original recordings."""
    macro_BK: NDArray[np.float64]
    """Macro areas under each resample; NaN in a resample without a defined class."""
    left_out: tuple[int, ...]
    """Positions of the classes that no macro mean has."""
    predictions: "_Predictions"

    def jackknife(self) -> "AurocJackknife":
        """Return the areas without each patient, which `intervals.bca_interval` needs."""
        positive_NC, scores_KRNC = self.predictions.positive_NC, self.predictions.scores_KRNC
        resamples = self.predictions.resamples
        patient_N, n_patients = resamples.patient_N, resamples.n_patients
        n_contenders, n_seeds, _, n_classes = scores_KRNC.shape
        values_PKC = np.zeros((n_patients, n_contenders, n_classes))
        for k, r, c in np.ndindex(n_contenders, n_seeds, n_classes):
            values_PKC[:, k, c] += leave_one_out_auroc(
                positive_NC[:, c], scores_KRNC[k, r, :, c], patient_N, n_patients
            )
        values_PKC /= n_seeds
        return AurocJackknife(values_PKC=values_PKC, macro_PK=mean_of_defined(values_PKC))


@dataclass(frozen=True, kw_only=True, slots=True)
class AurocJackknife:
    """Areas of contenders, mean over seeds, without each patient."""

    values_PKC: NDArray[np.float64]
    """NaN if the class has recordings of this patient only."""
    macro_PK: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Predictions:
    """Predictions, and the resamples to score them on."""

    positive_NC: NDArray[np.bool_]
    scores_KRNC: NDArray[Any]
    resamples: PatientResamples


def bootstrap_auroc(
    labels_NC: NDArray[Any],
    scores_KRNC: NDArray[Any],
    resamples: PatientResamples,
    *,
    n_threads: int | None = None,
) -> AurocResamples:
    """Score contenders under every resample of patients and seeds, the same for all of them.

    Args:
        labels_NC: 1 if a recording has the class, else 0.
        scores_KRNC: Scores of each contender and seed; all contenders have the same seeds.
        resamples: Resamples of the patients of these recordings.
        n_threads: Threads; None: the cores of this process, up to `MOST_THREADS`. The result does
            not depend on it.

    Raises:
        DataError: Shapes do not fit, or a score is NaN.
    """
    positive_NC = np.asarray(labels_NC) > 0.5
    scores_KRNC = np.asarray(scores_KRNC)
    check_scores(positive_NC, scores_KRNC, resamples)
    n_seeds, n_classes = scores_KRNC.shape[1], scores_KRNC.shape[3]
    chunks = weight_chunks(resamples.weights_BN)

    def score(scores_RNC: NDArray[Any]) -> tuple[_Scored, _Scored]:
        areas_BRC = np.empty((resamples.n_resamples, n_seeds, n_classes))
        for r, c in np.ndindex(n_seeds, n_classes):
            areas_BRC[:, r, c] = weighted_auroc(positive_NC[:, c], scores_RNC[r, :, c], chunks)
        observed_RC = np.array([auroc_per_class(positive_NC, scores) for scores in scores_RNC])
        macro_R1, macro_BR1 = (mean_of_defined(of)[..., None] for of in (observed_RC, areas_BRC))
        return _Scored.of(observed_RC, areas_BRC), _Scored.of(macro_R1, macro_BR1)

    with ThreadPoolExecutor(n_threads or min(own_cores(), MOST_THREADS)) as pool:
        # Threads suffice: numpy releases the interpreter lock in its long operations.
        by_class, macro = zip(*pool.map(score, scores_KRNC), strict=True)
    observed_KRC, values_BKC = _with_new_seeds(by_class, resamples)
    macro_KR1, macro_BK1 = _with_new_seeds(macro, resamples)
    observed_KC = observed_KRC.mean(axis=1)
    return AurocResamples(
        observed_KC=observed_KC,
        observed_KRC=observed_KRC,
        values_BKC=values_BKC,
        macro_K=mean_of_defined(observed_KC),
        macro_KR=macro_KR1[..., 0],
        macro_BK=macro_BK1[..., 0],
        left_out=tuple(np.flatnonzero(np.isnan(observed_KC[0])).tolist()),
        predictions=_Predictions(
            positive_NC=positive_NC, scores_KRNC=scores_KRNC, resamples=resamples
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scored:
    """One contender: statistics of its seeds' areas."""

    observed_RC: NDArray[np.float64]
    patients_BC: NDArray[np.float64]
    """Mean over all seeds on the resampled patients."""
    private_C: NDArray[np.float64]

    @classmethod
    def of(cls, observed_RC: NDArray[np.float64], areas_BRC: NDArray[np.float64]) -> "_Scored":
        return cls(
            observed_RC=observed_RC,
            patients_BC=areas_BRC.mean(axis=1),
            private_C=private_variance(areas_BRC),
        )


def _with_new_seeds(
    scored: Sequence[_Scored], resamples: PatientResamples
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `observed_KRC` and `values_BKC`."""
    observed_KRC = np.stack([each.observed_RC for each in scored])
    private_KC = np.stack([each.private_C for each in scored])
    patients_BKC = np.stack([each.patients_BC for each in scored], axis=1)
    # The seed makes the deviates equal for classes and their mean, and in every call.
    rng = np.random.default_rng([resamples.seed, 1])
    normal_B = rng.standard_normal(resamples.n_resamples)
    normal_BK = rng.standard_normal((len(scored), resamples.n_resamples)).T
    noise_BKC = noise_of_new_seeds(observed_KRC, private_KC, normal_BK, normal_B)
    return observed_KRC, patients_BKC + noise_BKC


def check_scores(
    positive_NC: NDArray[np.bool_], scores: NDArray[Any], resamples: PatientResamples
) -> None:
    """Refuse scores `[..., N, C]` whose shape does not fit labels and resamples, or with a NaN.

    Raises:
        DataError: The message has the shapes, or the position of the first NaN.
    """
    n_recordings, n_classes = positive_NC.shape
    if scores.shape[-2:] != positive_NC.shape or resamples.weights_BN.shape[1] != n_recordings:
        raise DataError(
            f"scores of shape {scores.shape} and resamples of {resamples.weights_BN.shape[1]} "
            f"recordings do not fit labels of {n_recordings} recordings and {n_classes} classes; "
            "give all of the same split, in the same order."
        )
    if np.isnan(scores).any():
        position = tuple(int(i) for i in np.argwhere(np.isnan(scores))[0])
        raise DataError(
            f"the score at position {position} (of shape {scores.shape}) is NaN, so its contender "
            "cannot be ranked; leave the contender out, or predict again."
        )
