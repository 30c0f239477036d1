"""What other seeds would have changed, and how well few seeds tell it.

Shapes: B resamples, K contenders, R seeds, C classes.
"""

import numpy as np
from numpy.typing import NDArray


def degrees_of_freedom(
    difference_RK: NDArray[np.float64], variance_K: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the degrees of freedom of the Student t that a difference is judged by.

    Hundreds of patients tell their part of a variance well, five seeds do not: where most of the
    variance is the seeds', the normal distribution promises too much. By Satterthwaite (1946,
    "An approximate distribution of estimates of variance components", Biometrics 2, 110-114) with
    the patients' part taken as known: (R - 1) (variance / seeds' part)^2.

    Args:
        difference_RK: the difference with each seed, on the recordings as they are.
        variance_K: of the mean difference, over resamples of patients and seeds.

    Returns:
        At least R - 1; infinite (the normal distribution) where seeds make no difference, or there
        is only one, whose part of the variance nobody can tell.
    """
    n_seeds = len(difference_RK)
    if n_seeds < 2:
        return np.full(len(variance_K), np.inf)
    of_seeds = difference_RK.var(axis=0, ddof=1) / n_seeds
    unbounded = np.full(len(variance_K), np.inf)
    ratio = np.divide(variance_K, of_seeds, out=unbounded, where=of_seeds > 0)
    return (n_seeds - 1) * np.maximum(ratio, 1.0) ** 2


def noise_of_new_seeds(
    observed_KRC: NDArray[np.float64],
    private_KC: NDArray[np.float64],
    share_BR: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what the seeds of each resample add to the mean over all seeds, `[B, K, C]`.

    The spread of the seeds' observed scores is more than what seeds do: a part of it are errors
    that each has on recordings of its own, and these vary with the patients drawn, too. Drawing
    patients and seeds together counts that part three times (Owen 2007, "The pigeonhole bootstrap",
    Annals of Applied Statistics 1, 386-411), which makes intervals of small differences far too
    wide. So patients are drawn for the mean over all seeds, and what the drawn seeds add to it is
    shrunk to the spread that is the seeds' alone. By one factor for all contenders: few seeds tell
    it badly for each.

    Args:
        observed_KRC: scores of each seed on the recordings as they are.
        private_KC: `private_variance` of each contender.
        share_BR: of each seed among those that a resample draws; rows sum to 1.
    """
    n_seeds = observed_KRC.shape[1]
    if n_seeds < 2:
        return np.zeros((len(share_BR), len(observed_KRC), observed_KRC.shape[2]))
    deviation_KRC = observed_KRC - observed_KRC.mean(axis=1, keepdims=True)
    of_seeds_C = (deviation_KRC**2).sum(axis=(0, 1)) / (n_seeds - 1)
    private_C = private_KC.sum(axis=0)
    ratio_C = np.divide(private_C, of_seeds_C, out=np.ones_like(private_C), where=of_seeds_C > 0)
    shrunk_KRC = deviation_KRC * np.sqrt(np.maximum(1.0 - ratio_C, 0.0))
    return np.einsum("br,krc->bkc", share_BR - 1.0 / n_seeds, shrunk_KRC)


def private_variance(values_BRC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance over patients of what each seed has for itself, mean over seeds, `[C]`.

    Args:
        values_BRC: scores of each seed under resamples of patients; NaN where a class has none.

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
