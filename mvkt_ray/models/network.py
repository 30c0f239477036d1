"""What every network is: a convolutional backbone, a concatenated pooling, one linear classifier.

Shapes: B batch, L leads, S samples, T time steps after the backbone, F channels of the backbone,
D = 2 F embedding, C classes.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mvkt_ray.models.layers import as_image


class Backbone(nn.Sequential):
    """A chain of layers that knows how many channels come out; between them signals are images."""

    def __init__(self, *layers: nn.Module, n_channels: int) -> None:
        super().__init__(*layers)
        self.n_channels = n_channels

    def forward(self, input: Tensor) -> Tensor:
        """Return features_BFT of `input`, which is signal_BLS."""
        return super().forward(as_image(input)).squeeze(2)


@runtime_checkable
class TwoPaths(Protocol):
    """A residual block, the sum of two paths; `network_facts` walks both."""

    residual: nn.Sequential
    shortcut: nn.Sequential


class Network(nn.Module):
    """Logits and the pooled embedding of a signal.

    The embedding is the mean over time beside the maximum over time of every channel (Howard's
    concat pooling, as in the PTB-XL benchmark and in the authors' code), before dropout. The
    classifier is one linear layer, as in the authors' code. The benchmark has a hidden layer with
    batch normalisation there (`create_head1d`); we leave it out for every family, so that the
    embedding which is distilled is the one that the classifier reads.

    The classifier starts uniform in +-1/sqrt(D) with zero bias: first probabilities near one half.
    """

    def __init__(self, backbone: Backbone, n_classes: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding_dim = 2 * backbone.n_channels
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.embedding_dim, n_classes)
        # Its weights are as torch draws them, uniform in +-1/sqrt(D).
        nn.init.zeros_(self.classifier.bias)

    @property
    def classifier_weight(self) -> Tensor:
        """`[C, D]`, by which logits are linear in the embedding."""
        return self.classifier.weight

    def forward(self, signal_BLS: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits_BC, before the sigmoid, and embedding_BD."""
        features_BFT = self.backbone(signal_BLS)
        embedding_BD = torch.cat([features_BFT.mean(dim=-1), features_BFT.amax(dim=-1)], dim=1)
        return self.classifier(self.dropout(embedding_BD)), embedding_BD
