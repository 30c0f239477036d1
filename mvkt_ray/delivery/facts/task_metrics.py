"""Scores of decisions: F1 for every task, and the official metrics of some tasks.

Shapes: R seeds, N recordings, C classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.json_values import finite
from mvkt_ray.statistics.challenge_weights import NORMAL, cinc26_weights
from mvkt_ray.statistics.decisions import (
    challenge_metric,
    decide,
    f1_per_class,
    f1_thresholds,
    f_g_beta,
    g_beta_thresholds,
)
from mvkt_ray.statistics.scores import macro_mean


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Both:
    """Predictions of the same students for the test and the validation split."""

    labels_NC: NDArray[Any]
    scores_RNC: NDArray[np.float32]
    chosen_on_NC: NDArray[Any]
    """Labels of the validation recordings, on which thresholds are chosen."""
    chosen_by_RNC: NDArray[np.float32] | None
    """Predictions for the validation recordings; None for students trained on them."""

    @property
    def n_classes(self) -> int:
        """Number of classes, C."""
        return self.labels_NC.shape[1]


def f1_and_thresholds(both: Both) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return F1 at thresholds chosen on validation, and the thresholds, each float64 `[C]`.

    Both are means over seeds, and NaN for a class without a threshold.
    """
    nothing_C = np.full(both.n_classes, np.nan)
    if both.chosen_by_RNC is None:
        return nothing_C, nothing_C
    f1_RC, threshold_RC = [], []
    for scores_NC, chosen_by_NC in zip(both.scores_RNC, both.chosen_by_RNC, strict=True):
        threshold_C = f1_thresholds(both.chosen_on_NC, chosen_by_NC)
        f1_C = f1_per_class(both.labels_NC, decide(scores_NC, threshold_C))
        # Without a positive on validation there is no threshold, and F1 would be 0 just for that.
        f1_RC.append(np.where(np.isnan(threshold_C), np.nan, f1_C))
        threshold_RC.append(threshold_C)
    return np.mean(f1_RC, axis=0), np.mean(threshold_RC, axis=0)


def task_scores(task: str, classes: Sequence[str], both: Both) -> dict[str, float | None] | None:
    """Return the official metrics of a task, means over seeds; None for a task without any."""
    if both.chosen_by_RNC is None:
        return None
    if task == "icbeb9":
        f_R, g_R = zip(*_each_seed(both, _icbeb), strict=True)
        return {"f_beta_2": finite(np.mean(f_R)), "g_beta_2": finite(np.mean(g_R))}
    if task == "cinc26":
        weights_CC = cinc26_weights(classes)
        normal = list(classes).index(NORMAL)

        def challenge(labels_NC: Any, scores_NC: Any, on_NC: Any, by_NC: Any) -> float:
            decisions_NC = decide(scores_NC, f1_thresholds(on_NC, by_NC))
            return challenge_metric(labels_NC, decisions_NC, weights_CC, normal)

        return {"challenge_metric": finite(np.mean(_each_seed(both, challenge)))}
    return None


def _icbeb(labels_NC: Any, scores_NC: Any, on_NC: Any, by_NC: Any) -> tuple[float, float]:
    thresholds_C = g_beta_thresholds(on_NC, by_NC)
    decisions_NC = decide(scores_NC, thresholds_C, at_least_one=True)
    f_C, g_C = f_g_beta(labels_NC, decisions_NC)
    return macro_mean(f_C).value, macro_mean(g_C).value


def _each_seed(both: Both, score: Callable[..., Any]) -> list[Any]:
    assert both.chosen_by_RNC is not None
    pairs = zip(both.scores_RNC, both.chosen_by_RNC, strict=True)
    return [score(both.labels_NC, scores, both.chosen_on_NC, by) for scores, by in pairs]
