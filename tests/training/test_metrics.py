"""Areas under the ROC curve against scikit-learn, and the maximum over windows by hand."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from mvkt_ray.training.metrics import auroc_per_class, raise_to_windows


@st.composite
def labels_and_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = (draw(st.integers(1, 40)), draw(st.integers(1, 4)))
    labels = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 1.0])))
    # Few distinct values, so that ties within and across classes are common.
    scores = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    return labels, scores


@settings(max_examples=60, deadline=None)
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


def test_a_recording_scores_its_highest_window_over_several_batches() -> None:
    scores = torch.full((3, 2), -torch.inf)
    raise_to_windows(scores, torch.tensor([[0.1, 0.9], [0.4, 0.2]]), torch.tensor([0, 0]))
    raise_to_windows(scores, torch.tensor([[0.3, 0.95], [0.5, 0.6]]), torch.tensor([0, 2]))
    assert torch.equal(scores, torch.tensor([[0.4, 0.95], [-torch.inf, -torch.inf], [0.5, 0.6]]))


@pytest.mark.parametrize("place", [0, 1])
def test_a_nan_window_is_not_hidden_by_the_others(place: int) -> None:
    windows = torch.tensor([[0.5], [0.5]])
    windows[place] = torch.nan
    scores = torch.full((1, 1), -torch.inf)
    raise_to_windows(scores, windows, torch.tensor([0, 0]))
    assert scores.isnan().all()
