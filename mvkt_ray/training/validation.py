"""Predictions on the validation split, over all ranks, and their scores.

Shapes: N recordings of the split, C classes, W windows of a batch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mvkt_ray.data.loader import Batch
from mvkt_ray.statistics.scores import auroc_per_class
from mvkt_ray.training.learner import run_network
from mvkt_ray.training.ranks import Ranks


class Windows(Protocol):
    """A source of evaluation windows, such as `EvalLoader`: each of this rank's, once."""

    def batches(self) -> Iterable[Batch]:
        """Return the windows; `example_B` is the recording that each is from."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """Probabilities of every recording of a split, the same on every rank."""

    probabilities_NC: NDArray[np.float32]
    """Maximum over the windows of the recording."""
    labels_NC: NDArray[np.float32]

    @property
    def are_finite(self) -> bool:
        """Whether no prediction is NaN or infinite."""
        return bool(np.isfinite(self.probabilities_NC).all())

    def per_class_auroc(self, classes: Sequence[str]) -> dict[str, float]:
        """Return the AUROC by class, for classes that have one."""
        auroc_C = auroc_per_class(self.labels_NC, self.probabilities_NC)
        return {
            name: float(auroc)
            for name, auroc in zip(classes, auroc_C, strict=True)
            if not np.isnan(auroc)
        }

    def label_loss(self) -> float:
        """Return the binary cross-entropy of the recordings' probabilities."""
        loss = functional.binary_cross_entropy(
            torch.from_numpy(self.probabilities_NC).clamp(0, 1), torch.from_numpy(self.labels_NC)
        )
        return float(loss)


@torch.no_grad()
def predict(
    network: nn.Module,
    windows: Windows,
    labels_NC: NDArray[np.float32],
    *,
    device: torch.device,
    bf16: bool,
    ranks: Ranks,
) -> Predictions:
    """Run the network, in evaluation mode, over all windows of a split.

    Args:
        network: The network; its mode is restored.
        windows: This rank's windows, on the device; each recording belongs to one rank.
        labels_NC: Labels of the whole split.
        device: Device of the network.
        bf16: Whether the network runs under bf16 autocast.
        ranks: The process group, over which predictions are gathered.
    """
    was_training = network.training
    network.eval()
    scores_NC = torch.full(labels_NC.shape, -torch.inf, device=device)
    for batch in windows.batches():
        logits_WC, _ = run_network(network, batch.signal_BLS, bf16=bf16)
        raise_to_windows(scores_NC, torch.sigmoid(logits_WC), batch.example_B)
    network.train(was_training)
    return Predictions(probabilities_NC=_join(scores_NC, ranks).numpy(), labels_NC=labels_NC)


def raise_to_windows(scores_NC: Tensor, window_scores_WC: Tensor, example_W: Tensor) -> None:
    """Update the scores of recordings, in place, to the maximum over further windows.

    The maximum over windows is the aggregation of the PTB-XL benchmark (Strodthoff et al. 2020,
    arXiv 2004.13701): an episode may be anywhere in the recording. Begin with minus infinity.

    Args:
        scores_NC: Scores of the recordings so far.
        window_scores_WC: Scores of some windows; a NaN makes the recording's score NaN.
        example_W: int64: recording of each window.
    """
    index_WC = example_W[:, None].expand_as(window_scores_WC)
    scores_NC.scatter_reduce_(0, index_WC, window_scores_WC, "amax", include_self=True)


def _join(scores_NC: Tensor, ranks: Ranks) -> Tensor:
    """Return float32 `[N, C]` with the rows of all ranks."""
    seen_R = torch.nonzero(scores_NC[:, 0] != -torch.inf)[:, 0]
    joined_NC = torch.full(scores_NC.shape, torch.nan)
    joined_NC[ranks.gather(seen_R)] = ranks.gather(scores_NC[seen_R])
    return joined_NC
