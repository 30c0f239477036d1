"""Several networks that speak as one: the mean of their logits beside all of their embeddings.

Shapes: B batch, L leads, S samples, C classes, D embedding of the ensemble, the sum of its
members'.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mvkt_ray.models.network import Network


def one_of(members: Sequence[Network]) -> "Network | Ensemble":
    """Return networks as one: the only one there is, or an ensemble of them."""
    return Ensemble(members) if len(members) > 1 else members[0]


class Ensemble(nn.Module):
    """Networks of the same leads and classes, called as one of them is.

    Logits are averaged, not probabilities. Every classifier is linear, so the mean of the logits is
    linear in the embeddings side by side: as of a single network, one embedding and one linear
    layer tell everything, the mean over the crops of a recording is one opinion whatever a
    student's temperature is, and a temperature divides the logits of all members alike.
    (Lakshminarayanan et al., NeurIPS 2017, whose members differ by their seeds as ours do, average
    probabilities.)
    """

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.embedding_dim = sum(member.embedding_dim for member in members)

    @property
    def classifier_weight(self) -> Tensor:
        """Weights `[C, D]`, by which the mean logits are linear in the embeddings side by side."""
        weights = [cast(Network, member).classifier_weight for member in self.members]
        return torch.cat(weights, dim=1) / len(weights)

    def forward(self, signal_BLS: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits_BC, float32, and embedding_BD."""
        said = [member(signal_BLS) for member in self.members]
        # Under autocast logits are bf16, of which a mean would be rounded once more.
        logits_BC = torch.stack([logits_BC.float() for logits_BC, _ in said]).mean(dim=0)
        return logits_BC, torch.cat([embedding_BD for _, embedding_BD in said], dim=1)
