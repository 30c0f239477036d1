"""Counts recordings of the shards that are in no split, by reason.

Each recording is counted once, so that splits and reasons add up to the number in the shards.
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
"""Reasons for a recording to be in no split; the first applicable one counts."""


def count_unused(
    shards: Shards,
    task: Task,
    folds: FoldsConfig,
    min_likelihood: float,
    train_rows: NDArray[np.int64],
) -> dict[str, Any]:
    """Count the recordings that are in no split, by the first applicable reason.

    Of the test split this discloses only the number of recordings without a label.

    Args:
        shards: Shards of the study.
        task: Task whose labels a recording needs to be in a split.
        folds: Folds of the splits.
        min_likelihood: Least likelihood in percent of a code that counts.
        train_rows: Rows of the training split, int64; it may contain recordings without a label or
            a fold, and may omit recordings whose label is withheld.
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
