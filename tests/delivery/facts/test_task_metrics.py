"""What the makers of a task score it by, as its own evaluation computes it."""

import numpy as np
import pytest

from mvkt_ray.delivery.facts.task_metrics import Both, f1_and_thresholds, task_scores
from mvkt_ray.statistics.challenge_weights import cinc26_weights
from mvkt_ray.statistics.decisions import (
    challenge_metric,
    decide,
    f1_thresholds,
    f_g_beta,
    g_beta_thresholds,
)

NINE = tuple("ABCDEFGHI")


def both_of(n_classes: int, n_seeds: int = 2) -> Both:
    rng = np.random.default_rng(n_classes)
    labels, known = (rng.random((200, n_classes)) < 0.2 for _ in range(2))
    scores, said = (
        np.stack([(y + 0.5 * rng.normal(size=y.shape)) for _ in range(n_seeds)]).astype(np.float32)
        for y in (labels, known)
    )
    return Both(labels_NC=labels, scores_RNC=scores, chosen_on_NC=known, chosen_by_RNC=said)


def test_icbeb_is_scored_by_f_and_g_with_thresholds_of_the_same_seed() -> None:
    both = both_of(9)
    found = task_scores("icbeb9", NINE, both)
    assert both.chosen_by_RNC is not None
    f_G = []
    for scores, said in zip(both.scores_RNC, both.chosen_by_RNC, strict=True):
        thresholds = g_beta_thresholds(both.chosen_on_NC, said)
        decisions = decide(scores, thresholds, at_least_one=True)
        f_G.append([np.mean(each) for each in f_g_beta(both.labels_NC, decisions)])
    f_beta, g_beta = np.mean(f_G, axis=0)
    assert found == {"f_beta_2": pytest.approx(f_beta), "g_beta_2": pytest.approx(g_beta)}


def test_the_challenge_is_scored_by_its_own_weights() -> None:
    classes = (
        "AF AFL BBB Brady CLBBB CRBBB IAVB IRBBB LAD LAnFB LPR LQRSV LQT NSIVCB NSR PAC PR PRWP "
        "PVC QAb RAD SA SB STach TAb TInv"
    ).split()
    both = both_of(26, n_seeds=1)
    assert both.chosen_by_RNC is not None
    decisions = decide(both.scores_RNC[0], f1_thresholds(both.chosen_on_NC, both.chosen_by_RNC[0]))
    expected = challenge_metric(
        both.labels_NC, decisions, cinc26_weights(classes), classes.index("NSR")
    )
    assert task_scores("cinc26", classes, both) == {"challenge_metric": pytest.approx(expected)}


def test_other_tasks_have_no_scores_of_their_own() -> None:
    assert task_scores("superdiagnostic", NINE, both_of(9)) is None


def test_a_class_without_a_positive_on_validation_has_no_threshold_and_no_f1() -> None:
    both = both_of(3)
    both.chosen_on_NC[:, 1] = False
    f1_C, threshold_C = f1_and_thresholds(both)
    assert np.isnan(f1_C).tolist() == np.isnan(threshold_C).tolist() == [False, True, False]
