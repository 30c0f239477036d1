"""The corrected best of many: against a loop of the published algorithm, and its bias."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from mvkt_ray.errors import DataError
from mvkt_ray.statistics.resampling import draw_patients
from mvkt_ray.statistics.selection import corrected_best


def tried(
    rng: np.random.Generator, n_recordings: int, shifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.random((n_recordings, 2)) < 0.4
    seen = rng.normal(size=(len(shifts), n_recordings, 2))
    return labels, (seen + shifts[:, None, None] * labels).astype(np.float32)


def test_the_estimate_is_that_of_the_published_algorithm() -> None:
    rng = np.random.default_rng(0)
    labels, scores = tried(rng, 60, np.array([0.5, 0.8, 1.0, 1.0]))
    patients = rng.integers(30, size=60)
    resamples = draw_patients(patients, 25, seed=4)
    left_out = []
    for weights in resamples.weights_BN:
        rows, rest = np.repeat(np.arange(60), weights), np.flatnonzero(weights == 0)
        drawn = [roc_auc_score(labels[rows], s[rows], average="macro") for s in scores]
        chosen = scores[int(np.argmax(drawn))]
        left_out.append(roc_auc_score(labels[rest], chosen[rest], average="macro"))
    ours = corrected_best(labels, scores, resamples)
    assert ours.corrected == pytest.approx(np.mean(left_out), abs=1e-12)
    ends = np.quantile(left_out, [0.025, 0.975])
    np.testing.assert_allclose((ours.interval.low, ours.interval.high), ends, atol=1e-12)
    naive = [roc_auc_score(labels, s, average="macro") for s in scores]
    assert ours.naive == pytest.approx(max(naive))
    assert ours.best == int(np.argmax(naive))


def test_the_correction_takes_away_most_of_the_bias_of_having_chosen() -> None:
    rng, truth = np.random.default_rng(0), float(norm.cdf(1 / np.sqrt(2)))
    naive, corrected = [], []
    for number in range(25):
        labels, scores = tried(rng, 150, np.ones(30))
        found = corrected_best(labels, scores, draw_patients(np.arange(150), 60, seed=number))
        naive.append(found.naive - truth)
        corrected.append(found.corrected - truth)
    assert np.mean(naive) > 0.03
    assert abs(np.mean(corrected)) < np.mean(naive) / 3


def test_one_configuration_needs_hardly_any_correction() -> None:
    labels, scores = tried(np.random.default_rng(1), 300, np.array([1.0]))
    found = corrected_best(labels, scores, draw_patients(np.arange(300), 200))
    assert found.corrected == pytest.approx(found.naive, abs=0.01)
    assert found.interval.covers(found.corrected)


def test_a_class_that_the_others_lack_is_left_out_of_their_mean() -> None:
    labels, scores = tried(np.random.default_rng(2), 40, np.array([0.5, 1.0]))
    labels[:, 1] = False
    labels[0, 1] = True
    found = corrected_best(labels, scores, draw_patients(np.arange(40), 100))
    assert np.isfinite([found.corrected, found.interval.low, found.interval.high]).all()


def test_threads_do_not_change_the_estimate() -> None:
    labels, scores = tried(np.random.default_rng(3), 50, np.linspace(0, 1, 7))
    resamples = draw_patients(np.arange(50), 40)
    assert corrected_best(labels, scores, resamples, n_threads=1) == corrected_best(
        labels, scores, resamples, n_threads=3
    )


def test_a_split_without_any_class_cannot_be_estimated_on() -> None:
    labels, scores = tried(np.random.default_rng(4), 20, np.array([0.5, 1.0]))
    with pytest.raises(DataError, match="none of 5 resamples"):
        corrected_best(np.zeros_like(labels), scores, draw_patients(np.arange(20), 5))
