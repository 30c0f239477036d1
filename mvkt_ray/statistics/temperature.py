"""Temperature scaling: calibration of probabilities by one number.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, arXiv
1706.04599, section 4.2, with one sigmoid per class in place of the softmax: a calibrated
probability is `sigmoid(logit(p) / T)`. The order of recordings, and so every ROC curve, stays.

Shapes: N recordings, C classes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logit

from mvkt_ray.errors import DataError

_LOWEST, _HIGHEST = 0.05, 20.0
"""Bounds of the temperature; beyond them probabilities are 0 and 1, or one half."""

_MARGIN = 1e-7
"""Least distance of probabilities from 0 and 1, so that logits are finite."""


def fit_temperature(labels_NC: NDArray[Any], probabilities_NC: NDArray[Any]) -> float:
    """Return the temperature with the least binary cross-entropy over all classes together.

    The loss is convex in 1/T, so the found minimum is the only one.

    Args:
        labels_NC: 1 if a recording has the class, else 0.
        probabilities_NC: Probabilities for recordings on which the network was not trained.

    Raises:
        DataError: A probability is NaN.
    """
    positive_NC = np.asarray(labels_NC) > 0.5
    logits_NC = _logits(probabilities_NC)
    if np.isnan(logits_NC).any():
        raise DataError(
            "a probability is NaN, so no temperature can be fitted. Predict again, or leave the "
            "recording out."
        )
    signed_NC = np.where(positive_NC, logits_NC, -logits_NC)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -signed_NC / np.exp(log_temperature)).mean())

    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    found: Any = minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def _logits(probabilities_NC: NDArray[Any]) -> NDArray[np.float64]:
    clipped_NC = np.clip(np.asarray(probabilities_NC, dtype=np.float64), _MARGIN, 1 - _MARGIN)
    return logit(clipped_NC)
