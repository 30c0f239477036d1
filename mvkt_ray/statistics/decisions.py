"""Decisions from scores: thresholds, chosen on validation, and metrics of the decisions.

Shapes: N recordings, C classes.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.statistics.scores import Cuts


def f1_thresholds(labels_NC: NDArray[Any], scores_NC: NDArray[Any]) -> NDArray[np.float64]:
    """Return the threshold of every class that gives the highest F1, float64 `[n_classes]`.

    Choose on validation, apply to test by `decide`. All distinct cuts are tried; the threshold is
    midway between the two scores that it separates; of equally good thresholds it is the highest.

    Returns:
        NaN for a class without recordings, or with a NaN score: `decide` never fires it.
    """
    return _thresholds(
        labels_NC, scores_NC, lambda cuts, n_positive: 2 * cuts.n_true / (cuts.n_fired + n_positive)
    )


def g_beta_thresholds(
    labels_NC: NDArray[Any], scores_NC: NDArray[Any], beta: float = 2.0
) -> NDArray[np.float64]:
    """Return the threshold of every class that gives the highest G_beta, float64 `[n_classes]`.

    As in the PTB-XL benchmark (Strodthoff et al. 2020, arXiv 2004.13701) every recording counts 1
    here, whatever its number of labels; all cuts are tried, while the benchmark tries 100.

    Returns:
        NaN for a class without recordings, or with a NaN score: `decide` never fires it.
    """

    def g_beta(cuts: Cuts, n_positive: int) -> NDArray[np.float64]:
        return cuts.n_true / (cuts.n_fired + beta * (n_positive - cuts.n_true))

    return _thresholds(labels_NC, scores_NC, g_beta)


def sensitivity_thresholds(
    labels_NC: NDArray[Any], scores_NC: NDArray[Any], least: float
) -> NDArray[np.float64]:
    """Return the highest threshold of every class with at least this sensitivity.

    Args:
        labels_NC: 1 if a recording has the class, else 0.
        scores_NC: Scores; higher means more likely.
        least: Sensitivity on these recordings, in (0, 1].

    Returns:
        float64 `[n_classes]`; NaN for a class without recordings, or with a NaN score.
    """
    return _thresholds(
        labels_NC, scores_NC, lambda cuts, n_positive: cuts.n_true >= _at_least(least, n_positive)
    )


def specificity_thresholds(
    labels_NC: NDArray[Any], scores_NC: NDArray[Any], least: float
) -> NDArray[np.float64]:
    """Return the lowest threshold of every class with at least this specificity.

    Args:
        labels_NC: 1 if a recording has the class, else 0.
        scores_NC: Scores; higher means more likely.
        least: Specificity on these recordings, in (0, 1).

    Returns:
        float64 `[n_classes]`; NaN for a class without recordings, with a NaN score, or whose
        specificity is too low at the highest score already: it must never fire.
    """
    positive_NC = np.asarray(labels_NC) > 0.5

    def lowest_allowed(cuts: Cuts, n_positive: int) -> NDArray[np.float64]:
        n_false = cuts.n_fired - cuts.n_true
        n_negative = len(positive_NC) - n_positive
        is_allowed = n_negative - n_false >= _at_least(least, n_negative)
        return np.where(is_allowed, np.arange(len(n_false)), -1.0)

    thresholds_C = _thresholds(labels_NC, scores_NC, lowest_allowed)
    fired_NC = decide(scores_NC, thresholds_C)
    n_negative_C = (~positive_NC).sum(axis=0)
    n_passed_C = (~fired_NC & ~positive_NC).sum(axis=0)
    is_kept_C = n_passed_C >= _at_least(least, n_negative_C)
    return np.where(is_kept_C, thresholds_C, np.nan)


def _at_least(share: float, n: Any) -> Any:
    """Return the least number that is a share of n; 0.7 of 10 is 7, despite rounding errors."""
    return np.ceil(share * n - 1e-9)


def _thresholds(
    labels_NC: NDArray[Any],
    scores_NC: NDArray[Any],
    worth: Callable[[Cuts, int], NDArray[np.float64]],
) -> NDArray[np.float64]:
    positive_NC = np.asarray(labels_NC) > 0.5
    scores_NC = np.asarray(scores_NC)
    thresholds_C = np.full(positive_NC.shape[1], np.nan)
    for column, (positive_N, scores_N) in enumerate(zip(positive_NC.T, scores_NC.T, strict=True)):
        if not positive_N.any() or np.isnan(scores_N).any():
            continue
        cuts = Cuts.of(positive_N, scores_N)
        best = int(np.argmax(worth(cuts, int(positive_N.sum()))))
        lowest = cuts.lowest[best]
        # The threshold at the lowest score of all is that score.
        below = cuts.lowest[best + 1] if best + 1 < len(cuts.lowest) else lowest
        middle = below + (lowest - below) / 2
        thresholds_C[column] = middle if middle > below else lowest
    return thresholds_C


def decide(
    scores_NC: NDArray[Any], thresholds_C: NDArray[Any], *, at_least_one: bool = False
) -> NDArray[np.bool_]:
    """Return the predicted classes, bool `[N, C]`: scores at or above the threshold.

    Args:
        scores_NC: Scores; higher means more likely.
        thresholds_C: Thresholds; NaN for a class that never fires.
        at_least_one: Whether the class with the highest score fires if no other does, as in the
            PTB-XL benchmark's evaluation of ICBEB 2018.
    """
    scores_NC = np.asarray(scores_NC)
    decisions_NC = scores_NC >= np.asarray(thresholds_C, dtype=np.float64)
    if at_least_one:
        silent = np.flatnonzero(~decisions_NC.any(axis=1))
        decisions_NC[silent, scores_NC[silent].argmax(axis=1)] = True
    return decisions_NC


def f1_per_class(labels_NC: NDArray[Any], decisions_NC: NDArray[Any]) -> NDArray[np.float64]:
    """Return F1 = 2 TP / (2 TP + FP + FN) of every class, float64 `[n_classes]`.

    Returns:
        NaN for a class that no recording has, where scikit-learn has 0: it belongs in no mean.
    """
    labels_NC, decisions_NC = np.asarray(labels_NC) > 0.5, np.asarray(decisions_NC) > 0.5
    n_positive_C = labels_NC.sum(axis=0)
    f1_C = np.full(labels_NC.shape[1], np.nan)
    n_true_C = (labels_NC & decisions_NC).sum(axis=0)
    n_total_C = n_positive_C + decisions_NC.sum(axis=0)
    return np.divide(2 * n_true_C, n_total_C, out=f1_C, where=n_positive_C > 0)


def f_g_beta(
    labels_NC: NDArray[Any], decisions_NC: NDArray[Any], beta: float = 2.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return F_beta and G_beta of ICBEB 2018, of every class, each float64 `[n_classes]`.

    As the PTB-XL benchmark scores it (Strodthoff et al. 2020): a recording adds 1 / (number of its
    labels) to TP, FP or FN of each class, one without labels adds 1, and

        F = (1 + beta^2) TP / ((1 + beta^2) TP + FP + beta^2 FN),    G = TP / (TP + FP + beta FN).

    Returns:
        NaN for a class that no recording has.
    """
    labels_NC, decisions_NC = np.asarray(labels_NC) > 0.5, np.asarray(decisions_NC) > 0.5
    weight_N = 1.0 / np.maximum(labels_NC.sum(axis=1), 1)
    tp_C = weight_N @ (labels_NC & decisions_NC)
    fp_C = weight_N @ (~labels_NC & decisions_NC)
    fn_C = weight_N @ (labels_NC & ~decisions_NC)
    known_C = labels_NC.sum(axis=0) > 0
    f_C, g_C = np.full((2, labels_NC.shape[1]), np.nan)
    f_total_C = (1 + beta**2) * tp_C + fp_C + beta**2 * fn_C
    np.divide((1 + beta**2) * tp_C, f_total_C, out=f_C, where=known_C)
    np.divide(tp_C, tp_C + fp_C + beta * fn_C, out=g_C, where=known_C)
    return f_C, g_C


def challenge_metric(
    labels_NC: NDArray[Any], decisions_NC: NDArray[Any], weights_CC: NDArray[Any], normal: int
) -> float:
    """Return the metric of the PhysioNet/CinC Challenges 2020 and 2021.

    Each pair of a true class j and a decided class k of a recording earns `weights_CC[j, k]`,
    divided by the number of its true or predicted classes; the sum is scaled so that correct labels
    give 1, and predicting "normal" for every recording gives 0 (Perez Alday et al. 2020,
    Physiological Measurement 41(12), 124003; Reyna et al. 2021, Computing in Cardiology 48).

    Args:
        labels_NC: 1 if a recording has the class, else 0; equivalent classes are merged.
        decisions_NC: 1 if the class is predicted, else 0.
        weights_CC: `challenge_weights.cinc26_weights` for the task `cinc26`.
        normal: Position of sinus rhythm.

    Returns:
        At most 1, below 0 if worse than always "normal"; 0 if correct labels earn no more than
        "normal", as in the official evaluation.
    """
    labels_NC, decisions_NC = np.asarray(labels_NC) > 0.5, np.asarray(decisions_NC) > 0.5
    inactive_NC = np.zeros_like(labels_NC)
    inactive_NC[:, normal] = True
    right = _earned(labels_NC, labels_NC, weights_CC)
    inactive = _earned(labels_NC, inactive_NC, weights_CC)
    if math.isclose(right, inactive, rel_tol=1e-12):
        return 0.0
    return (_earned(labels_NC, decisions_NC, weights_CC) - inactive) / (right - inactive)


def _earned(
    labels_NC: NDArray[np.bool_], decisions_NC: NDArray[np.bool_], weights_CC: NDArray[Any]
) -> float:
    share_N = 1.0 / np.maximum((labels_NC | decisions_NC).sum(axis=1), 1)
    return float((((labels_NC * share_N[:, None]).T @ decisions_NC) * weights_CC).sum())
