"""Models and their predictions, as the ROC and reliability curves take them.

Shapes: R seeds, N recordings of a split, C classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.figures.drawing import Style


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Model:
    """What one model said of every recording of a split, once per seed."""

    style: Style
    scores_RNC: NDArray[np.floating]
    """Probabilities; a seed that is missing is left out, not NaN."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Comparison:
    """Models of one condition that are compared on the same recordings."""

    condition: str
    split: str
    """`test` or `validation`, for the captions."""
    classes: tuple[str, ...]
    labels_NC: NDArray[np.floating]
    models: tuple[Model, ...]
