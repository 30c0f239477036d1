"""The variance between seeds, and the degrees of freedom of its estimate from few seeds.

The seeds' scores of K contenders are a table, contenders by seeds, analysed as in a two-way
analysis of variance: a common effect of a seed on all contenders, which cancels in differences, and
an effect on each contender. Both variances are estimated from all contenders together: an estimate
from five seeds of one contender is poor, and of sixty-six pairs of leads some would look far too
certain.

Shapes: B resamples, K contenders, Q pairs of them, R seeds, C classes.
"""

import numpy as np
from numpy.typing import NDArray


def degrees_of_freedom(
    difference_RQ: NDArray[np.float64], variance_Q: NDArray[np.float64], n_contenders: int
) -> NDArray[np.float64]:
    """Return the degrees of freedom of the Student t for each difference, `[Q]`.

    The patients' part of a variance is estimated from hundreds of patients, the seeds' part from a
    few seeds: if the latter dominates, a normal distribution is overconfident. By Satterthwaite
    (1946, "An approximate distribution of estimates of variance components", Biometrics 2, 110-114)
    with the patients' part taken as known: (K - 1) (R - 1) (variance / seeds' part)^2.

    Args:
        difference_RQ: Differences with each seed, on the original recordings.
        variance_Q: Variances of the mean differences over resamples of patients and seeds.
        n_contenders: Number of contenders in the pairs, without those whose seeds score equally.

    Returns:
        At least (K - 1) (R - 1); infinite (the normal distribution) if seeds make no difference, or
        if there is only one seed, whose variance cannot be estimated.
    """
    n_seeds = len(difference_RQ)
    if n_seeds < 2 or len(variance_Q) == 0:
        return np.full(len(variance_Q), np.inf)
    of_seeds = difference_RQ.var(axis=0, ddof=1).mean() / n_seeds
    if of_seeds <= 0:
        return np.full(len(variance_Q), np.inf)
    freedom = max(n_contenders - 1, 1) * (n_seeds - 1)
    return freedom * np.maximum(variance_Q / of_seeds, 1.0) ** 2


def n_varying(seeds_KR: NDArray[np.float64]) -> int:
    """Return the number of contenders with differing seeds; a repeated teacher has none."""
    return int((np.ptp(seeds_KR, axis=1) > 0).sum())


def noise_of_new_seeds(
    observed_KRC: NDArray[np.float64],
    private_KC: NDArray[np.float64],
    normal_BK: NDArray[np.float64],
    normal_B: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the deviation by other seeds from the mean over seeds in each resample, `[B, K, C]`.

    The observed spread of seeds includes errors of each seed on single recordings, which vary with
    the resampled patients, too. Resampling patients and seeds together would count that part three
    times (Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 386-411) and make
    intervals of small differences far too wide. So patients are resampled for the mean over all
    seeds, that part is subtracted from the seeds' variance, and the rest is added as normal
    deviates.

    Args:
        observed_KRC: Scores of each seed on the original recordings.
        private_KC: `private_variance` of each contender.
        normal_BK: Standard normal deviates for the effects of seeds on each contender.
        normal_B: Standard normal deviates for the common effects of seeds.

    Returns:
        0 for one seed, and for a contender whose seeds score equally.
    """
    n_contenders, _, n_classes = observed_KRC.shape
    noise_BKC = np.zeros((len(normal_B), n_contenders, n_classes))
    for c in range(n_classes):
        varying = np.flatnonzero(np.ptp(observed_KRC[:, :, c], axis=1) > 0)
        if len(varying):
            own, common = _spreads(observed_KRC[varying, :, c], private_KC[varying, c].mean())
            noise_BKC[:, varying, c] = own * normal_BK[:, varying] + common * normal_B[:, None]
    return noise_BKC


def _spreads(observed_KR: NDArray[np.float64], private: float) -> tuple[float, float]:
    """Return the standard deviations of a mean over seeds: each contender's own, and the common."""
    n_contenders, n_seeds = observed_KR.shape
    deviation_KR = observed_KR - observed_KR.mean(axis=1, keepdims=True)
    common_R = deviation_KR.mean(axis=0)
    of_seeds = n_contenders * float((common_R**2).sum()) / (n_seeds - 1)
    if n_contenders == 1:
        return float(np.sqrt(max(of_seeds - private, 0.0) / n_seeds)), 0.0
    # Mean squares of the two-way table: interaction (`apart`) and seeds (`of_seeds`). A variance
    # component is a difference of them, truncated at 0.
    apart = float(((deviation_KR - common_R) ** 2).sum()) / ((n_contenders - 1) * (n_seeds - 1))
    own = max(apart - private, 0.0) / n_seeds
    common = max(of_seeds - apart, 0.0) / n_contenders / n_seeds
    return float(np.sqrt(own)), float(np.sqrt(common))


def private_variance(values_BRC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance over patients of a seed's deviation from the mean of seeds, `[C]`.

    Args:
        values_BRC: Scores of each seed under resamples of patients; NaN for an undefined score.

    Returns:
        0 for a single seed; NaN for a class without any score.
    """
    n_seeds = values_BRC.shape[1]
    if n_seeds < 2:
        return np.zeros(values_BRC.shape[2])
    own_BRC = values_BRC - values_BRC.mean(axis=1, keepdims=True)
    defined_BRC = ~np.isnan(own_BRC)
    own_BRC = np.where(defined_BRC, own_BRC, 0.0)
    n_RC = defined_BRC.sum(axis=0)

    def over_resamples(total_RC: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.divide(total_RC, n_RC, out=np.full(n_RC.shape, np.nan), where=n_RC > 0)

    mean_RC = over_resamples(own_BRC.sum(axis=0))
    variance_RC = over_resamples((own_BRC**2).sum(axis=0)) - mean_RC**2
    return variance_RC.sum(axis=0) / (n_seeds - 1)
