"""Areas under weightings and without a patient, against scikit-learn on the recordings meant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from mvkt_ray.statistics.weighted_auroc import (
    CHUNK,
    leave_one_out_auroc,
    weight_chunks,
    weighted_auroc,
)

SCORES = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, np.inf])


def area(positive: np.ndarray, scores: np.ndarray) -> float:
    if positive.all() or not positive.any():
        return np.nan
    # scikit-learn wants finite scores; only their order counts.
    return float(roc_auc_score(positive, np.unique(scores, return_inverse=True)[1]))


@st.composite
def recordings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 30))
    positive = draw(hnp.arrays(np.bool_, n))
    return positive, draw(hnp.arrays(np.float32, n, elements=SCORES))


@settings(max_examples=30)
@given(recordings(), st.data())
def test_a_weight_is_a_repetition(case: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    positive, scores = case
    shape = (data.draw(st.integers(1, 5)), len(scores))
    weights = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 4)))
    ours = weighted_auroc(positive, scores, weight_chunks(weights))
    for value, times in zip(ours, weights, strict=True):
        rows = np.repeat(np.arange(len(scores)), times)
        assert value == pytest.approx(area(positive[rows], scores[rows]), abs=1e-13, nan_ok=True)


def test_weightings_of_several_chunks_come_back_in_order() -> None:
    rng = np.random.default_rng(0)
    positive, scores = rng.random(40) < 0.6, rng.random(40).round(1)
    weights = rng.integers(0, 3, size=(2 * CHUNK + 3, 40)).astype(np.uint8)
    ours = weighted_auroc(positive, scores, weight_chunks(weights))
    assert len(ours) == len(weights)
    for position in (0, CHUNK - 1, CHUNK, 2 * CHUNK + 2):
        rows = np.repeat(np.arange(40), weights[position])
        assert ours[position] == pytest.approx(area(positive[rows], scores[rows]), abs=1e-13)


@settings(max_examples=30)
@given(recordings(), st.randoms(use_true_random=False))
def test_only_the_order_of_scores_counts_and_not_that_of_recordings(
    case: tuple[np.ndarray, np.ndarray], random: object
) -> None:
    positive, scores = case
    rng = np.random.default_rng(len(scores))
    weights = rng.integers(0, 4, size=(3, len(scores))).astype(np.uint8)
    straight = weighted_auroc(positive, scores, weight_chunks(weights))
    stretched = weighted_auroc(positive, np.arctan(scores) * 7 - 3, weight_chunks(weights))
    np.testing.assert_array_equal(straight, stretched)
    order = rng.permutation(len(scores))
    shuffled = weighted_auroc(positive[order], scores[order], weight_chunks(weights[:, order]))
    np.testing.assert_array_equal(straight, shuffled)


@settings(max_examples=50)
@given(recordings(), st.data())
def test_leaving_out_a_patient_is_the_area_of_the_others(
    case: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    positive, scores = case
    drawn = data.draw(hnp.arrays(np.int64, len(scores), elements=st.integers(0, 5)))
    patients, patient = np.unique(drawn, return_inverse=True)
    ours = leave_one_out_auroc(positive, scores, patient, len(patients))
    for p, value in enumerate(ours):
        rest = patient != p
        expected = area(positive[rest], scores[rest]) if rest.any() else np.nan
        assert value == pytest.approx(expected, abs=1e-13, nan_ok=True)
