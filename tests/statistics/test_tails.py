"""Tails and deviates are those of scipy.stats."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student_t

from mvkt_ray.statistics.tails import normal_deviate, normal_tail, t_deviate, t_tail

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=20).map(np.array)
deviates = st.lists(st.floats(-1e3, 1e3) | st.just(np.inf), min_size=1, max_size=20).map(np.array)
freedoms = st.floats(0.3, 1e6) | st.sampled_from([0.0, np.inf, np.nan])


@given(deviates, freedoms)
def test_property_tails_are_those_of_scipy(deviate: np.ndarray, freedom: float) -> None:
    np.testing.assert_array_equal(t_tail(deviate, freedom), student_t.sf(deviate, freedom))
    np.testing.assert_array_equal(normal_tail(deviate), norm.sf(deviate))


@given(probabilities, freedoms)
def test_property_deviates_are_those_of_scipy(tail: np.ndarray, freedom: float) -> None:
    np.testing.assert_array_equal(t_deviate(tail, freedom), student_t.isf(tail, freedom))
    np.testing.assert_array_equal(normal_deviate(tail), norm.isf(tail))
