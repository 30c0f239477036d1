"""Paired differences between contenders, with intervals and p-values corrected for their number.

Shapes: K contenders, B resamples, R seeds, Q pairs of contenders.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.errors import DataError
from mvkt_ray.statistics.intervals import Interval
from mvkt_ray.statistics.seed_noise import degrees_of_freedom, n_varying
from mvkt_ray.statistics.tails import t_deviate, t_tail


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One contender minus another, over the same patients and seeds."""

    contender: int
    reference: int
    difference: float
    standard_error: float
    """Over resamples of patients and seeds."""
    freedom: float
    """Degrees of freedom of the Student t that it is judged on."""
    interval: Interval
    """Interval of this difference alone."""
    p: float
    """Two-sided, of this difference alone."""
    p_holm: float
    """Corrected over the family it was computed with."""
    corrected: Interval
    """At the level at which Holm's procedure judges this difference; agrees with `p_holm`."""

    @property
    def claimed(self) -> bool:
        """Whether the corrected interval leaves 0 out, so that a difference may be claimed."""
        return not self.corrected.covers(0.0)


def paired_differences(
    observed_K: NDArray[Any],
    values_BK: NDArray[Any],
    pairs: Sequence[tuple[int, int]],
    *,
    level: float = 0.95,
    seeds_KR: NDArray[Any] | None = None,
) -> list[Difference]:
    """Return the differences of one family of pairs, corrected for their number.

    A difference of AUROCs is a difference of U-statistics, so nearly normal (DeLong et al. 1988,
    Biometrics 44, 837-845): interval and p-value use the bootstrap standard error, on a Student t
    if the seeds' part of the variance is estimated from few seeds. Counting resamples beyond 0
    instead cannot give a p-value below 1 / (B + 1), and a corrected interval would depend on the
    one or two most extreme resamples.

    The intervals `corrected` agree with Holm's decisions, whose probability of any false claim in
    the family is at most 1 - `level`. They are not simultaneous intervals for the differences.

    Args:
        observed_K: `[K]`: scores on the original recordings.
        values_BK: `[B, K]`: scores under resamples; rows with a NaN are left out for all.
        pairs: Positions (contender, reference).
        level: Level of the intervals, and of the family.
        seeds_KR: `[K, R]`: observed scores of each seed; None: the seeds' variance is taken as
            known.

    Raises:
        DataError: A score is NaN, or fewer than two resamples have a value.
    """
    observed_K, values_BK = defined_scores(observed_K, values_BK)
    contender, reference = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    difference = observed_K[contender] - observed_K[reference]
    error = (values_BK[:, contender] - values_BK[:, reference]).std(axis=0, ddof=1)
    error[error <= ROUNDING] = 0.0
    # Infinite degrees of freedom: the normal distribution.
    freedom = np.full(len(pairs), np.inf)
    if seeds_KR is not None:
        seeds_KR = np.asarray(seeds_KR, dtype=np.float64)
        compared = seeds_KR[np.unique([contender, reference])]
        differences_RQ = (seeds_KR[contender] - seeds_KR[reference]).T
        freedom = degrees_of_freedom(differences_RQ, error**2, n_varying(compared))

    p = _p_values(difference, error, freedom)
    half = error * t_deviate((1 - level) / 2, freedom)
    alone = [
        Difference(
            contender=int(contender[i]),
            reference=int(reference[i]),
            difference=float(difference[i]),
            standard_error=float(error[i]),
            freedom=float(freedom[i]),
            interval=_around(difference[i], half[i]),
            p=float(p[i]),
            p_holm=float(p[i]),
            corrected=_around(difference[i], half[i]),
        )
        for i in range(len(pairs))
    ]
    return correct_together(alone, level)


def correct_together(differences: Sequence[Difference], level: float = 0.95) -> list[Difference]:
    """Return differences of separate analyses, such as of other seeds, corrected as one family.

    Args:
        differences: Results of one or more calls of `paired_differences`.
        level: Level of the family.
    """
    if not differences:
        return []
    p = np.array([each.p for each in differences])
    p_holm = holm(p)
    freedom = np.array([each.freedom for each in differences])
    deviates = t_deviate(_holm_tails(p, p_holm, 1 - level) / 2, freedom)
    return [
        replace(
            each,
            p_holm=p_holm[i],
            corrected=_around(each.difference, each.standard_error * float(deviates[i])),
        )
        for i, each in enumerate(differences)
    ]


def holm(p: Sequence[float] | NDArray[np.float64]) -> list[float]:
    """Return p-values `[Q]` corrected for their number, in the order given.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6,
    65-70: valid under any dependence between the tests.
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    # Times m for the smallest, m - 1 for the next, ...; never below that of a smaller p-value.
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(corrected, 1.0).tolist()


ROUNDING = 1e-12
"""Contenders whose AUROCs differ, or spread, by no more than this are equal: rounding errors."""


def defined_scores(
    observed_K: NDArray[Any], values_BK: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as float64, without the resamples that lack a value of any contender.

    Args:
        observed_K: `[K]`: scores on the original recordings.
        values_BK: `[B, K]`: scores under resamples.

    Returns:
        `[K]`, and `[B', K]` with B' <= B.

    Raises:
        DataError: An observed score is NaN, or fewer than two resamples remain.
    """
    observed_K = np.asarray(observed_K, dtype=np.float64)
    values_BK = np.asarray(values_BK, dtype=np.float64)
    if values_BK.ndim != 2 or values_BK.shape[1:] != observed_K.shape:
        raise DataError(
            f"resampled scores of shape {values_BK.shape} do not fit {observed_K.shape} observed "
            "scores; give one column for each contender."
        )
    values_BK = values_BK[~np.isnan(values_BK).any(axis=1)]
    if np.isnan(observed_K).any() or len(values_BK) < 2:
        raise DataError(
            f"scores {observed_K.tolist()} with {len(values_BK)} defined resamples cannot be "
            "compared: each contender needs a score. Leave out classes that cannot be scored, "
            "such as one without positive recordings."
        )
    return observed_K, values_BK


def _p_values(
    difference: NDArray[np.float64], error: NDArray[np.float64], freedom: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return two-sided p-values; equal contenders have 1, and a difference without spread 0."""
    without_spread = np.where(np.abs(difference) <= ROUNDING, 0.0, np.inf)
    ratio = np.divide(np.abs(difference), error, out=without_spread, where=error > 0)
    return 2 * t_tail(ratio, freedom)


def _holm_tails(
    p: NDArray[np.float64], p_holm: Sequence[float], alpha: float
) -> NDArray[np.float64]:
    """Return the significance levels `[Q]` of Holm's procedure.

    alpha / m for the smallest p-value, alpha / (m - 1) for the next, and so on while they are
    claimed; all others have the level of the first that is not claimed.
    """
    n_claimed = int((np.asarray(p_holm) <= alpha).sum())
    rank = np.empty(len(p))
    rank[np.argsort(p, kind="stable")] = np.arange(len(p))
    return alpha / (len(p) - np.minimum(rank, min(n_claimed, len(p) - 1)))


def _around(center: float, half: float) -> Interval:
    return Interval(low=float(center - half), high=float(center + half))
