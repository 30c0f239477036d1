"""A second linear classifier on the student's embedding, for labels that are not evaluated.

Shapes: B batch, S embedding of the student, F classes.
"""

import torch
from torch import Tensor, nn


class LabelHead(nn.Module):
    """Logits of further classes; trained with the student, and discarded afterwards.

    An auxiliary task (Caruana, Machine Learning 1997): distinctions that the embedding must make
    for it, such as the location of an infarction, may improve the coarser classes.
    """

    def __init__(self, student_dim: int, n_classes: int, *, generator: torch.Generator) -> None:
        """Initialise the weights uniformly in +-1/sqrt(S), as a network's classifier; bias zero.

        Args:
            student_dim: S.
            n_classes: F, at least 1.
            generator: The only source of random numbers.

        Raises:
            ValueError: There is no class to learn.
        """
        super().__init__()
        if n_classes < 1:
            raise ValueError("finer_weight is above 0, but there are no finer classes.")
        bound = student_dim**-0.5
        drawn_FS = torch.rand(n_classes, student_dim, generator=generator)
        self.weight = nn.Parameter(bound * (2 * drawn_FS - 1))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, embedding_BS: Tensor) -> Tensor:
        """Return logits_BF."""
        return nn.functional.linear(embedding_BS, self.weight, self.bias)
