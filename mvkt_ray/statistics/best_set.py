"""The set of contenders that may be the best: simultaneous multiple comparisons with the best.

Shapes: K contenders, B resamples, R seeds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.statistics.gains import ROUNDING, defined_scores
from mvkt_ray.statistics.seed_noise import degrees_of_freedom, n_varying
from mvkt_ray.statistics.tails import normal_deviate, normal_tail, t_deviate, t_tail


@dataclass(frozen=True, kw_only=True, slots=True)
class BestSet:
    """The contenders that cannot be distinguished from the best, and all distances from it."""

    members: NDArray[np.bool_]
    """bool `[K]`, not all False: contains every truly best contender with probability `level`."""
    difference_K: NDArray[np.float64]
    """Each score minus the best of the others; above 0 for the winner only. NaN without others."""
    low_K: NDArray[np.float64]
    """Lower bounds of the differences; all bounds hold together with probability `level`."""
    high_K: NDArray[np.float64]
    """Upper bounds: at most 0 for a contender outside the set, at least 0 for a member."""
    p_K: NDArray[np.float64]
    """p-values of the hypotheses that a contender is best; above 1 - `level` for members."""


def best_set(
    observed_K: NDArray[Any],
    values_BK: NDArray[Any],
    level: float = 0.95,
    *,
    seeds_KR: NDArray[Any] | None = None,
) -> BestSet:
    """Return the set of contenders that may be the best (higher is better).

    Contenders are eliminated one by one, the one furthest behind first. The test statistic of k is

        T_k = max over remaining j of (score_j - score_k) / standard error of that difference.

    The largest T_k is compared with the largest |difference| / standard error of all remaining
    pairs, over resamples centred at the observed scores. The resamples contain the correlation of
    contenders, which share patients and seeds; standard errors keep a noisy pair from hiding a
    clear one. The elimination ends at the first contender that is not significantly behind: all
    remaining ones are the set. This is the model confidence set of Hansen, Lunde and Nason (2011,
    Econometrica 79, 453-497) with its range statistic.

    With probability `level` no best contender, alone or tied, is eliminated, whatever the truth:
    the first such error needs a pair of equal contenders to exceed a critical value for all
    remaining pairs. So with several equal leads at the top, a single best lead is falsely claimed
    in at most 1 - `level` of studies. Hsu's constrained intervals (1984, Annals of Statistics 12,
    1136-1144) do not guarantee that: of two equal leads they name one in 2 (1 - `level`) of
    studies, and of twelve they lose one in more than a third; their guarantee is for each lead.

    The bounds are Tukey-like: `score_k - score_j` plus and minus one multiple of its standard error
    for all pairs at once, and from these "k minus the best of the others". The stepwise elimination
    may be more powerful than the bounds; the upper bound of an eliminated contender is then 0.

    Args:
        observed_K: `[K]`: scores on the original recordings.
        values_BK: `[B, K]`: scores under resamples of patients and seeds; rows with a NaN are left
            out.
        level: Probability of the set, and of all bounds together.
        seeds_KR: `[K, R]`: observed scores of each seed; differences whose variance is mostly that
            of the seeds are then judged on a Student t (`seed_noise`).

    Raises:
        DataError: A score is NaN, or fewer than two resamples have a value.
    """
    observed_K, values_BK = defined_scores(observed_K, values_BK)
    if len(observed_K) == 1:
        nan_K, one_K = np.full(1, np.nan), np.ones(1)
        return BestSet(members=one_K > 0, difference_K=nan_K, low_K=nan_K, high_K=nan_K, p_K=one_K)
    pairs = _Pairs.of(observed_K, values_BK, seeds_KR)
    p_K = _p_values(pairs)
    members = p_K > 1 - level
    margin_KK = pairs.margins(level)
    difference_KK = observed_K[:, None] - observed_K
    # A contender is not its own rival: infinity is never the minimum.
    np.fill_diagonal(difference_KK, np.inf)
    high_K = (difference_KK + margin_KK).min(axis=1)
    return BestSet(
        members=members,
        difference_K=difference_KK.min(axis=1),
        low_K=(difference_KK - margin_KK).min(axis=1),
        # Where the stepwise decisions are sharper than the bounds, the bounds are adjusted.
        high_K=np.where(members, np.maximum(high_K, 0.0), np.minimum(high_K, 0.0)),
        p_K=p_K,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pairs:
    """Differences of all pairs of contenders, as normal deviates."""

    behind_KK: NDArray[np.float64]
    """Score of the column minus score of the row, as a normal deviate."""
    error_KK: NDArray[np.float64]
    """Standard error of the difference; 0 for equal contenders."""
    freedom_KK: NDArray[np.float64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    spread_BQ: NDArray[np.float64]
    """|Difference| / standard error of the pairs in each resample, centred at no difference."""

    @classmethod
    def of(
        cls,
        observed_K: NDArray[np.float64],
        values_BK: NDArray[np.float64],
        seeds_KR: NDArray[Any] | None,
    ) -> "_Pairs":
        first, second = np.triu_indices(len(observed_K), 1)
        deviation_BK = values_BK - observed_K
        spread_BQ = deviation_BK[:, first] - deviation_BK[:, second]
        error = spread_BQ.std(axis=0, ddof=1)
        error[error <= ROUNDING] = 0.0
        freedom = np.full(len(first), np.inf)
        if seeds_KR is not None:
            seeds_KR = np.asarray(seeds_KR, dtype=np.float64)
            differences_RQ = (seeds_KR[first] - seeds_KR[second]).T
            freedom = degrees_of_freedom(differences_RQ, error**2, n_varying(seeds_KR))
        # In place: with 66 pairs and thousands of resamples each copy would be megabytes.
        np.abs(spread_BQ, out=spread_BQ)
        np.divide(spread_BQ, error, out=spread_BQ, where=error > 0)
        spread_BQ[:, error == 0] = 0.0

        distance = np.abs(observed_K[first] - observed_K[second])
        # 0 for equal contenders; infinite for a distance without spread.
        ratio = np.where(distance > ROUNDING, np.inf, 0.0)
        np.divide(distance, error, out=ratio, where=error > 0)
        # Each ratio as the normal deviate with the same tail, so that pairs of different degrees of
        # freedom can be compared with one maximum over the resamples.
        deviate_KK = _both_ways(normal_deviate(t_tail(ratio, freedom)), first, second)
        return cls(
            behind_KK=deviate_KK * np.sign(observed_K - observed_K[:, None]),
            error_KK=_both_ways(error, first, second),
            freedom_KK=_both_ways(freedom, first, second),
            first=first,
            second=second,
            spread_BQ=spread_BQ,
        )

    def margins(self, level: float) -> NDArray[np.float64]:
        """Return the half widths `[K, K]` that hold for all differences together."""
        maxima_B = np.sort(self.spread_BQ.max(axis=1))
        # The observed study counts as one more resample; beyond the last there is no bound.
        rank = int(np.ceil(level * (len(maxima_B) + 1)))
        deviate = maxima_B[rank - 1] if rank <= len(maxima_B) else np.inf
        margin_KK = np.zeros_like(self.error_KK)
        apart = self.error_KK > 0
        multiple = t_deviate(normal_tail(deviate), self.freedom_KK[apart])
        margin_KK[apart] = self.error_KK[apart] * multiple
        return margin_KK


def _p_values(pairs: _Pairs) -> NDArray[np.float64]:
    """Eliminate contenders one by one; return p-values `[K]`, non-decreasing, of the last one 1."""
    p_K = np.ones(len(pairs.behind_KK))
    p_so_far, left = 0.0, np.arange(len(p_K))
    while len(left) > 1:
        behind = pairs.behind_KK[np.ix_(left, left)].max(axis=1)
        still_in = np.isin(pairs.first, left) & np.isin(pairs.second, left)
        maxima_B = pairs.spread_BQ[:, still_in].max(axis=1)
        # The 1 is the observed study: no p-value is 0.
        p = (1 + (maxima_B >= behind.max()).sum()) / (len(maxima_B) + 1)
        p_so_far = max(p_so_far, float(p))
        p_K[left[behind.argmax()]] = p_so_far
        left = np.delete(left, behind.argmax())
    return p_K


def _both_ways(
    values_Q: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    n_contenders = int(second[-1]) + 1
    values_KK = np.zeros((n_contenders, n_contenders))
    values_KK[first, second] = values_KK[second, first] = values_Q
    return values_KK
