"""Split of every recording of the shards, or the reason that it is in none.

Each recording is counted once, so that the numbers add up to those of the shards.
"""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.data.shard_columns import NO_FOLD
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.tasks import Task

UNUSED = ("without_fold", "in_other_folds", "without_label", "without_lead")
"""Reasons for which a recording is in no split, the first one that holds first."""


def count_unused(
    shards: Shards,
    task: Task,
    folds: FoldsConfig,
    min_likelihood: float,
    train_rows: NDArray[np.int64],
) -> dict[str, Any]:
    """Count the recordings that are in no split, by the first reason that holds.

    Of the test split this tells a number of recordings without a label, and nothing of the others.

    Args:
        shards: That all recordings are in.
        task: By whose labels recordings are in a split.
        folds: Of the splits.
        min_likelihood: Codes below it do not count.
        train_rows: Of the training split, which may hold recordings without a label or a fold, and
            may lack those whose label is not to be known.
    """
    fold_of, has_leads = shards.folds(), shards.has_all_leads()
    in_split = np.isin(fold_of, [*folds.train, *folds.val, *folds.test])
    has_label = shards.labels(task, min_likelihood).any(axis=1)
    used = has_label & has_leads & np.isin(fold_of, [*folds.val, *folds.test])
    used[train_rows] = True
    outside = Counter(int(fold) for fold in fold_of[~in_split & ~used])
    lacks_lead = has_label & ~has_leads
    n_without_fold = outside.pop(NO_FOLD, 0)
    return {
        "n_without_fold": n_without_fold,
        "n_in_other_folds": sum(outside.values()),
        "other_folds": tuple(sorted(outside)),
        "n_without_label": int((in_split & ~used & ~lacks_lead).sum()),
        "n_without_lead": int((in_split & ~used & lacks_lead).sum()),
    }
