"""The Pareto front of points with several objectives, and a few points that represent it.

Shapes: N points, D objectives.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def non_dominated(values_ND: NDArray[Any], *, maximize: Sequence[bool]) -> NDArray[np.bool_]:
    """Return whether each point is on the Pareto front, bool `[N]`.

    A point is dominated if another is at least as good in every objective and better in one. Equal
    points do not dominate each other: all of them are on the front, or none.

    Args:
        values_ND: `[N, D]`: the objectives of each point, in any units.
        maximize: For each objective, whether a higher value is better.

    Returns:
        False for a point with a NaN, which dominates no other.
    """
    costs_ND = _as_costs(values_ND, maximize)
    on_front_N = np.logical_not(np.isnan(costs_ND).any(axis=1))
    for n in np.flatnonzero(on_front_N):
        # Dominated points can be dropped: the point above them dominates all that they dominate.
        others_KD = costs_ND[on_front_N]
        no_worse_K = (others_KD <= costs_ND[n]).all(axis=1)
        better_K = (others_KD < costs_ND[n]).any(axis=1)
        on_front_N[n] = not (no_worse_K & better_K).any()
    return on_front_N


def spread_over(points_ND: NDArray[Any], kept: Sequence[int], n_points: int) -> list[int]:
    """Return positions of distant points: each next one is the farthest from all before.

    Distances are Euclidean, with every objective scaled to its range over all points. Pass the
    logarithms of objectives that compare by ratio, such as sizes.

    Args:
        points_ND: `[N, D]`: finite points of a front.
        kept: Positions of points that are chosen already; not empty.
        n_points: Number of points to choose in all.

    Returns:
        Positions of `n_points` points, or of all distinct points if these are fewer; those of
        `kept` first. Of equally distant points the first is chosen.
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
        # Of equal distances `argmax` takes the first, so that the choice is deterministic.
        chosen.append(farthest)
    return chosen


def _as_costs(values_ND: NDArray[Any], maximize: Sequence[bool]) -> NDArray[np.float64]:
    values_ND = np.asarray(values_ND, dtype=np.float64)
    return values_ND * np.where(np.asarray(maximize, dtype=bool), -1.0, 1.0)
