"""The distance between two scores, split at scores in between into parts and their shares.

Shapes: K steps from the first score to the last, B resamples, R seeds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.statistics.gains import Difference, paired_differences
from mvkt_ray.statistics.intervals import Interval, percentile_interval

LEAST_GAP = 0.001
"""Least AUROC distance with shares: of a smaller one, even if significant, they mean nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One step: its score minus that of the step before."""

    difference: Difference
    share: float | None
    """Share of the whole distance; None if that is not shown."""
    share_interval: Interval | None
    """Percentiles over the resamples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitGap:
    """The distance from the first step to the last, and its parts, which sum to it."""

    gap: Difference
    is_shown: bool
    """Whether the distance's interval is above 0, and the distance is at least `LEAST_GAP`."""
    parts: tuple[Part, ...]
    """Parts from the second step on."""


def split_gap(
    observed_K: NDArray[Any],
    values_BK: NDArray[Any],
    *,
    seeds_KR: NDArray[Any],
    level: float = 0.95,
) -> SplitGap:
    """Split the distance from the first score to the last at the scores in between.

    Intervals of differences are those of `paired_differences`, uncorrected. A share is a ratio of
    differences; its interval are percentiles over the resamples.

    Args:
        observed_K: `[K]`: scores on the original recordings, in the order of the steps.
        values_BK: `[B, K]`: scores under resamples; rows with a NaN are left out for all.
        seeds_KR: `[K, R]`: observed scores of each seed; a model without seeds is repeated.
        level: Level of the intervals.

    Raises:
        DataError: A score is NaN, or fewer than two resamples have a value.
    """
    observed_K = np.asarray(observed_K, dtype=np.float64)
    values_BK = np.asarray(values_BK, dtype=np.float64)

    def between(high: int, low: int) -> Difference:
        # One by one: together the seeds' variances would be pooled over all steps.
        pair = paired_differences(
            observed_K, values_BK, [(high, low)], level=level, seeds_KR=seeds_KR
        )
        return pair[0]

    last = len(observed_K) - 1
    gap = between(last, 0)
    is_shown = gap.interval.low > 0 and gap.difference >= LEAST_GAP
    gap_B = values_BK[:, last] - values_BK[:, 0]
    parts: list[Part] = []
    for step in range(1, last + 1):
        difference = between(step, step - 1)
        share = interval = None
        if is_shown:
            share = difference.difference / gap.difference
            with np.errstate(divide="ignore", invalid="ignore"):
                share_B = (values_BK[:, step] - values_BK[:, step - 1]) / gap_B
            interval = percentile_interval(share_B[np.isfinite(share_B)], level)
        parts.append(Part(difference=difference, share=share, share_interval=interval))
    return SplitGap(gap=gap, is_shown=is_shown, parts=tuple(parts))
