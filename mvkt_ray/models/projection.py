"""The contrastive head: from an embedding to a point on the unit sphere.

Shapes: B batch, D embedding, P projection.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ProjectionHead(nn.Module):
    """One linear layer and an L2 norm (`Embed` of CRD, Tian et al. 2020, arXiv 1910.10699).

    Weights and bias are uniform in +-1/sqrt(embedding_dim), torch's default for a linear layer,
    drawn from `generator` alone: a head is the same on every rank and leaves the global random
    state as it was.
    """

    def __init__(
        self, embedding_dim: int, projection_dim: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        # Not an nn.Linear, whose constructor would draw from the global random state.
        self.weight = nn.Parameter(torch.empty(projection_dim, embedding_dim))
        self.bias = nn.Parameter(torch.empty(projection_dim))
        bound = embedding_dim**-0.5
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        nn.init.uniform_(self.bias, -bound, bound, generator=generator)

    def forward(self, embedding_BD: Tensor) -> Tensor:
        """Return projection_BP, of unit length."""
        return functional.normalize(functional.linear(embedding_BD, self.weight, self.bias), dim=1)
