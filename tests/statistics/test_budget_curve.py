"""Curves against labels: scores as elsewhere, and labels that one replaces read off the curve."""

from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t as student_t
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from mvkt_ray.statistics.budget_curve import (
    equal_labels,
    monotone,
    quantiles_with_infinity,
    score_budget,
)
from mvkt_ray.statistics.resampling import bootstrap_auroc, draw_patients

N = 90
LABELS_NC = (np.random.default_rng(0).random((N, 3)) < 0.4).astype(np.float32)
RESAMPLES = draw_patients(np.arange(N) % 75, 300)
SCORES = st.lists(st.floats(0.5, 1.0), min_size=1, max_size=6)


def said(strength: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return strength * LABELS_NC + rng.normal(size=LABELS_NC.shape)


def draw(strength: float, *seeds: int) -> np.ndarray:
    return np.stack([said(strength, seed) for seed in seeds])


@given(values=SCORES)
def test_a_curve_is_made_monotone_as_scikit_learn_does(values: list[float]) -> None:
    expected = IsotonicRegression().fit_transform(np.arange(len(values)), values)
    assert monotone(np.array(values)) == pytest.approx(expected)


def test_between_two_budgets_the_labels_are_read_over_their_logarithm() -> None:
    n_labels, reference = [100, 400, 1600], [0.8, 0.9, 0.92]
    assert equal_labels(n_labels, reference, 0.85) == pytest.approx(200)
    assert equal_labels(n_labels, reference, 0.91) == pytest.approx(800)
    assert equal_labels(n_labels, reference, 0.93) == np.inf
    assert equal_labels(n_labels, reference, 0.79) == 0
    # Where more labels did not help, the fewest that are as good.
    assert equal_labels(n_labels, [0.8, 0.9, 0.9], 0.9) == pytest.approx(400)
    # Where more labels seem to harm, these two budgets are taken together.
    assert equal_labels(n_labels, [0.9, 0.8, 0.95], 0.9) == pytest.approx(800)


@given(reference=SCORES, score=st.floats(0.4, 1.1), more=st.floats(0, 0.2))
def test_a_better_score_is_worth_no_fewer_labels_and_stays_within_those_measured(
    reference: list[float], score: float, more: float
) -> None:
    n_labels = 100 * 2 ** np.arange(len(reference))
    few, many = (float(equal_labels(n_labels, reference, s)) for s in (score, score + more))
    assert few <= many * (1 + 1e-12)
    for found in (few, many):
        assert found in (0, np.inf) or 100 * 0.999 <= found <= n_labels[-1] * 1.001


@given(steps=arrays(np.float64, st.integers(1, 5), elements=st.floats(0.001, 0.05)))
def test_the_reference_is_as_good_as_itself_with_its_own_labels(steps: np.ndarray) -> None:
    reference = 0.6 + np.cumsum(steps)
    n_labels = 50 * 3 ** np.arange(len(reference))
    for n, score in zip(n_labels, reference, strict=True):
        assert equal_labels(n_labels, reference, score) == pytest.approx(n)


def test_each_resample_is_read_off_its_own_curve() -> None:
    reference_BM = np.array([[0.8, 0.9], [0.7, 0.8], [0.9, 0.95]])
    found_B = equal_labels([100, 400], reference_BM, np.array([0.85, 0.85, 0.85]))
    assert found_B == pytest.approx([200, np.inf, 0])


def test_quantiles_take_values_beyond_all_that_was_measured() -> None:
    values = np.array([100.0] * 50 + [np.inf] * 50)
    assert quantiles_with_infinity(values, 0.95) == (100.0, np.inf)
    assert quantiles_with_infinity(np.full(9, np.inf), 0.95) == (np.inf, np.inf)


def test_a_score_is_the_mean_over_seeds_and_then_over_draws() -> None:
    draws = [[draw(1.0, 1, 2), draw(2.0, 3)], [draw(1.5, 4, 5), draw(2.5, 6)]]
    found = score_budget(LABELS_NC, draws, RESAMPLES, 0)
    for k in range(2):
        units = [fmean(roc_auc_score(LABELS_NC, s) for s in each[k]) for each in draws]
        assert found.units_KU[k] == pytest.approx(units)
        assert found.observed_K[k] == pytest.approx(fmean(units))


def test_of_one_draw_the_seeds_are_what_varies() -> None:
    found = score_budget(LABELS_NC, [[draw(1.0, 1, 2, 3)]], RESAMPLES, 0)
    assert found.units_KU.shape == (1, 3)
    one = bootstrap_auroc(LABELS_NC, draw(1.0, 1, 2, 3)[None], RESAMPLES)
    assert found.units_KU[0] == pytest.approx(one.macro_KR[0])
    assert found.values_BK.std(axis=0) == pytest.approx(one.macro_BK.std(axis=0), rel=0.15)


def test_draws_that_do_not_differ_leave_the_patients_alone() -> None:
    same = [[draw(1.0, 1)], [draw(1.0, 1)], [draw(1.0, 1)]]
    found = score_budget(LABELS_NC, same, RESAMPLES, 0)
    one = bootstrap_auroc(LABELS_NC, draw(1.0, 1)[None], RESAMPLES)
    assert found.values_BK == pytest.approx(one.macro_BK)


def test_draws_that_differ_make_intervals_wider() -> None:
    strengths = (0.2, 1.0, 1.8)
    apart = [[draw(each, 1)] for each in strengths]
    near = [[draw(1.0, 1)] for _ in strengths]
    wide, narrow = (
        score_budget(LABELS_NC, draws, RESAMPLES, 0).values_BK.std() for draws in (apart, near)
    )
    assert wide > 1.5 * narrow


def test_intervals_of_few_draws_that_differ_are_those_of_a_student_t() -> None:
    apart = [[draw(each, 1)] for each in (0.2, 1.0, 1.8)]
    found = score_budget(LABELS_NC, apart, RESAMPLES, 0)
    wider_B, values_B = found.widened(0.95)[:, 0], found.values_BK[:, 0]
    assert wider_B.mean() == pytest.approx(values_B.mean())
    freedom = 2 * max(values_B.var() / (found.units_KU.var(ddof=1) / 3), 1.0) ** 2
    factor = student_t.ppf(0.975, freedom) / 1.959964
    assert wider_B.std() / values_B.std() == pytest.approx(factor)
    assert factor > 1.5
    # Where draws do not differ, the patients are all that there is, and they are many.
    same = score_budget(LABELS_NC, [[draw(1.0, 1)]] * 3, RESAMPLES, 0)
    assert same.widened(0.95) == pytest.approx(same.values_BK)


def test_what_all_contenders_have_of_a_draw_cancels_in_their_difference() -> None:
    strengths = (0.5, 1.0, 1.5)
    draws = [[draw(each, 1), draw(each, 1) + 0.0] for each in strengths]
    found = score_budget(LABELS_NC, draws, RESAMPLES, 0)
    assert found.values_BK[:, 0] == pytest.approx(found.values_BK[:, 1], abs=1e-9)
