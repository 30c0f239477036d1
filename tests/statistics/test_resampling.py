"""Resamples of patients and seeds: literal repetition, pairing, classes that vanish, refusals."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mvkt_ray.errors import DataError
from mvkt_ray.statistics.resampling import bootstrap_auroc, draw_patients
from mvkt_ray.statistics.scores import auroc_per_class


def split(
    n_recordings: int = 60, n_contenders: int = 3, n_seeds: int = 4, n_classes: int = 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    labels = (rng.random((n_recordings, n_classes)) < 0.4).astype(np.float32)
    shape = (n_contenders, n_seeds, n_recordings, n_classes)
    scores = (rng.normal(size=shape) + labels).round(1).astype(np.float32)
    patients = np.array(
        [f"patient {p}" for p in rng.integers(n_recordings // 2, size=n_recordings)]
    )
    return labels, scores, patients


def test_a_resample_is_scikit_learn_on_the_repeated_rows() -> None:
    labels, scores, patients = split(n_seeds=1)
    resamples = draw_patients(patients, 12, seed=3)
    areas = bootstrap_auroc(labels, scores, resamples)
    for b in range(12):
        rows = np.repeat(np.arange(len(labels)), resamples.weights_BN[b])
        for k in range(3):
            expected = [
                roc_auc_score(truth, scores[k, 0, rows, c])
                for c, truth in enumerate(labels[rows].T)
            ]
            np.testing.assert_allclose(areas.values_BKC[b, k], expected, rtol=0, atol=1e-12)
            assert areas.macro_BK[b, k] == pytest.approx(np.mean(expected), abs=1e-12)


def test_resamples_are_around_the_mean_over_seeds_on_the_patients_drawn() -> None:
    labels, scores, patients = split()
    shift_KR = np.random.default_rng(0).normal(size=(3, 4, 1, 1))
    scores = (scores + shift_KR * labels).astype(np.float32)
    resamples = draw_patients(patients, 400, seed=3)
    areas = bootstrap_auroc(labels, scores, resamples)
    alone = [bootstrap_auroc(labels, scores[:, [r]], resamples).macro_BK for r in range(4)]
    added_BK = areas.macro_BK - np.mean(alone, axis=0)
    # Three contenders with four seeds each have noise, of a mean near 0, and not all the same.
    assert np.abs(added_BK.mean(axis=0)).max() < 0.2 * added_BK.std()
    assert (np.corrcoef(added_BK.T) < 0.999).sum() == 6


def test_what_seeds_do_to_a_contender_is_in_the_spread_and_what_they_do_to_all_is_not() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((400, 1)) < 0.4).astype(np.float32)
    seen = rng.normal(size=(400, 1))
    resamples = draw_patients(np.arange(400), 300)

    def spread(shift_KR: np.ndarray) -> float:
        scores = (seen + (1 + shift_KR)[:, :, None, None] * labels).astype(np.float32)
        areas = bootstrap_auroc(labels, scores, resamples)
        return float((areas.macro_BK[:, 0] - areas.macro_BK[:, 1]).std())

    of_seed = 0.3 * rng.normal(size=(1, 4))
    own = 0.3 * rng.normal(size=(2, 4))
    assert spread(np.zeros((2, 4))) == 0.0
    assert spread(np.repeat(of_seed, 2, axis=0)) < 1e-9
    assert spread(own) > 0.02


def test_seeds_that_differ_in_nothing_but_their_errors_on_recordings_add_no_spread() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((150, 1)) < 0.4).astype(np.float32)
    found, truth = list[float](), list[float]()
    for seed in range(60):
        noisy = (rng.normal(size=(2, 5, 150, 1)) + labels).astype(np.float32)
        areas = bootstrap_auroc(labels, noisy, draw_patients(np.arange(150), 100, seed=seed))
        found.append((areas.macro_BK[:, 0] - areas.macro_BK[:, 1]).var())
        truth.append(areas.macro_K[0] - areas.macro_K[1])
    # Drawing patients and seeds together would find three times the variance.
    assert 0.6 < np.mean(found) / np.var(truth) < 1.6


def test_recordings_of_a_patient_come_together_and_as_many_patients_as_there_are() -> None:
    patients = np.array(["a", "b", "a", "c", "b", "a"])
    resamples = draw_patients(patients, 200, seed=0)
    weights = resamples.weights_BN.astype(int)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 5])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 4])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), 3)
    assert len(np.unique(weights[:, [0, 1, 3]], axis=0)) == 10  # every multiset of three occurs


def test_draws_are_a_matter_of_the_seed_alone() -> None:
    labels, scores, patients = split()
    first = bootstrap_auroc(labels, scores, draw_patients(patients, 50, seed=1), n_threads=1)
    again = bootstrap_auroc(labels, scores, draw_patients(patients, 50, seed=1), n_threads=3)
    other = bootstrap_auroc(labels, scores, draw_patients(patients, 50, seed=2))
    np.testing.assert_array_equal(first.values_BKC, again.values_BKC)
    assert not np.array_equal(first.values_BKC, other.values_BKC)


def test_contenders_scored_apart_are_paired_with_those_scored_together() -> None:
    labels, scores, patients = split()
    resamples = draw_patients(patients, 50)
    one_seed = scores[:, :1]
    together = bootstrap_auroc(labels, one_seed, resamples)
    apart = bootstrap_auroc(labels, one_seed[[2]], resamples)
    np.testing.assert_array_equal(together.macro_BK[:, [2]], apart.macro_BK)


def test_observed_areas_are_the_mean_over_seeds() -> None:
    labels, scores, patients = split()
    areas = bootstrap_auroc(labels, scores, draw_patients(patients, 5))
    by_hand = np.mean([auroc_per_class(labels, scores[1, r]) for r in range(4)], axis=0)
    np.testing.assert_allclose(areas.observed_KC[1], by_hand, atol=1e-12)
    assert areas.macro_K[1] == pytest.approx(areas.macro_KR[1].mean())


def test_order_of_recordings_does_not_matter_to_observed_or_jackknife() -> None:
    labels, scores, patients = split()
    order = np.random.default_rng(1).permutation(len(labels))
    straight = bootstrap_auroc(labels, scores, draw_patients(patients, 5))
    shuffled = bootstrap_auroc(
        labels[order], scores[:, :, order], draw_patients(patients[order], 5)
    )
    np.testing.assert_allclose(straight.values_BKC, shuffled.values_BKC, atol=1e-12)
    np.testing.assert_allclose(
        straight.jackknife().macro_PK, shuffled.jackknife().macro_PK, atol=1e-12
    )


def test_jackknife_is_the_areas_without_each_patient() -> None:
    labels, scores, patients = split()
    jackknife = bootstrap_auroc(labels, scores, draw_patients(patients, 5)).jackknife()
    for position, patient in enumerate(np.unique(patients)):
        rest = patients != patient
        of_seeds = [auroc_per_class(labels[rest], scores[0, r][rest]) for r in range(4)]
        expected = np.mean(of_seeds, axis=0)
        np.testing.assert_allclose(jackknife.values_PKC[position, 0], expected, atol=1e-12)
        assert jackknife.macro_PK[position, 0] == pytest.approx(expected.mean())


def test_a_class_that_nobody_has_is_in_no_macro_mean_and_is_named() -> None:
    labels, scores, patients = split(n_classes=3, n_seeds=1)
    labels[:, 1] = 0
    areas = bootstrap_auroc(labels, scores, draw_patients(patients, 30))
    assert areas.left_out == (1,)
    assert np.isnan(areas.values_BKC[:, :, 1]).all()
    np.testing.assert_allclose(areas.macro_BK, areas.values_BKC[:, :, [0, 2]].mean(axis=2))


def test_a_class_that_vanishes_in_a_resample_is_left_out_there_for_all_contenders() -> None:
    labels, scores, patients = split(n_seeds=1)
    labels[:, 1] = 0
    labels[5, 1] = 1
    areas = bootstrap_auroc(labels, scores, draw_patients(patients, 200))
    gone = np.isnan(areas.values_BKC[:, 0, 1])
    # A patient is not drawn with a chance of nearly 1 / e.
    assert 0.25 < gone.mean() < 0.5
    assert (np.isnan(areas.values_BKC[:, :, 1]) == gone[:, None]).all()
    np.testing.assert_array_equal(areas.macro_BK[gone], areas.values_BKC[gone, :, 0])
    assert areas.left_out == ()


def test_one_patient_cannot_be_resampled() -> None:
    with pytest.raises(DataError, match="1 patient cannot be resampled"):
        draw_patients(np.array(["a", "a"]))


def test_a_nan_score_is_refused_with_its_position() -> None:
    labels, scores, patients = split()
    scores[1, 2, 3, 0] = np.nan
    with pytest.raises(DataError, match=r"position \(1, 2, 3, 0\)"):
        bootstrap_auroc(labels, scores, draw_patients(patients, 5))


def test_scores_of_another_split_are_refused() -> None:
    labels, scores, patients = split()
    with pytest.raises(DataError, match="do not fit"):
        bootstrap_auroc(labels[1:], scores, draw_patients(patients, 5))
    with pytest.raises(DataError, match="do not fit"):
        bootstrap_auroc(labels, scores, draw_patients(patients[1:], 5))
