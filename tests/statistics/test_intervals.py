"""Percentile and BCa intervals against scipy's, their coverage, and values that do not vary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from mvkt_ray.statistics.intervals import bca_interval, percentile_interval


def test_bca_is_that_of_scipy_on_the_same_resamples() -> None:
    data = np.random.default_rng(0).exponential(size=40)
    theirs = bootstrap((data,), np.mean, n_resamples=999, method="BCa", rng=1)
    jackknife = (data.sum() - data) / (len(data) - 1)
    ours = bca_interval(float(data.mean()), theirs.bootstrap_distribution, jackknife)
    expected = theirs.confidence_interval
    np.testing.assert_allclose((ours.low, ours.high), (expected.low, expected.high), rtol=1e-10)


def test_bca_of_no_bias_and_no_skewness_is_the_percentile_interval() -> None:
    values = np.linspace(0.4, 0.6, 2001)
    ours, plain = (
        bca_interval(0.5, values, np.array([0.49, 0.5, 0.51])),
        percentile_interval(values),
    )
    np.testing.assert_allclose((ours.low, ours.high), (plain.low, plain.high), atol=1e-6)


def test_a_percentile_interval_by_hand() -> None:
    interval = percentile_interval(np.arange(101), level=0.9)
    assert (interval.low, interval.high) == pytest.approx((5.0, 95.0))
    assert interval.n_undefined == 0
    assert interval.covers(5.1)
    assert not interval.covers(95.1)


def test_what_does_not_vary_has_an_interval_of_no_width() -> None:
    values, jackknife = np.full(50, 0.75), np.full(9, 0.75)
    for interval in (percentile_interval(values), bca_interval(0.75, values, jackknife)):
        assert (interval.low, interval.high) == (0.75, 0.75)


def test_bca_falls_back_where_it_has_nothing_to_correct_by() -> None:
    values, plain = np.linspace(0.5, 0.6, 99), percentile_interval(np.linspace(0.5, 0.6, 99))
    assert bca_interval(0.9, values, np.array([0.8, 0.9, 1.0])) == plain
    assert bca_interval(0.55, values, np.full(5, 0.55)) == plain
    assert bca_interval(0.55, values, np.full(5, np.nan)) == plain


def test_resamples_without_a_value_are_left_out_and_counted() -> None:
    values = np.append(np.linspace(0.4, 0.6, 99), [np.nan, np.nan])
    jackknife = np.array([0.48, 0.5, 0.53, np.nan])
    for interval in (percentile_interval(values), bca_interval(0.5, values, jackknife)):
        assert interval.n_undefined == 2
        assert 0.4 < interval.low < interval.high < 0.6
    nothing = bca_interval(0.5, np.full(3, np.nan), jackknife)
    assert np.isnan([nothing.low, nothing.high]).all()
    assert nothing.n_undefined == 3


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.9, 0.95]))
def test_intervals_hold_the_observed_value_and_grow_with_the_level(seed: int, level: float) -> None:
    data = np.random.default_rng(seed).normal(size=50)
    values = data[np.random.default_rng(seed).integers(50, size=(400, 50))].mean(axis=1)
    jackknife = (data.sum() - data) / 49
    for make in (
        percentile_interval,
        lambda v, level: bca_interval(data.mean(), v, jackknife, level),
    ):
        narrow, wide = make(values, level), make(values, 0.99)
        assert narrow.covers(data.mean())
        assert wide.low <= narrow.low < narrow.high <= wide.high


def test_intervals_of_skewed_data_cover_as_they_promise() -> None:
    rng = np.random.default_rng(0)
    covered = np.zeros(2)
    for _ in range(300):
        data = rng.exponential(size=60)
        values = data[rng.integers(60, size=(400, 60))].mean(axis=1)
        jackknife = (data.sum() - data) / 59
        covered += [
            percentile_interval(values).covers(1.0),
            bca_interval(data.mean(), values, jackknife).covers(1.0),
        ]
    # Of 300, five standard errors below 95 % is 88.7 %.
    assert covered.min() / 300 == pytest.approx(0.95, abs=0.063)
