"""The weights of the PhysioNet/CinC Challenge 2021, for `decisions.challenge_metric`.

Reads: `challenge_weights.csv` beside this file: the numbers of weights.csv of the official
evaluation (github.com/physionetchallenges/evaluation-2021, BSD 2-Clause, (c) 2020, 2021
PhysioNet/Computing in Cardiology Challenges), by the Challenge's abbreviations of its 26 classes.
"""

import csv
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.errors import DataError

NORMAL = "NSR"
"""Sinus rhythm: the class that the metric takes an inactive model to answer."""


def cinc26_weights(classes: Sequence[str]) -> NDArray[np.float64]:
    """Return what deciding the column's class is worth where the row's is true, `[C, C]`.

    Args:
        classes: all 26 of the task `cinc26`, in the order of the logits.

    Raises:
        DataError: these are not the classes that the Challenge scores.
    """
    text = (files("mvkt_ray.statistics") / "challenge_weights.csv").read_text("utf-8")
    (_, *columns), *rows = csv.reader(text.splitlines())
    if sorted(classes) != sorted(columns):
        odd = sorted(set(classes).symmetric_difference(columns)) or ["one of them twice"]
        raise DataError(
            f"the Challenge metric is not defined for the classes {list(classes)}: they differ "
            f"from its 26 in {odd}. Use the task cinc26, or another metric."
        )
    weights = np.array([row[1:] for row in rows], dtype=np.float64)
    indices = [columns.index(name) for name in classes]
    return weights[np.ix_(indices, indices)]
