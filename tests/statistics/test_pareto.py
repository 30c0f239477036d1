"""The Pareto front: no point of it is dominated, every other is; and a few points that span it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mvkt_ray.statistics.pareto import non_dominated, spread_over

# Few values, so that ties and equal points are common.
VALUES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 12), st.integers(1, 3)),
    elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, np.inf, np.nan]),
)


def dominates(one: np.ndarray, other: np.ndarray, maximize: list[bool]) -> bool:
    """By the definition, one objective after the other; nothing dominates by or despite a NaN."""
    if np.isnan(one).any() or np.isnan(other).any():
        return False
    pairs = [(a, b) if up else (b, a) for a, b, up in zip(one, other, maximize, strict=True)]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


@given(values_ND=VALUES, data=st.data())
def test_no_point_of_the_front_is_dominated_and_every_other_is_by_one_of_it(
    values_ND: np.ndarray, data: st.DataObject
) -> None:
    n_points, n_objectives = values_ND.shape
    maximize = data.draw(st.lists(st.booleans(), min_size=n_objectives, max_size=n_objectives))
    front = non_dominated(values_ND, maximize=maximize)
    assert front.shape == (n_points,)
    for n, point in enumerate(values_ND):
        if np.isnan(point).any():
            assert not front[n]
        elif front[n]:
            assert not any(dominates(other, point, maximize) for other in values_ND)
        else:
            assert any(dominates(other, point, maximize) for other in values_ND[front])


@given(values_ND=VALUES)
def test_the_front_does_not_depend_on_the_order_of_the_points(values_ND: np.ndarray) -> None:
    maximize = [True] * values_ND.shape[1]
    order = np.random.default_rng(0).permutation(len(values_ND))
    front = non_dominated(values_ND, maximize=maximize)
    np.testing.assert_array_equal(non_dominated(values_ND[order], maximize=maximize), front[order])


def test_scores_up_and_sizes_down_by_hand() -> None:
    points = np.array(
        [[0.90, 5000], [0.85, 1000], [0.84, 2000], [0.90, 6000], [0.95, 9000], [0.85, 1000]]
    )
    # 0.84 at 2000 is beaten by 0.85 at 1000, 0.90 at 6000 by 0.90 at 5000; equal points stay.
    assert non_dominated(points, maximize=[True, False]).tolist() == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]


POINTS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 10), st.integers(1, 3)),
    elements=st.integers(-5, 5).map(float),
)


@given(points_ND=POINTS, n_points=st.integers(1, 12))
def test_points_are_chosen_once_and_those_kept_come_first(
    points_ND: np.ndarray, n_points: int
) -> None:
    chosen = spread_over(points_ND, [0], n_points)
    assert chosen[0] == 0
    assert len(chosen) <= n_points
    assert len({tuple(points_ND[n]) for n in chosen}) == len(chosen)
    n_distinct = len(np.unique(points_ND, axis=0))
    assert len(chosen) == min(n_points, n_distinct)


def test_the_next_point_is_the_farthest_whatever_the_units() -> None:
    points = np.array([[0.90, 5.0], [0.89, 4.9], [0.80, 3.0], [0.86, 4.0]])
    assert spread_over(points, [0], 3) == [0, 2, 3]
    assert spread_over(points * [100, 1e-3], [0], 3) == [0, 2, 3]
    assert spread_over(points, [0, 1], 2) == [0, 1]


@pytest.mark.parametrize("n_points", [1, 3])
def test_equal_points_are_one(n_points: int) -> None:
    assert spread_over(np.ones((4, 2)), [2], n_points) == [2]
