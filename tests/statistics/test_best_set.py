"""The set of the best: what must always hold of it, its error rates, and numbers of two by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from mvkt_ray.errors import DataError
from mvkt_ray.statistics.best_set import best_set
from mvkt_ray.statistics.resampling import bootstrap_auroc, draw_patients


def study(
    truth: np.ndarray, rng: np.random.Generator, n_resamples: int = 300, shared: float = 0.7
) -> tuple[np.ndarray, np.ndarray]:
    """Scores with the errors of a test split that all contenders share."""
    n = n_resamples + 1
    common, own = rng.normal(size=(n, 1)), rng.normal(size=(n, len(truth)))
    errors = 0.01 * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)
    observed = truth + errors[0]
    return observed, observed + errors[1:]


TRUTHS = st.lists(st.floats(0.7, 0.9), min_size=2, max_size=6).map(np.array)


@settings(max_examples=30)
@given(TRUTHS, st.integers(0, 10**6))
def test_the_winner_is_in_and_bounds_p_values_and_members_agree(
    truth: np.ndarray, seed: int
) -> None:
    observed, values = study(truth, np.random.default_rng(seed))
    found = best_set(observed, values)
    assert found.members[observed.argmax()]
    np.testing.assert_array_equal(found.members, found.p_K > 0.05)
    assert (found.high_K[found.members] >= 0).all()
    assert (found.high_K[~found.members] <= 0).all()
    assert (found.low_K <= found.difference_K).all()
    assert (found.difference_K <= found.high_K).all()
    assert ((found.p_K > 0) & (found.p_K <= 1)).all()
    best_other = [np.delete(observed, k).max() for k in range(len(observed))]
    np.testing.assert_allclose(found.difference_K, observed - best_other)


@settings(max_examples=30)
@given(TRUTHS, st.integers(0, 10**6))
def test_a_double_of_the_best_keeps_both_in(truth: np.ndarray, seed: int) -> None:
    observed, values = study(truth, np.random.default_rng(seed))
    best = int(observed.argmax())
    doubled = best_set(np.append(observed, observed[best]), np.c_[values, values[:, best]])
    assert doubled.members[best]
    assert doubled.members[-1]
    assert doubled.difference_K[best] == doubled.difference_K[-1] == 0


@settings(max_examples=30)
@given(TRUTHS, st.integers(0, 10**6))
def test_neither_order_nor_scale_nor_level_of_scores_matters(truth: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    observed, values = study(truth, rng)
    found, order = best_set(observed, values), rng.permutation(len(truth))
    moved = best_set(3 + 8 * observed[order], 3 + 8 * values[:, order])
    np.testing.assert_array_equal(found.members[order], moved.members)
    np.testing.assert_allclose(found.low_K[order] * 8, moved.low_K, atol=1e-9)


@settings(max_examples=30)
@given(TRUTHS, st.integers(0, 10**6))
def test_who_wants_to_be_surer_has_a_larger_set(truth: np.ndarray, seed: int) -> None:
    observed, values = study(truth, np.random.default_rng(seed))
    sure, surer = best_set(observed, values, 0.8), best_set(observed, values, 0.99)
    assert (surer.members >= sure.members).all()
    assert (surer.low_K <= sure.low_K).all()


def test_equals_only_all_stay() -> None:
    values = np.tile(np.random.default_rng(0).normal(size=(100, 1)), (1, 4))
    assert best_set(np.full(4, 0.8), values).members.all()


def test_one_contender_is_the_best_and_has_no_rival() -> None:
    found = best_set(np.array([0.8]), np.full((10, 1), 0.8))
    assert found.members.tolist() == [True]
    assert np.isnan([found.difference_K[0], found.low_K[0], found.high_K[0]]).all()


def test_two_contenders_are_a_two_sided_test() -> None:
    rng = np.random.default_rng(0)
    errors = 0.01 * rng.normal(size=(20_000, 2))
    observed = np.array([0.82, 0.80])
    found = best_set(observed, observed + errors)
    deviate = 0.02 / (0.01 * np.sqrt(2))
    assert found.p_K[1] == pytest.approx(2 * norm.sf(deviate), rel=0.05)
    half = 1.96 * 0.01 * np.sqrt(2)
    np.testing.assert_allclose(found.high_K, [0.02 + half, -0.02 + half], atol=5e-4)
    np.testing.assert_allclose(found.low_K, [0.02 - half, -0.02 - half], atol=5e-4)


def test_nobody_is_put_out_while_a_worse_one_stays() -> None:
    errors = np.random.default_rng(0).normal(size=(20_000, 3)) / np.sqrt(2)
    observed = np.array([0.0, -2.2, -2.25])
    found = best_set(observed, observed + errors)
    # Alone with the winner, the second would have 0.028; but the third is in with more.
    assert found.p_K[2] == pytest.approx(0.063, abs=0.01)
    assert found.p_K[1] == found.p_K[2]
    assert found.members.all()


def test_a_clear_winner_stands_alone_and_a_clear_loser_is_out() -> None:
    rng = np.random.default_rng(0)
    alone = best_set(*study(np.array([0.9, 0.8, 0.79, 0.7]), rng))
    assert alone.members.tolist() == [True, False, False, False]
    assert (alone.high_K[1:] < 0).all()
    two = best_set(*study(np.array([0.9, 0.9, 0.7]), rng))
    assert two.members.tolist() == [True, True, False]


def test_few_seeds_make_the_set_larger_where_seeds_are_the_variance() -> None:
    rng = np.random.default_rng(0)
    observed, values = study(np.array([0.83, 0.80, 0.80]), rng, shared=0.0)
    assert best_set(observed, values).members.sum() < 3
    seeds = observed[:, None] + 0.017 * np.array([[-1, 1], [1, -1], [3, -3]])
    assert best_set(observed, values, seeds_KR=seeds).members.all()


def test_too_few_resamples_put_nobody_out() -> None:
    observed, values = study(np.array([0.9, 0.5]), np.random.default_rng(0), n_resamples=10)
    assert best_set(observed, values).members.all()


def test_a_contender_without_a_score_is_refused() -> None:
    observed, values = study(np.array([0.9, np.nan]), np.random.default_rng(0))
    with pytest.raises(DataError, match="cannot be compared"):
        best_set(observed, values)


@pytest.mark.parametrize("n_equal", [2, 12])
def test_of_equals_at_the_top_none_is_lost_in_nineteen_of_twenty_studies(n_equal: int) -> None:
    rng, lost, bounds_broken = np.random.default_rng(n_equal), 0, 0
    truth = np.append(np.full(n_equal, 0.85), [0.6, 0.5])
    behind = truth - np.array([np.delete(truth, k).max() for k in range(len(truth))])
    for _ in range(200):
        found = best_set(*study(truth, rng, n_resamples=200))
        lost += not found.members[:n_equal].all()
        bounds_broken += not ((found.low_K <= behind) & (behind <= found.high_K)).all()
    # 200 studies: 5 % is 10, and three standard errors more is 19.
    assert lost <= 19
    assert bounds_broken <= 19


def test_twelve_equal_leads_of_350_patients_are_not_told_apart() -> None:
    rng, one_best, any_out = np.random.default_rng(5), 0, 0
    for study_number in range(25):
        labels = rng.random((350, 2)) < (0.4, 0.15)
        seen = 0.8 * rng.normal(size=(350, 2)) + 0.6 * rng.normal(size=(12, 2, 350, 2))
        scores = (seen + 1.5 * labels).astype(np.float32)
        areas = bootstrap_auroc(labels, scores, draw_patients(np.arange(350), 200, study_number))
        found = best_set(areas.macro_K, areas.macro_BK, seeds_KR=areas.macro_KR)
        one_best += found.members.sum() == 1
        any_out += not found.members.all()
    assert one_best == 0
    assert any_out <= 5  # 1.25 expected, and three standard errors are 3.3
