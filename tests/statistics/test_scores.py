"""Areas under the ROC curve and average precision against scikit-learn; means over classes."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from mvkt_ray.statistics.scores import (
    auroc_per_class,
    average_precision_per_class,
    macro_mean,
    mid_ranks,
)


@st.composite
def labels_and_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = (draw(st.integers(1, 40)), draw(st.integers(1, 4)))
    labels = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 1.0])))
    # Few distinct values, so that ties within and across classes are common.
    scores = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    return labels, scores


@settings(max_examples=30)
@given(labels_and_scores())
def test_area_is_that_of_scikit_learn_with_ties_and_undefined_classes(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, scores = case
    ours = auroc_per_class(labels, scores)
    for column in range(labels.shape[1]):
        truth = labels[:, column]
        if truth.min() == truth.max():
            assert np.isnan(ours[column])
        else:
            assert ours[column] == pytest.approx(roc_auc_score(truth, scores[:, column]), abs=1e-12)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12),
        elements=st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.25, 1.0, np.inf, np.nan]),
    )
)
def test_ranks_are_those_of_scipy_to_the_bit(values: np.ndarray) -> None:
    np.testing.assert_array_equal(mid_ranks(values), rankdata(values, axis=0))


def test_a_class_with_one_kind_of_recording_only_is_undefined() -> None:
    labels = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1]])
    scores = np.array([[0.9, 0.1, 0.3], [0.8, 0.2, 0.2], [0.7, 0.3, 0.1], [0.1, 0.4, 0.0]])
    # Of class 0's four pairs three are in order.
    np.testing.assert_array_equal(auroc_per_class(labels, scores), [0.75, np.nan, np.nan])


def test_areas_of_no_recordings_are_undefined_and_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(auroc_per_class(np.ones((3, 2)), np.zeros((3, 2)))).all()
        assert np.isnan(auroc_per_class(np.ones((0, 2)), np.zeros((0, 2)))).all()


def test_a_nan_score_makes_its_class_undefined_and_no_other() -> None:
    labels = np.array([[1, 1], [0, 0]])
    auroc = auroc_per_class(labels, np.array([[np.nan, 0.9], [0.1, 0.2]]))
    assert np.isnan(auroc[0])
    assert auroc[1] == 1.0


@settings(max_examples=30)
@given(labels_and_scores())
def test_average_precision_is_that_of_scikit_learn_with_ties(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, scores = case
    ours = average_precision_per_class(labels, scores)
    for column in range(labels.shape[1]):
        truth = labels[:, column]
        if truth.max() == 0:
            assert np.isnan(ours[column])
        else:
            theirs = average_precision_score(truth, scores[:, column])
            assert ours[column] == pytest.approx(theirs, abs=1e-12)


def test_average_precision_of_a_nan_score_is_undefined() -> None:
    assert np.isnan(average_precision_per_class(np.eye(2), np.array([[np.nan, 1], [0, 1]]))[0])


def test_scores_of_any_number_type_are_ordered_the_same() -> None:
    labels, scores = np.array([[1], [0], [1]]), np.array([[200], [3], [5]])
    for dtype in (np.uint8, np.int64, np.float16, np.float32):
        assert average_precision_per_class(labels, scores.astype(dtype))[0] == 1.0
        assert auroc_per_class(labels, scores.astype(dtype))[0] == 1.0


def test_a_macro_mean_says_which_classes_it_leaves_out() -> None:
    mean = macro_mean(np.array([0.5, np.nan, 1.0, np.nan]))
    assert (mean.value, mean.n_classes, mean.left_out) == (0.75, 2, (1, 3))


def test_a_macro_mean_of_no_class_is_undefined_and_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean = macro_mean(np.array([np.nan]))
    assert np.isnan(mean.value)
    assert (mean.n_classes, mean.left_out) == (0, (0,))
