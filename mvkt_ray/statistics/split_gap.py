"""The distance between two scores, split at what lies between them, each part as a share of it.

Shapes: K steps from the first score to the last, B resamples, R seeds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.statistics.gains import Difference, paired_differences
from mvkt_ray.statistics.intervals import Interval, percentile_interval

LEAST_GAP = 0.001
"""Of AUROCs: a smaller distance, even if it is shown, is none that shares of it would mean
anything of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One step: how much higher it is than the step before."""

    difference: Difference
    share: float | None
    """Of the whole distance; None where that is not shown."""
    share_interval: Interval | None
    """Percentiles over the resamples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitGap:
    """The distance from the first step to the last, and its parts, which sum to it."""

    gap: Difference
    is_shown: bool
    """Whether the interval of the distance is above 0, and it is no less than `LEAST_GAP`."""
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

    Intervals of differences are those of `paired_differences`, each of itself alone. A share is a
    ratio of differences, with the percentiles of its resamples.

    Args:
        observed_K: the scores on the recordings as they are, in the order of the steps.
        values_BK: the same under resamples; rows with a NaN are left out for all.
        seeds_KR: the observed scores of each seed; what has no seeds is repeated.
        level: of the intervals.

    Raises:
        DataError: a score is NaN, or fewer than two resamples have a value.
    """
    observed_K = np.asarray(observed_K, dtype=np.float64)
    values_BK = np.asarray(values_BK, dtype=np.float64)

    def between(high: int, low: int) -> Difference:
        # One by one: together they would share what seeds tell of their spread.
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
