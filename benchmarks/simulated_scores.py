"""Simulated predictions of a split, whose true AUROC is known.

A patient has one to three recordings with labels that resemble each other. A student's score for
a class is `shift * label + error`, the errors normal with variance 1, so that the area under its
ROC curve is Phi(shift / sqrt(2)) in the population (the binormal model; Green and Swets 1966). The
error is a sum of parts that patients, recordings, leads, configurations and seeds share, so that
students agree as much as real ones do; a seed moves the shift, too.

Shapes: K contenders, R seeds, N recordings, C classes, L leads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

PREVALENCE = (0.44, 0.25, 0.24, 0.22, 0.12)
"""About those of NORM, MI, STTC, CD and HYP in PTB-XL."""
CLASS_OFFSETS = (0.03, 0.01, 0.02, -0.01, -0.05)
"""Of the classes' areas from their macro mean."""
RECORDINGS_OF_PATIENT = (0.7, 0.2, 0.1)
"""Shares of patients with one, two and three recordings."""
SEED_SD = 0.003
"""Of the macro AUROC over seeds, on all recordings there are."""

_PATIENT, _RECORDING = 0.15, 0.25
"""Parts of the error variance that all students share, ..."""
_LEAD_PATIENT, _LEAD_RECORDING = 0.10, 0.20
"""... those that students of one lead share, ..."""
_CONTENDER, _SEED = 0.10, 0.20
"""... those of one configuration, and those of one training alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedSplit:
    """What contenders said of the recordings of one split, and what is true of them."""

    labels_NC: NDArray[np.bool_]
    patient_N: NDArray[np.int64]
    scores_KRNC: NDArray[np.float32]
    truth_K: NDArray[np.float64]
    """Macro AUROC in the population, mean over all seeds there are."""
    truth_KC: NDArray[np.float64]


def draw_split(
    truth_K: Sequence[float] | NDArray[np.float64],
    rng: np.random.Generator,
    *,
    n_recordings: int,
    n_seeds: int,
    lead_K: Sequence[int] | None = None,
    seed_sd: float = SEED_SD,
) -> SimulatedSplit:
    """Draw patients, and what every contender says of them.

    Args:
        truth_K: macro AUROC of each contender.
        rng: draws everything.
        n_recordings: of the split.
        n_seeds: of each contender.
        lead_K: which lead each contender sees; None: each another one.
        seed_sd: how much a seed moves a contender's macro AUROC.
    """
    truth_K = np.asarray(truth_K, dtype=np.float64)
    of_lead_K = np.arange(len(truth_K)) if lead_K is None else np.asarray(lead_K)
    patient_N = _draw_patients(rng, n_recordings)
    labels_NC = _draw_labels(rng, patient_N)
    truth_KC = truth_K[:, None] + np.array(CLASS_OFFSETS)
    n_contenders, n_classes = truth_KC.shape

    # d AUROC / d shift at the truth, to turn what a seed does to the area into what it does to it.
    slope_K = (norm.pdf(norm.ppf(truth_KC)) / np.sqrt(2)).mean(axis=1)
    shift_sd_K = seed_sd / slope_K
    # The mean of Phi((m + s x) / sqrt(2)) over normal x is Phi(m / sqrt(2 + s^2)).
    mean_shift_KC = norm.ppf(truth_KC) * np.sqrt(2 + shift_sd_K[:, None] ** 2)
    seed_KR = rng.standard_normal((n_contenders, n_seeds)) * shift_sd_K[:, None]
    shift_KRC = mean_shift_KC[:, None, :] + seed_KR[:, :, None]

    shape_NC = (n_recordings, n_classes)
    n_patients = int(patient_N.max()) + 1
    shared_NC = _normal(rng, (n_patients, n_classes), _PATIENT)[patient_N]
    shared_NC = shared_NC + _normal(rng, shape_NC, _RECORDING)
    n_leads = int(of_lead_K.max()) + 1
    of_lead_LNC = _normal(rng, (n_leads, n_patients, n_classes), _LEAD_PATIENT)[:, patient_N]
    of_lead_LNC = of_lead_LNC + _normal(rng, (n_leads, *shape_NC), _LEAD_RECORDING)
    own_KNC = (
        shared_NC + of_lead_LNC[of_lead_K] + _normal(rng, (n_contenders, *shape_NC), _CONTENDER)
    )
    scores_KRNC = own_KNC[:, None] + _normal(rng, (n_contenders, n_seeds, *shape_NC), _SEED)
    scores_KRNC += (shift_KRC[:, :, None, :] * labels_NC).astype(np.float32)
    return SimulatedSplit(
        labels_NC=labels_NC,
        patient_N=patient_N,
        scores_KRNC=scores_KRNC,
        truth_K=truth_K,
        truth_KC=truth_KC,
    )


def _draw_patients(rng: np.random.Generator, n_recordings: int) -> NDArray[np.int64]:
    n_of_patient = 1 + rng.choice(len(RECORDINGS_OF_PATIENT), n_recordings, p=RECORDINGS_OF_PATIENT)
    return np.repeat(np.arange(n_recordings), n_of_patient)[:n_recordings]


def _draw_labels(rng: np.random.Generator, patient_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Labels by a normal that a patient's recordings, and to a part the classes, share."""
    n_classes = len(PREVALENCE)
    illness_N = _normal(rng, (int(patient_N.max()) + 1, 1), 0.2)[patient_N]
    of_patient_NC = _normal(rng, (int(patient_N.max()) + 1, n_classes), 0.5)[patient_N]
    latent_NC = illness_N + of_patient_NC + _normal(rng, (len(patient_N), n_classes), 0.3)
    return latent_NC > norm.isf(PREVALENCE)


def _normal(
    rng: np.random.Generator, shape: tuple[int, ...], variance: float
) -> NDArray[np.float32]:
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(variance))
