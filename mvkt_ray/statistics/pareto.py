"""Which points no other one beats in everything: the Pareto front, and a few of it that show it.

Shapes: N points, D objectives.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def non_dominated(values_ND: NDArray[Any], *, maximize: Sequence[bool]) -> NDArray[np.bool_]:
    """Return which points are on the Pareto front, bool `[n_points]`.

    A point is dominated if another one is at least as good in every objective and better in one.
    Equal points do not dominate each other: all of them are on the front, or none.

    Args:
        values_ND: The objectives of each point, in any units.
        maximize: For each objective, whether more of it is better; less is if not.

    Returns:
        False for a point with a NaN, which dominates none, either.
    """
    costs_ND = _as_costs(values_ND, maximize)
    on_front_N = np.logical_not(np.isnan(costs_ND).any(axis=1))
    for n in np.flatnonzero(on_front_N):
        # A point that was found to be dominated dominates nothing that its better does not.
        others_KD = costs_ND[on_front_N]
        no_worse_K = (others_KD <= costs_ND[n]).all(axis=1)
        better_K = (others_KD < costs_ND[n]).any(axis=1)
        on_front_N[n] = not (no_worse_K & better_K).any()
    return on_front_N


def spread_over(points_ND: NDArray[Any], kept: Sequence[int], n_points: int) -> list[int]:
    """Choose points that lie far apart: each next one is the farthest from those chosen before.

    Distances are Euclidean, with every objective scaled to its range over all points, so that
    units do not matter; take the logarithm of what counts by its ratio (sizes) first.

    Args:
        points_ND: Finite; of a front.
        kept: Positions of the points that are chosen already; not empty.
        n_points: How many to choose in all.

    Returns:
        Positions of `n_points` points, or of all that differ from each other if these are fewer:
        those kept first. Of points as far as each other the first.
    """
    points_ND = np.asarray(points_ND, dtype=np.float64)
    range_D = np.ptp(points_ND, axis=0)
    scaled_ND = points_ND / np.where(range_D > 0, range_D, 1.0)
    chosen = list(kept)
    while len(chosen) < n_points:
        apart_NK = np.linalg.norm(scaled_ND[:, None] - scaled_ND[chosen], axis=2)
        nearest_N = apart_NK.min(axis=1)
        farthest = int(nearest_N.argmax())
        if nearest_N[farthest] == 0:
            break
        # Of equal distances `argmax` takes the first, so that the choice can be repeated.
        chosen.append(farthest)
    return chosen


def _as_costs(values_ND: NDArray[Any], maximize: Sequence[bool]) -> NDArray[np.float64]:
    values_ND = np.asarray(values_ND, dtype=np.float64)
    return values_ND * np.where(np.asarray(maximize, dtype=bool), -1.0, 1.0)
