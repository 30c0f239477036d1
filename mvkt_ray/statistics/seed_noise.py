"""What other seeds would have changed, and how well few seeds tell it.

The seeds' scores of K contenders are a table, contenders by seeds, and are read as in a two-way
analysis of variance: a part that a seed does to all contenders alike, which no difference has, and
a part of its own for each. Both are estimated from all contenders together: five seeds tell the
spread of one contender badly, and of sixty-six pairs of leads some would look far too certain.

Shapes: B resamples, K contenders, Q pairs of them, R seeds, C classes.
"""

import numpy as np
from numpy.typing import NDArray


def degrees_of_freedom(
    difference_RQ: NDArray[np.float64], variance_Q: NDArray[np.float64], n_contenders: int
) -> NDArray[np.float64]:
    """Return the degrees of freedom of the Student t that each difference is judged by.

    Hundreds of patients tell their part of a variance well, few seeds do not: where most of the
    variance is the seeds', the normal distribution promises too much. By Satterthwaite (1946,
    "An approximate distribution of estimates of variance components", Biometrics 2, 110-114) with
    the patients' part taken as known: (K - 1) (R - 1) (variance / seeds' part)^2.

    Args:
        difference_RQ: the differences with each seed, on the recordings as they are.
        variance_Q: of the mean differences, over resamples of patients and seeds.
        n_contenders: that the pairs are of; those with equal scores of all seeds do not count.

    Returns:
        At least (K - 1) (R - 1); infinite (the normal distribution) where seeds make no difference,
        or there is only one, whose part of the variance nobody can tell.
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
    """Count the contenders whose seeds differ; a teacher of one seed, repeated, does not."""
    return int((np.ptp(seeds_KR, axis=1) > 0).sum())


def noise_of_new_seeds(
    observed_KRC: NDArray[np.float64],
    private_KC: NDArray[np.float64],
    normal_BK: NDArray[np.float64],
    normal_B: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what other seeds add to the mean over all seeds in each resample, `[B, K, C]`.

    The observed spread of seeds is more than what seeds do: a part of it are errors that each has
    on recordings of its own, and these vary with the patients drawn, too. Drawing patients and
    seeds together counts that part three times (Owen 2007, "The pigeonhole bootstrap", Annals of
    Applied Statistics 1, 386-411), which makes intervals of small differences far too wide. So
    patients are drawn for the mean over all seeds, that part is taken from the seeds' spread, and
    what is left is added as normal deviates.

    Args:
        observed_KRC: scores of each seed on the recordings as they are.
        private_KC: `private_variance` of each contender.
        normal_BK: standard normal, for what seeds do to each contender.
        normal_B: the same for what they do to all of them alike.

    Returns:
        0 for one seed, and for a contender whose seeds are equal.
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
    # Mean squares of the two-way table: interaction (`apart`) and seeds (`of_seeds`). A component
    # of variance is a difference of them, and 0 where it comes out negative.
    apart = float(((deviation_KR - common_R) ** 2).sum()) / ((n_contenders - 1) * (n_seeds - 1))
    own = max(apart - private, 0.0) / n_seeds
    common = max(of_seeds - apart, 0.0) / n_contenders / n_seeds
    return float(np.sqrt(own)), float(np.sqrt(common))


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
