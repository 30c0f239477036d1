"""Thresholds by exhaustion, F1 by scikit-learn, ICBEB and Challenge scores by plain loops."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score

from mvkt_ray.data.sources.challenge import CINC26
from mvkt_ray.errors import DataError
from mvkt_ray.statistics.challenge_weights import NORMAL, cinc26_weights
from mvkt_ray.statistics.decisions import (
    challenge_metric,
    decide,
    f1_per_class,
    f1_thresholds,
    f_g_beta,
    g_beta_thresholds,
    sensitivity_thresholds,
    specificity_thresholds,
)


@st.composite
def labels_and_decisions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = (draw(st.integers(1, 25)), draw(st.integers(2, 5)))
    flags = hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 1.0]))
    return draw(flags), draw(flags)


@st.composite
def labels_and_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = (draw(st.integers(2, 25)), draw(st.integers(1, 3)))
    labels = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 1.0])))
    levels = st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0])
    return labels, draw(hnp.arrays(np.float32, shape, elements=levels))


@settings(max_examples=30)
@given(labels_and_decisions())
def test_f1_is_that_of_scikit_learn_where_the_class_occurs(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, decisions = case
    ours = f1_per_class(labels, decisions)
    for column in range(labels.shape[1]):
        if labels[:, column].any():
            theirs = f1_score(labels[:, column], decisions[:, column])
            assert ours[column] == pytest.approx(theirs, abs=1e-12)
        else:
            assert np.isnan(ours[column])


@settings(max_examples=30)
@given(labels_and_scores())
def test_no_threshold_has_a_higher_f1_than_the_one_chosen(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, scores = case
    thresholds = f1_thresholds(labels, scores)
    reached = f1_per_class(labels, decide(scores, thresholds))
    for column in np.flatnonzero(labels.any(axis=0)):
        for cut in np.unique(scores[:, column]):
            other = f1_score(labels[:, column], scores[:, column] >= cut)
            assert other <= reached[column] + 1e-12
    assert np.isnan(thresholds[~labels.any(axis=0)]).all()


@settings(max_examples=30)
@given(labels_and_scores())
def test_no_threshold_has_a_higher_g_beta_than_the_one_chosen(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, scores = case
    thresholds = g_beta_thresholds(labels, scores)
    for column in np.flatnonzero(labels.any(axis=0)):
        truth = labels[:, [column]]
        # Of one class alone every recording counts 1, as it does when thresholds are chosen.
        reached = f_g_beta(truth, decide(scores[:, [column]], thresholds[[column]]))[1][0]
        for cut in np.unique(scores[:, column]):
            assert f_g_beta(truth, scores[:, [column]] >= cut)[1][0] <= reached + 1e-12


def test_a_larger_beta_misses_fewer() -> None:
    labels = np.array([[1], [0], [0], [1]])
    scores = np.array([[0.9], [0.7], [0.5], [0.3]])
    # The highest cut has G 1 / (1 + beta), the lowest 2 / 4.
    assert g_beta_thresholds(labels, scores, beta=0.5)[0] == pytest.approx(0.8)
    assert g_beta_thresholds(labels, scores, beta=2.0)[0] == pytest.approx(0.3)


def test_a_threshold_lies_between_the_scores_that_it_parts() -> None:
    labels = np.array([[1], [1], [0], [0]])
    scores = np.array([[0.9], [0.7], [0.5], [0.1]], np.float32)
    assert f1_thresholds(labels, scores)[0] == pytest.approx(0.6)


def test_neighbouring_scores_are_parted_all_the_same() -> None:
    low = 0.5
    high = np.nextafter(low, 1)
    threshold = f1_thresholds(np.array([[1], [0]]), np.array([[high], [low]]))
    assert decide(np.array([[high], [low]]), threshold).ravel().tolist() == [True, False]


def test_a_class_without_threshold_never_fires_but_may_be_the_only_one_left() -> None:
    scores = np.array([[0.2, 0.9], [0.6, 0.1]])
    thresholds = np.array([0.5, np.nan])
    assert decide(scores, thresholds).tolist() == [[False, False], [True, False]]
    forced = decide(scores, thresholds, at_least_one=True)
    assert forced.tolist() == [[False, True], [True, False]]


def icbeb_by_loops(labels: np.ndarray, decisions: np.ndarray, beta: float) -> np.ndarray:
    scores = []
    for column in range(labels.shape[1]):
        tp = fp = fn = 0.0
        for truth, said in zip(labels, decisions, strict=True):
            weight = 1 / max(truth.sum(), 1)
            tp += weight * (truth[column] and said[column])
            fp += weight * (not truth[column] and said[column])
            fn += weight * (truth[column] and not said[column])
        f_total = (1 + beta**2) * tp + fp + beta**2 * fn
        scores.append([(1 + beta**2) * tp / f_total, tp / (tp + fp + beta * fn)])
    return np.array(scores).T


@settings(max_examples=30)
@given(labels_and_decisions(), st.sampled_from([1.0, 2.0]))
def test_f_and_g_beta_are_those_of_the_formulas(
    case: tuple[np.ndarray, np.ndarray], beta: float
) -> None:
    labels, decisions = (flags.astype(np.float64) for flags in case)
    occurs = labels.any(axis=0)
    f, g = f_g_beta(labels, decisions, beta)
    assert np.isnan(f[~occurs]).all()
    assert np.isnan(g[~occurs]).all()
    if occurs.all():
        np.testing.assert_allclose([f, g], icbeb_by_loops(labels, decisions, beta), atol=1e-12)


def test_f_and_g_beta_by_hand_where_a_recording_has_two_labels() -> None:
    labels = np.array([[1, 1], [1, 0], [0, 1]])
    decisions = np.array([[1, 0], [1, 1], [0, 1]])
    f, g = f_g_beta(labels, decisions)
    # Class 0: TP 0.5 + 1. Class 1: TP 1, FP 1, FN 0.5.
    np.testing.assert_allclose(f, [1.0, 5 / (5 + 1 + 4 * 0.5)])
    np.testing.assert_allclose(g, [1.0, 1 / (1 + 1 + 2 * 0.5)])


def challenge_by_loops(
    labels: np.ndarray, decisions: np.ndarray, weights: np.ndarray, normal: int
) -> float:
    def earned(said: np.ndarray) -> Fraction:
        total = Fraction(0)
        for truth_i, said_i in zip(labels, said, strict=True):
            shared = max(sum(bool(t or s) for t, s in zip(truth_i, said_i, strict=True)), 1)
            for j, truth in enumerate(truth_i):
                for k, answer in enumerate(said_i):
                    if truth and answer:
                        total += Fraction(weights[j, k]) / shared
        return total

    inactive = np.zeros_like(labels)
    inactive[:, normal] = 1
    right, nothing = earned(labels), earned(inactive)
    return 0.0 if right == nothing else float((earned(decisions) - nothing) / (right - nothing))


@settings(max_examples=30)
@given(labels_and_decisions(), st.integers(0, 2**16))
def test_challenge_metric_is_that_of_the_official_formula(
    case: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    labels, decisions = case
    n_classes = labels.shape[1]
    weights = np.random.default_rng(seed).integers(0, 17, (n_classes, n_classes)) / 16
    normal = seed % n_classes
    ours = challenge_metric(labels, decisions, weights, normal)
    theirs = challenge_by_loops(labels, decisions, weights, normal)
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_right_labels_earn_one_and_always_normal_earns_nothing() -> None:
    weights = cinc26_weights(CINC26.classes)
    normal = CINC26.classes.index(NORMAL)
    labels = np.random.default_rng(0).random((60, 26)) < 0.1
    inactive = np.zeros_like(labels)
    inactive[:, normal] = True
    assert challenge_metric(labels, labels, weights, normal) == pytest.approx(1.0)
    assert challenge_metric(labels, inactive, weights, normal) == pytest.approx(0.0)
    assert challenge_metric(inactive, labels, weights, normal) == 0.0


def test_challenge_weights_follow_the_order_of_the_classes() -> None:
    weights = cinc26_weights(CINC26.classes)
    np.testing.assert_array_equal(weights, weights.T)
    np.testing.assert_array_equal(np.diag(weights), 1.0)
    assert weights.min() == 0.15  # Q wave abnormal taken for sinus rhythm
    backwards = cinc26_weights(CINC26.classes[::-1])
    np.testing.assert_array_equal(backwards, weights[::-1, ::-1])
    af, normal = CINC26.classes.index("AF"), CINC26.classes.index("NSR")
    assert weights[af, normal] == 0.25


def test_challenge_weights_of_other_classes_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="MI"):
        cinc26_weights([*CINC26.classes[:-1], "MI"])


shares = st.sampled_from([0.5, 0.7, 0.9, 0.95])


@given(labels_and_scores(), shares)
def test_a_sensitivity_is_reached_and_no_higher_threshold_reaches_it(
    case: tuple[np.ndarray, np.ndarray], least: float
) -> None:
    labels, scores = case
    thresholds = sensitivity_thresholds(labels, scores, least)
    for column, threshold in enumerate(thresholds):
        positive = scores[labels[:, column] > 0.5, column]
        if not len(positive):
            assert np.isnan(threshold)
            continue
        needed = Fraction(str(least)) * len(positive)
        assert int((positive >= threshold).sum()) >= needed
        higher = [score for score in scores[:, column] if score > threshold]
        # The cut in use may pass below a score that fires; what is above that does not suffice.
        lowest_fired = min(higher, default=np.inf)
        assert int((positive > lowest_fired).sum()) < needed


@given(labels_and_scores(), shares)
def test_a_specificity_is_kept_and_no_lower_threshold_keeps_it(
    case: tuple[np.ndarray, np.ndarray], least: float
) -> None:
    labels, scores = case
    thresholds = specificity_thresholds(labels, scores, least)
    for column, threshold in enumerate(thresholds):
        negative = scores[labels[:, column] < 0.5, column]
        if len(negative) == len(labels):
            assert np.isnan(threshold)
            continue
        needed = Fraction(str(least)) * len(negative)
        if not np.isnan(threshold):
            assert int((negative < threshold).sum()) >= needed
        lower = scores[~(scores[:, column] >= threshold), column]
        if len(lower):
            assert int((negative < lower.max()).sum()) < needed


def test_operating_points_of_ten_positives_by_hand() -> None:
    labels = np.array([[1.0]] * 10 + [[0.0]] * 10)
    scores = np.concatenate([np.arange(11, 21), np.arange(5, 15)])[:, None] / 100
    # Nine of ten positives are at 0.12 and above; so are three negatives: 0.12, 0.13, 0.14.
    assert sensitivity_thresholds(labels, scores, 0.9) == pytest.approx([0.115])
    # One negative of ten may fire: the one at 0.14; 0.13 is passed over.
    assert specificity_thresholds(labels, scores, 0.9) == pytest.approx([0.135])


def test_where_the_highest_score_is_of_too_many_others_the_class_never_fires() -> None:
    labels, scores = np.array([[1.0], [0.0], [0.0]]), np.full((3, 1), 0.5)
    threshold = specificity_thresholds(labels, scores, 0.9)
    assert np.isnan(threshold).all()
    assert not decide(scores, threshold).any()
