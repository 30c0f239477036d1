"""What a model is judged by: areas under the ROC curve, over recordings and not over windows.

Shapes: N recordings, C classes, W windows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor


def auroc_per_class(labels_NC: NDArray[Any], scores_NC: NDArray[Any]) -> NDArray[np.float64]:
    """Return the area under the ROC curve of every class, float64 `[n_classes]`.

    The area is the chance that a recording with the class scores above one without it, ties
    counting one half (Mann-Whitney U from mid-ranks): what scikit-learn's `roc_auc_score` returns.

    Args:
        labels_NC: 1 where a recording has the class, else 0.
        scores_NC: higher means more likely.

    Returns:
        NaN for a class that no recording has, or every one, and where a score is NaN.
    """
    positive_NC = np.asarray(labels_NC) > 0.5
    n_positive_C = positive_NC.sum(axis=0, dtype=np.int64)
    n_pairs_C = n_positive_C * (len(positive_NC) - n_positive_C)
    if len(positive_NC) == 0:
        return np.full(positive_NC.shape[1], np.nan)
    ranks_NC = rankdata(scores_NC, axis=0)
    wins_C = (ranks_NC * positive_NC).sum(axis=0) - n_positive_C * (n_positive_C + 1) / 2
    return np.divide(wins_C, n_pairs_C, out=np.full(len(wins_C), np.nan), where=n_pairs_C > 0)


def raise_to_windows(scores_NC: Tensor, window_scores_WC: Tensor, example_W: Tensor) -> None:
    """Raise the scores of recordings, in place, to the highest among these windows of theirs.

    The maximum over windows is what the PTB-XL benchmark aggregates by (Strodthoff et al. 2020,
    arXiv 2004.13701): an episode counts wherever in the recording it is. Start from minus infinity.

    Args:
        scores_NC: scores of the recordings so far.
        window_scores_WC: scores of some windows; a NaN stays one in the recording.
        example_W: the recording of each window, int64.
    """
    index_WC = example_W[:, None].expand_as(window_scores_WC)
    scores_NC.scatter_reduce_(0, index_WC, window_scores_WC, "amax", include_self=True)
