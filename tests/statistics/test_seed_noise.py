"""What new seeds add, and degrees of freedom between the seeds' and the normal distribution's."""

import numpy as np
import pytest

from mvkt_ray.statistics.seed_noise import (
    degrees_of_freedom,
    n_varying,
    noise_of_new_seeds,
    private_variance,
)


def spread_of_noise(
    observed_KR: np.ndarray, private: float, n_resamples: int = 20_000
) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances of the noise, and of its differences between neighbours."""
    rng = np.random.default_rng(1)
    noise = noise_of_new_seeds(
        observed_KR[:, :, None],
        np.full((len(observed_KR), 1), private),
        rng.normal(size=(n_resamples, len(observed_KR))),
        rng.normal(size=n_resamples),
    )[..., 0]
    return noise.var(axis=0), np.diff(noise, axis=1).var(axis=0)


def test_noise_has_the_variance_of_a_mean_over_new_seeds() -> None:
    rng = np.random.default_rng(0)
    seeds, alike = 0.01 * rng.normal(size=(40, 6)), 0.02 * rng.normal(size=6)
    own, apart = spread_of_noise(0.8 + seeds + alike, 0.0)
    np.testing.assert_allclose(apart, 2 * 0.01**2 / 6, rtol=0.2)
    # What seeds do to all alike is known from six values only.
    np.testing.assert_allclose(own, (0.01**2 + alike.var(ddof=1)) / 6, rtol=0.2)


def test_two_contenders_differ_as_a_paired_comparison_of_their_seeds_does() -> None:
    observed = np.array([[0.80, 0.83, 0.82], [0.79, 0.80, 0.81]])
    _, apart = spread_of_noise(observed, 0.0)
    assert apart[0] == pytest.approx((observed[0] - observed[1]).var(ddof=1) / 3, rel=0.04)


def test_a_single_contender_varies_as_the_mean_of_its_seeds() -> None:
    observed = np.array([[0.80, 0.83, 0.82]])
    own, _ = spread_of_noise(observed, 0.0)
    assert own[0] == pytest.approx(observed.var(ddof=1) / 3, rel=0.04)


def test_what_errors_on_recordings_explain_is_not_laid_to_seeds() -> None:
    observed = np.array([[0.80, 0.83, 0.82]])
    variance = float(observed.var(ddof=1))
    assert spread_of_noise(observed, 0.75 * variance)[0] == pytest.approx(variance / 12, rel=0.04)
    assert spread_of_noise(observed, 2 * variance)[0] == 0.0


def test_equal_seeds_get_no_noise_and_do_not_thin_that_of_others() -> None:
    seeds = 0.8 + 0.01 * np.random.default_rng(0).normal(size=(3, 5))
    with_teacher, _ = spread_of_noise(np.vstack([seeds, np.full((1, 5), 0.9)]), 0.0)
    without, _ = spread_of_noise(seeds, 0.0)
    assert with_teacher[3] == 0.0
    np.testing.assert_allclose(with_teacher[:3], without, rtol=0.05)
    assert n_varying(np.vstack([seeds, np.full((1, 5), 0.9)])) == 3


def test_seeds_that_are_all_the_variance_have_as_many_degrees_as_their_table() -> None:
    difference = np.array([[0.0, 0.3], [0.1, 0.2], [0.2, 0.1], [0.3, 0.0]])
    of_seeds = np.full(2, difference[:, 0].var(ddof=1) / 4)
    assert degrees_of_freedom(difference, of_seeds, 3) == pytest.approx([6, 6])
    # A bootstrap that says less than the seeds themselves do is not believed.
    assert degrees_of_freedom(difference, of_seeds / 2, 3) == pytest.approx([6, 6])
    assert degrees_of_freedom(difference, 10 * of_seeds, 2) == pytest.approx([300, 300])


def test_equal_seeds_or_a_single_one_leave_the_normal_distribution() -> None:
    assert np.isinf(degrees_of_freedom(np.zeros((5, 2)), np.ones(2), 3)).all()
    assert np.isinf(degrees_of_freedom(np.ones((1, 2)), np.ones(2), 3)).all()
    assert len(degrees_of_freedom(np.ones((3, 0)), np.ones(0), 0)) == 0


def test_private_variance_is_that_beside_the_mean_of_the_seeds() -> None:
    values = np.array([[[0.1], [0.3]], [[0.4], [0.2]], [[np.nan], [np.nan]]])
    # Beside the mean the first seed has -0.1 and 0.1, the second 0.1 and -0.1.
    assert private_variance(values) == pytest.approx([0.02])
    assert np.isnan(private_variance(np.full((3, 2, 1), np.nan))).all()
    assert private_variance(values[:, :1]) == pytest.approx([0.0])
