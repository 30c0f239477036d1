"""Mixup: convex combinations of pairs of recordings, and of their labels and teacher outputs.

Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv
1710.09412. As in their code a batch has one share and one permutation of partners.

Shapes: B this rank's batch, J the joint batch of all ranks, C classes, X anything.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mvkt_ray.distill.precision import in_full_precision
from mvkt_ray.models.collectives import gather_rows, own_part


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """Pairs and share of the mixtures of a batch; the same on every rank."""

    share: float
    """Weight of a recording itself, in [0, 1]; its partner has the rest."""
    partner_J: Tensor
    """int64, on the device: a permutation of the joint batch."""
    rows: list[int]
    """Number of rows on every rank."""

    @classmethod
    def draw(
        cls, generator: np.random.Generator, alpha: float, known_B: Tensor, rows: list[int]
    ) -> "Mixture":
        """Draw the share from Beta(alpha, alpha), and the partners.

        Labelled recordings are paired with labelled ones, and unlabelled with unlabelled ones:
        otherwise most mixtures of a training with few labels would have none.

        Args:
            generator: In the same state on all ranks; advanced independently of their number.
            alpha: > 0; a smaller value gives mixtures nearer to one of the two.
            known_B: bool, on the device: whether a recording is labelled.
            rows: Number of rows on every rank, as `rows_per_rank`.
        """
        share = float(generator.beta(alpha, alpha))
        # From numpy's generator, whose state does not depend on the device or the number of ranks.
        keys_J = torch.from_numpy(generator.random(sum(rows))).to(known_B.device, non_blocking=True)
        # Labelled recordings before the others: once in the order of the batch, once shuffled.
        unknown_J = gather_rows((~known_B).double(), rows)
        in_order_J = torch.argsort(unknown_J, stable=True)
        in_any_order_J = torch.argsort(unknown_J + keys_J, stable=True)
        partner_J = torch.empty_like(in_order_J)
        partner_J[in_order_J] = in_any_order_J
        return cls(share=share, partner_J=partner_J, rows=rows)

    def partners(self, values_BX: Tensor) -> Tensor:
        """Return `[B, X]`: the rows of this rank's partners, which may be on other ranks."""
        return own_part(gather_rows(values_BX, self.rows)[self.partner_J], self.rows)

    def of(self, values_BX: Tensor) -> Tensor:
        """Return `[B, X]`: share * own + (1 - share) * partner; for signals, labels, embeddings."""
        return torch.lerp(self.partners(values_BX), values_BX, self.share)

    def of_logits(self, logits_BC: Tensor) -> Tensor:
        """Return `[B, C]`: the logits of the mixed probabilities; for the teacher's logits."""
        return mixed_logits(logits_BC, self.partners(logits_BC), self.share)


@in_full_precision
def mixed_logits(logits_BC: Tensor, partner_BC: Tensor, share: float) -> Tensor:
    """Return z `[B, C]` with sigmoid(z) = share * sigmoid(own) + (1 - share) * sigmoid(partner).

    Computed from log-probabilities, so that it is exact if a probability is 0 or 1 in float32.
    """
    # log(share * p + (1 - share) * q) by logaddexp, for the class and for its absence.
    own, other = (math.log(part) if part > 0 else -math.inf for part in (share, 1 - share))

    def log_probability(sign: int) -> Tensor:
        return torch.logaddexp(
            functional.logsigmoid(sign * logits_BC) + own,
            functional.logsigmoid(sign * partner_BC) + other,
        )

    return log_probability(1) - log_probability(-1)
