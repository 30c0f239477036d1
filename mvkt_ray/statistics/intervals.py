"""Intervals from resamples: percentile, and bias-corrected and accelerated (BCa).

Shapes: B resamples, P patients.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """From `low` to `high`; NaN when there was nothing to make it of."""

    low: float
    high: float
    n_undefined: int = 0
    """Resamples that had no value, and are left out; a reader should know if they are many."""

    def covers(self, value: float) -> bool:
        """Whether a value is inside, the ends included."""
        return self.low <= value <= self.high


def ends(interval: Interval | None) -> tuple[float, float] | None:
    """Return both ends; None where one of them is not defined."""
    if interval is None or not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return None
    return float(interval.low), float(interval.high)


def percentile_interval(values_B: NDArray[Any], level: float = 0.95) -> Interval:
    """Return the middle `level` of the resamples' values; NaN are left out and counted."""
    values_B = np.asarray(values_B, dtype=np.float64)
    defined = values_B[~np.isnan(values_B)]
    return _between(defined, (1 - level) / 2, (1 + level) / 2, len(values_B) - len(defined))


def bca_interval(
    observed: float, values_B: NDArray[Any], jackknife_P: NDArray[Any], level: float = 0.95
) -> Interval:
    """Return the bias-corrected and accelerated interval.

    Efron 1987, "Better bootstrap confidence intervals", JASA 82, 171-185: the percentiles are moved
    for the median bias of the resamples and for a spread that changes with the value.

    Args:
        observed: the value on the recordings as they are.
        values_B: the values under resamples; NaN are left out and counted.
        jackknife_P: the values without each patient; NaN are left out.
        level: of the interval.

    Returns:
        The percentile interval when there is nothing to correct by: the observed value is outside
        all resamples, or leaving out patients changes nothing.
    """
    values_B = np.asarray(values_B, dtype=np.float64)
    defined = values_B[~np.isnan(values_B)]
    if len(defined) == 0:
        return percentile_interval(values_B, level)
    # Ties count half, as scores of few recordings have many.
    share_below = ((defined < observed).mean() + (defined <= observed).mean()) / 2
    influence = np.asarray(jackknife_P, dtype=np.float64)
    influence = influence[~np.isnan(influence)]
    influence = influence.mean() - influence if len(influence) else influence
    spread = float((influence**2).sum())
    if not 0 < share_below < 1 or spread <= np.finfo(np.float64).eps ** 2:
        return percentile_interval(values_B, level)

    bias = ndtri(share_below)
    # A sixth of the skewness of the influences, which the jackknife estimates.
    acceleration = (influence**3).sum() / (6 * spread**1.5)
    ends = bias + ndtri([(1 - level) / 2, (1 + level) / 2])
    low, high = ndtr(bias + ends / (1 - acceleration * ends))
    return _between(defined, float(low), float(high), len(values_B) - len(defined))


def _between(defined: NDArray[np.float64], low: float, high: float, n_undefined: int) -> Interval:
    if len(defined) == 0:
        return Interval(low=float("nan"), high=float("nan"), n_undefined=n_undefined)
    ends = np.quantile(defined, [low, high])
    return Interval(low=float(ends[0]), high=float(ends[1]), n_undefined=n_undefined)
