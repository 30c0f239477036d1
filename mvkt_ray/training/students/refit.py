"""Training on the training and validation splits together, after all choices are made."""

from dataclasses import replace

import numpy as np

from mvkt_ray.data.splits import Split, TrainingSplits

NAME = "train+val"


def with_validation(splits: TrainingSplits) -> TrainingSplits:
    """Return splits whose training split is both splits joined, in the order of the shards.

    The validation split is unchanged; scores on it are then in-sample, and only show that the
    training has worked.
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
