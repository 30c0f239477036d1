"""Training on the training and validation splits together, once nothing is left to be chosen."""

from dataclasses import replace

import numpy as np

from mvkt_ray.data.splits import Split, TrainingSplits

NAME = "train+val"


def with_validation(splits: TrainingSplits) -> TrainingSplits:
    """Let the training split be both splits, in the order of the shards.

    The validation split stays: what a model scores on it is then on recordings that it has seen,
    and tells no more than that the training went well.
    """
    train, val = splits.train, splits.val
    order = np.argsort(np.concatenate([train.rows, val.rows]), kind="stable")

    def both(name: str) -> np.ndarray:
        return np.concatenate([getattr(train, name), getattr(val, name)])[order]

    joined = Split(
        name=NAME,
        rows=both("rows"),
        labels=both("labels"),
        classes=train.classes,
        shards=train.shards,
    )
    return replace(splits, train=joined)
