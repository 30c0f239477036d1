"""Operating points: thresholds chosen on validation, and their sensitivity and specificity.

Shapes: N recordings, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.facts.split_scores import MIN_POSITIVES
from mvkt_ray.json_values import finite
from mvkt_ray.statistics.decisions import (
    decide,
    f1_thresholds,
    sensitivity_thresholds,
    specificity_thresholds,
)
from mvkt_ray.statistics.temperature import fit_temperature

LEAST = 0.90
"""Least sensitivity, or specificity, of a threshold on validation."""

F1, SENSITIVITY, SPECIFICITY = "f1", f"sensitivity_{LEAST:.2f}", f"specificity_{LEAST:.2f}"
"""Names of thresholds in `model.json`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingPoints:
    """Thresholds of every class by name, and the temperature of calibration."""

    thresholds: Mapping[str, tuple[float | None, ...]]
    """Thresholds by name, one per class; None for too few recordings with or without the class."""
    temperature: float

    @classmethod
    def none(cls, n_classes: int) -> "OperatingPoints":
        """Return no thresholds, for a model without held-out recordings to choose on."""
        nothing = (None,) * n_classes
        return cls(
            thresholds=dict.fromkeys((F1, SENSITIVITY, SPECIFICITY), nothing), temperature=1.0
        )

    @classmethod
    def chosen_on(
        cls, labels_NC: NDArray[Any], probabilities_NC: NDArray[Any]
    ) -> "OperatingPoints":
        """Choose thresholds and temperature on recordings that the model was not trained on."""
        n_positive_C = (np.asarray(labels_NC) > 0.5).sum(axis=0)
        fewest_C = np.minimum(n_positive_C, len(labels_NC) - n_positive_C)

        def judged(thresholds_C: NDArray[np.float64]) -> tuple[float | None, ...]:
            return tuple(
                finite(threshold) if n >= MIN_POSITIVES else None
                for threshold, n in zip(thresholds_C, fewest_C, strict=True)
            )

        return cls(
            thresholds={
                F1: judged(f1_thresholds(labels_NC, probabilities_NC)),
                SENSITIVITY: judged(sensitivity_thresholds(labels_NC, probabilities_NC, LEAST)),
                SPECIFICITY: judged(specificity_thresholds(labels_NC, probabilities_NC, LEAST)),
            },
            temperature=fit_temperature(labels_NC, probabilities_NC),
        )

    def performance(
        self, name: str, labels_NC: NDArray[Any], probabilities_NC: NDArray[Any]
    ) -> tuple[tuple[float | None, float | None], ...]:
        """Return sensitivity and specificity of every class at the thresholds of a name."""
        chosen = self.thresholds[name]
        threshold_C = np.array([np.nan if t is None else t for t in chosen])
        positive_NC = np.asarray(labels_NC) > 0.5
        fired_NC = decide(probabilities_NC, threshold_C)
        found: list[tuple[float | None, float | None]] = []
        for threshold, positive_N, fired_N in zip(chosen, positive_NC.T, fired_NC.T, strict=True):
            if threshold is None:
                found.append((None, None))
                continue
            found.append((_share(fired_N, positive_N), _share(~fired_N, ~positive_N)))
        return tuple(found)


def _share(is_right_N: NDArray[np.bool_], of_N: NDArray[np.bool_]) -> float | None:
    return float(is_right_N[of_N].mean()) if of_N.any() else None
