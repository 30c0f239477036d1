"""A gap is the sum of its parts, and there are no shares of one that is not shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mvkt_ray.statistics.split_gap import LEAST_GAP, split_gap

STEPS = st.lists(st.floats(0.5, 1.0), min_size=2, max_size=5)


def resampled(observed_K: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return observed_K + noise * rng.normal(size=(500, len(observed_K)))


def one_seed(observed_K: np.ndarray) -> np.ndarray:
    return np.asarray(observed_K)[:, None]


@given(observed=STEPS, noise=st.floats(1e-4, 0.05))
def test_parts_sum_to_the_gap_and_shares_to_one(observed: list[float], noise: float) -> None:
    observed_K = np.array(observed)
    found = split_gap(observed_K, resampled(observed_K, noise), seeds_KR=one_seed(observed_K))
    assert len(found.parts) == len(observed) - 1
    total = sum(part.difference.difference for part in found.parts)
    assert total == pytest.approx(found.gap.difference, abs=1e-12)
    shares = [part.share for part in found.parts]
    if found.is_shown:
        assert sum(share for share in shares if share is not None) == pytest.approx(1.0)
    else:
        assert set(shares) == {None}


@given(observed_K=arrays(np.float64, 3, elements=st.floats(0.5, 1.0)), noise=st.floats(1e-6, 0.05))
def test_shares_are_told_only_of_a_gap_that_is_shown_and_not_almost_nothing(
    observed_K: np.ndarray, noise: float
) -> None:
    found = split_gap(observed_K, resampled(observed_K, noise), seeds_KR=one_seed(observed_K))
    gap = found.gap
    assert found.is_shown == (gap.interval.low > 0 and gap.difference >= LEAST_GAP)
    for part in found.parts:
        assert (part.share is None) == (part.share_interval is None) == (not found.is_shown)
        if part.share is not None:
            assert abs(part.share) <= 1 / LEAST_GAP


def test_shares_and_intervals_are_those_of_the_ratios_by_hand() -> None:
    observed_K = np.array([0.8, 0.82, 0.83, 0.9])
    values_BK = resampled(observed_K, 0.002)
    found = split_gap(observed_K, values_BK, seeds_KR=one_seed(observed_K))
    assert [part.share for part in found.parts] == pytest.approx([0.2, 0.1, 0.7])
    ratio_B = (values_BK[:, 1] - values_BK[:, 0]) / (values_BK[:, 3] - values_BK[:, 0])
    interval = found.parts[0].share_interval
    assert interval is not None
    assert [interval.low, interval.high] == pytest.approx(np.quantile(ratio_B, [0.025, 0.975]))


def test_a_gap_below_zero_has_no_shares() -> None:
    observed_K = np.array([0.9, 0.85, 0.8])
    found = split_gap(observed_K, resampled(observed_K, 0.001), seeds_KR=one_seed(observed_K))
    assert not found.is_shown
    assert found.gap.difference == pytest.approx(-0.1)


def test_resamples_without_a_value_are_left_out() -> None:
    observed_K = np.array([0.7, 0.8, 0.9])
    values_BK = resampled(observed_K, 0.01)
    with_nan = np.vstack([values_BK, np.full((3, 3), np.nan)])
    plain, found = (
        split_gap(observed_K, values, seeds_KR=one_seed(observed_K))
        for values in (values_BK, with_nan)
    )
    assert found == plain
