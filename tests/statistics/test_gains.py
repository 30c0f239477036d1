"""Paired differences: agreement of intervals and p-values, Holm by its definition, error rates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student_t

from mvkt_ray.errors import DataError
from mvkt_ray.statistics.gains import holm, paired_differences

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


def holm_by_definition(p: list[float], alpha: float) -> list[bool]:
    """Reject from the smallest on while p <= alpha / (number not yet rejected)."""
    rejected = [False] * len(p)
    for position, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] > alpha / (len(p) - position):
            break
        rejected[i] = True
    return rejected


@settings(max_examples=50)
@given(P_VALUES)
def test_holm_corrects_upwards_and_keeps_the_order(p: list[float]) -> None:
    corrected = holm(p)
    assert all(raw <= value <= 1.0 for raw, value in zip(p, corrected, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


@settings(max_examples=50)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12))
def test_holm_decides_as_its_definition(thousandths: list[int]) -> None:
    p = [n / 1000 for n in thousandths]
    # No multiple of a thousandth lies on this border.
    assert [value <= 0.0503 for value in holm(p)] == holm_by_definition(p, 0.0503)


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def scores(
    seed: int, n_contenders: int = 5, n_resamples: int = 200
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    observed = 0.8 + 0.02 * rng.normal(size=n_contenders)
    shared = 0.01 * rng.normal(size=(n_resamples, 1))
    return observed, observed + shared + 0.008 * rng.normal(size=(n_resamples, n_contenders))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.booleans())
def test_a_difference_is_claimed_exactly_where_its_corrected_p_value_is_small(
    seed: int, with_seeds: bool
) -> None:
    observed, values = scores(seed)
    seeds = observed[:, None] + 0.01 * np.random.default_rng(seed).normal(size=(5, 3))
    pairs = [(k, j) for k in range(5) for j in range(k)]
    found = paired_differences(observed, values, pairs, seeds_KR=seeds if with_seeds else None)
    for (k, j), one in zip(pairs, found, strict=True):
        assert one.difference == pytest.approx(observed[k] - observed[j])
        assert one.interval.covers(one.difference)
        assert one.claimed == (one.p_holm <= 0.05)
        assert one.interval.covers(0.0) == (one.p > 0.05)
        assert one.corrected.low <= one.interval.low <= one.interval.high <= one.corrected.high
        assert one.p <= one.p_holm


def test_what_follows_the_first_difference_that_is_not_claimed_is_not_claimed_either() -> None:
    spread = np.random.default_rng(0).normal(size=(300, 3)) * [1, 1, 0]
    observed = np.array([2.17, 2.06, 0.0])
    values = observed + spread / np.maximum(spread.std(axis=0, ddof=1), 1e-9)
    first, second = paired_differences(observed, values, [(0, 2), (1, 2)])
    # 0.030 is above 0.05 / 2, and so 0.039 is not compared with 0.05.
    assert (first.p, second.p) == pytest.approx((0.0300, 0.0394), abs=1e-3)
    assert not first.claimed
    assert not second.claimed


def test_swapping_a_pair_turns_its_difference_round() -> None:
    observed, values = scores(1)
    (one,), (other,) = (paired_differences(observed, values, [pair]) for pair in ((0, 1), (1, 0)))
    assert one.difference == -other.difference
    assert one.p == other.p
    assert (one.interval.low, one.interval.high) == (-other.interval.high, -other.interval.low)


def test_numbers_of_one_pair_are_those_of_the_normal_distribution() -> None:
    observed, values = scores(2)
    (one,) = paired_differences(observed, values, [(0, 1)], level=0.9)
    error = (values[:, 0] - values[:, 1]).std(ddof=1)
    assert one.standard_error == pytest.approx(error)
    assert one.p == one.p_holm == pytest.approx(2 * norm.sf(abs(one.difference) / error))
    assert one.interval.high == pytest.approx(one.difference + 1.6448536 * error)


def test_where_seeds_are_all_the_variance_few_of_them_count_as_few() -> None:
    rng = np.random.default_rng(0)
    seeds = np.array([[0.80, 0.83, 0.82], [0.79, 0.80, 0.81]])
    observed = seeds.mean(axis=1)
    gaps = seeds[0] - seeds[1]
    spread = gaps.std(ddof=1) / np.sqrt(3)
    values = np.column_stack(
        [observed[0] + rng.normal(size=4000) * spread, np.full(4000, observed[1])]
    )
    (one,) = paired_differences(observed, values, [(0, 1)], seeds_KR=seeds)
    # What a paired t test over the three seeds says.
    assert one.p == pytest.approx(2 * student_t.sf(gaps.mean() / spread, 2), rel=0.1)


def test_equal_contenders_do_not_differ() -> None:
    observed, values = scores(3)
    observed[1], values[:, 1] = observed[0], values[:, 0]
    (one,) = paired_differences(observed, values, [(0, 1)])
    assert (one.difference, one.p, one.claimed) == (0.0, 1.0, False)
    assert (one.corrected.low, one.corrected.high) == (0.0, 0.0)


def test_a_difference_that_no_resample_moves_is_claimed() -> None:
    (one,) = paired_differences(np.array([1.0, 0.5]), np.tile([1.0, 0.5], (50, 1)), [(0, 1)])
    assert (one.p, one.claimed) == (0.0, True)


def test_no_pairs_have_no_differences() -> None:
    observed, values = scores(4)
    assert paired_differences(observed, values, []) == []


def test_resamples_without_a_value_are_left_out() -> None:
    observed, values = scores(5)
    holed = np.vstack([values, np.full((3, 5), np.nan)])
    assert paired_differences(observed, holed, [(0, 1)]) == paired_differences(
        observed, values, [(0, 1)]
    )


def test_what_has_no_score_cannot_be_compared() -> None:
    observed, values = scores(6)
    observed[2] = np.nan
    with pytest.raises(DataError, match="cannot be compared"):
        paired_differences(observed, values, [(0, 1)])
    with pytest.raises(DataError, match="do not fit"):
        paired_differences(observed[:4], values, [(0, 1)])


def test_a_family_of_equal_contenders_has_false_claims_in_at_most_a_twentieth_of_studies() -> None:
    rng, false = np.random.default_rng(0), 0
    pairs = [(k, 0) for k in range(1, 8)]
    for _ in range(400):
        errors = 0.01 * rng.normal(size=(301, 8))
        false += any(
            d.claimed for d in paired_differences(errors[0], errors[0] + errors[1:], pairs)
        )
    # Three standard errors above 5 % of 400.
    assert false <= 33
