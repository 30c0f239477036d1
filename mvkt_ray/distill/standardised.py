"""Columns of a batch with mean 0 and variance 1, over the joint batch of all ranks.

Shapes: B this rank's batch, J the joint batch of all ranks, X any columns.
"""

import torch
from torch import Tensor

from mvkt_ray.models.collectives import sum_over_ranks

SMALLEST_SD = 1e-3
"""Lower bound of the standard deviation. Smaller differences of probabilities and pooled
activations over a batch are mostly float16 rounding of the knowledge; and the gradient of a
standardised column grows with 1 / sd, so that this bounds it."""


def standardised(values_BX: Tensor, rows: list[int]) -> Tensor:
    """Return this rank's rows of the joint batch's columns, centred and divided by their sd.

    A column that is constant over the joint batch becomes 0, and has a finite gradient.

    Args:
        values_BX: this rank's part; gradients flow through the statistics of all ranks.
        rows: what `rows_per_rank` returned.
    """
    n_joined = sum(rows)
    centred_BX = values_BX - sum_over_ranks(values_BX.sum(dim=0)) / n_joined
    variance_X = sum_over_ranks(centred_BX.square().sum(dim=0)) / n_joined
    # Clamped before the root, whose own gradient is infinite at 0.
    return centred_BX * torch.rsqrt(variance_X.clamp_min(SMALLEST_SD**2))
