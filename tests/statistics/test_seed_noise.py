"""What new seeds add, and degrees of freedom between the seeds' and the normal distribution's."""

import numpy as np
import pytest

from mvkt_ray.statistics.seed_noise import (
    degrees_of_freedom,
    noise_of_new_seeds,
    private_variance,
)


def test_seeds_that_are_all_the_variance_have_one_fewer_degrees_than_seeds() -> None:
    difference = np.array([[0.0], [0.1], [0.2], [0.3]])
    of_seeds = difference.var(axis=0, ddof=1) / 4
    assert degrees_of_freedom(difference, of_seeds) == pytest.approx([3])
    # A bootstrap that says less than the seeds themselves do is not believed.
    assert degrees_of_freedom(difference, of_seeds / 2) == pytest.approx([3])
    assert degrees_of_freedom(difference, 10 * of_seeds) == pytest.approx([300])


def test_equal_seeds_or_a_single_one_leave_the_normal_distribution() -> None:
    assert np.isinf(degrees_of_freedom(np.zeros((5, 2)), np.ones(2))).all()
    assert np.isinf(degrees_of_freedom(np.ones((1, 2)), np.ones(2))).all()


def test_seeds_without_errors_of_their_own_keep_their_whole_spread() -> None:
    observed = np.array([[[0.8], [0.9]], [[0.7], [0.7]]])
    shares = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    added = noise_of_new_seeds(observed, np.zeros((2, 1)), shares)
    np.testing.assert_allclose(added[..., 0], [[-0.05, 0.0], [0.05, 0.0], [0.0, 0.0]], atol=1e-15)


def test_a_spread_that_errors_explain_is_taken_away() -> None:
    observed = np.array([[[0.8], [0.9]]])
    shares = np.array([[1.0, 0.0]])
    variance = 0.005  # of 0.8 and 0.9
    three_quarters = noise_of_new_seeds(observed, np.array([[0.75 * variance]]), shares)
    assert three_quarters[0, 0, 0] == pytest.approx(-0.05 * 0.5)
    assert noise_of_new_seeds(observed, np.array([[2 * variance]]), shares)[0, 0, 0] == 0.0
    assert noise_of_new_seeds(observed[:, :1], np.zeros((1, 1)), shares[:, :1])[0, 0, 0] == 0.0


def test_private_variance_is_that_beside_the_mean_of_the_seeds() -> None:
    values = np.array([[[0.1], [0.3]], [[0.4], [0.2]], [[np.nan], [np.nan]]])
    # Beside the mean the first seed has -0.1 and 0.1, the second 0.1 and -0.1.
    assert private_variance(values) == pytest.approx([0.02])
    assert np.isnan(private_variance(np.full((3, 2, 1), np.nan))).all()
    assert private_variance(values[:, :1]) == pytest.approx([0.0])
