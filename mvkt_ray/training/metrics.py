"""Scores of recordings from those of their windows.

Shapes: N recordings, C classes, W windows.
"""

from torch import Tensor


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
