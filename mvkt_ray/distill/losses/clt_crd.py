"""CLT as in the authors' code: contrastive representation distillation with two memory banks.

Tian, Krishnan and Isola, "Contrastive Representation Distillation", ICLR 2020, arXiv 1910.10699;
its class-aware negatives are the disease awareness of CLT in MVKT-ECG (Qin et al. 2023). One
positive (the other model's projection of the same recording) is contrasted with K negatives from a
bank with one projection per training recording and model.

Shapes: B this rank's batch, N training recordings, K negatives, P projection.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mvkt_ray.distill.negatives import draw_negatives, negative_pools
from mvkt_ray.distill.precision import in_full_precision
from mvkt_ray.models.collectives import (
    gather_rows,
    own_part,
    rows_per_rank,
    share_of_mean,
    sum_over_ranks,
)

_EPSILON = 1e-7
"""Epsilon in the denominators of the released code."""


@in_full_precision
def clt_crd(
    student_projection_BP: Tensor,
    teacher_projection_BP: Tensor,
    example_B: Tensor,
    negatives_BK: Tensor,
    student_bank_NP: Tensor,
    teacher_bank_NP: Tensor,
    log_normalisers_2: Tensor,
    temperature: float | Tensor,
) -> Tensor:
    """Return the loss, a scalar, of student anchors against the teacher's bank, plus the reverse.

    For an anchor g and bank rows m_j, with P_j = exp(<g, m_j> / tau) / Z and c = K / N:

        -1/B sum_i [ log P_i / (P_i + c + eps)  +  sum_k log c / (P_k + c + eps) ]

    computed from log P, so that no exponential overflows at a small tau. Banks get no gradient:
    the student learns from its own side only, the other side trains the teacher's head. Each
    side is near log(K + 1) + 1 at the start, and larger if a small tau spreads the similarities.

    Args:
        student_projection_BP: of unit length.
        teacher_projection_BP: of unit length.
        example_B: row of each anchor in the banks, int64: its positive.
        negatives_BK: rows of its negatives in the banks, int64.
        student_bank_NP: may be updated in place after the call, before the backward pass.
        teacher_bank_NP: likewise.
        log_normalisers_2: log Z of the student's and of the teacher's side, `[2]`.
        temperature: tau > 0, one number.
    """
    rows_BK1 = torch.cat([example_B[:, None], negatives_BK], dim=1)
    student_BK1 = _similarities(student_projection_BP, teacher_bank_NP, rows_BK1) / temperature
    teacher_BK1 = _similarities(teacher_projection_BP, student_bank_NP, rows_BK1) / temperature
    n_examples = len(student_bank_NP)
    return _one_side(student_BK1 - log_normalisers_2[0], n_examples) + _one_side(
        teacher_BK1 - log_normalisers_2[1], n_examples
    )


@torch.no_grad()
def estimate_log_normalisers(
    student_projection_BP: Tensor,
    teacher_projection_BP: Tensor,
    example_B: Tensor,
    negatives_BK: Tensor,
    student_bank_NP: Tensor,
    teacher_bank_NP: Tensor,
    temperature: float | Tensor,
) -> Tensor:
    """Return log Z of both sides, `[2]`: the student's anchors, then the teacher's.

    Z = N times the mean of exp(<g, m_j> / tau) over all ranks; positives count, too.

    Args:
        student_projection_BP: of unit length.
        teacher_projection_BP: of unit length.
        example_B: row of each anchor in the banks, int64: its positive.
        negatives_BK: rows of its negatives in the banks, int64.
        student_bank_NP: bank for the teacher's anchors.
        teacher_bank_NP: bank for the student's anchors.
        temperature: tau > 0, one number.
    """
    rows_BK1 = torch.cat([example_B[:, None], negatives_BK], dim=1)
    logs_2BK1 = torch.stack(
        [
            _similarities(student_projection_BP, teacher_bank_NP, rows_BK1) / temperature,
            _similarities(teacher_projection_BP, student_bank_NP, rows_BK1) / temperature,
        ]
    ).double()
    # Unit vectors: no similarity is above 1 / tau, which keeps the exponentials finite.
    highest = 1.0 / temperature
    sums_2 = (logs_2BK1 - highest).exp().sum(dim=(1, 2))
    summed_3 = sum_over_ranks(torch.cat([sums_2, sums_2.new_tensor([rows_BK1.numel()])]))
    log_mean_2 = (summed_3[:2] / summed_3[2]).log() + highest
    return (log_mean_2 + math.log(len(student_bank_NP))).to(student_bank_NP.dtype)


class ContrastiveBanks(nn.Module):
    """`clt_crd` with its state: banks, normalisers and the random state of the negatives.

    Under torch.distributed every rank holds the banks of the whole training split, draws the
    negatives of the joint batch from the same random state, and updates with the projections of
    all ranks in their order, so that all of this is as if one rank had the joint batch. Train
    it with `broadcast_buffers=False`: the banks are equal already, and large.
    """

    def __init__(
        self,
        *,
        train_labels_NC: Tensor,
        projection_dim: int,
        n_negatives: int,
        temperature: float,
        momentum: float,
        negatives: str,
        generator: torch.Generator,
    ) -> None:
        """Start both banks at random points of the unit sphere.

        Args:
            train_labels_NC: multi-hot labels of the training split, in its order.
            projection_dim: P.
            n_negatives: K.
            temperature: tau > 0.
            momentum: share of the old row that an update keeps, in [0, 1).
            negatives: a rule of `mvkt_ray.distill.negatives`.
            generator: on the CPU, in the same state on all ranks; kept and advanced here.
        """
        super().__init__()
        self.n_negatives = n_negatives
        self.temperature = temperature
        self.momentum = momentum
        self.pools = negative_pools(train_labels_NC, negatives)
        self.generator = generator
        self.has_normalisers = False
        shape = (len(train_labels_NC), projection_dim)
        self.student_bank_NP: Tensor
        self.teacher_bank_NP: Tensor
        self.log_normalisers_2: Tensor
        for name in ("student_bank_NP", "teacher_bank_NP"):
            bank_NP = torch.randn(shape, generator=generator)
            self.register_buffer(name, functional.normalize(bank_NP, dim=1))
        self.register_buffer("log_normalisers_2", torch.zeros(2))

    def forward(
        self,
        student_projection_BP: Tensor,
        teacher_projection_BP: Tensor,
        labels_BC: Tensor,
        example_B: Tensor,
    ) -> Tensor:
        """Return this rank's share of the loss, and update the banks when training.

        Args:
            student_projection_BP: of unit length, in any precision.
            teacher_projection_BP: likewise.
            labels_BC: not read, as the pools hold the labels of the whole split.
            example_B: rows of the training split, int64.

        Returns:
            A scalar, whose mean over ranks is the loss of the joint batch.
        """
        rows = rows_per_rank(len(example_B), example_B.device)
        # Drawn for the joint batch on every rank, so that all generators stay in the same state.
        joined_example_J = gather_rows(example_B, rows)
        joined_negatives_JK = draw_negatives(
            self.pools, joined_example_J, self.n_negatives, self.generator
        )
        negatives_BK = own_part(joined_negatives_JK, rows).to(example_B.device)
        student_BP, teacher_BP = student_projection_BP.float(), teacher_projection_BP.float()
        banks = (self.student_bank_NP, self.teacher_bank_NP)

        if not self.has_normalisers:
            # Once, from the first batch, and constant from then on, as in the released code.
            self.log_normalisers_2.copy_(
                estimate_log_normalisers(
                    student_BP, teacher_BP, example_B, negatives_BK, *banks, self.temperature
                )
            )
            self.has_normalisers = True
        loss = clt_crd(
            student_BP,
            teacher_BP,
            example_B,
            negatives_BK,
            *banks,
            self.log_normalisers_2,
            self.temperature,
        )
        if self.training:
            self._update(
                self.student_bank_NP, joined_example_J, gather_rows(student_BP.detach(), rows)
            )
            self._update(
                self.teacher_bank_NP, joined_example_J, gather_rows(teacher_BP.detach(), rows)
            )
        return loss * share_of_mean(rows)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the state beside the buffers for a checkpoint: tensors and plain values only."""
        return {"generator": self.generator.get_state(), "has_normalisers": self.has_normalisers}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the random state of the negatives from a checkpoint."""
        self.generator.set_state(state["generator"].cpu())
        self.has_normalisers = bool(state["has_normalisers"])

    @torch.no_grad()
    def _update(self, bank_NP: Tensor, example_J: Tensor, projection_JP: Tensor) -> None:
        moved_JP = bank_NP[example_J] * self.momentum + projection_JP * (1 - self.momentum)
        bank_NP.index_copy_(0, example_J, functional.normalize(moved_JP, dim=1))


def _similarities(projection_BP: Tensor, bank_NP: Tensor, rows_BK: Tensor) -> Tensor:
    """Return <projection_i, bank[rows_ik]>, by whichever of two equal ways is faster."""
    if 2 * len(bank_NP) <= rows_BK.numel():
        # One matrix product with the whole bank; measured faster up to about B * K / 2 rows. Copied
        # for the backward pass, which runs after the bank has been updated in place.
        return (projection_BP @ bank_NP.clone().T).gather(1, rows_BK)
    return torch.einsum("bp,bkp->bk", projection_BP, functional.embedding(rows_BK, bank_NP))


def _one_side(log_p_BK1: Tensor, n_examples: int) -> Tensor:
    """Return the NCE loss of one side, a scalar, from log P, the positive first.

    With s the softplus, log(P / (P + c)) = -s(log c - log P): nothing is exponentiated that could
    overflow.
    """
    noise = (log_p_BK1.shape[1] - 1) / n_examples
    log_noise = math.log(noise + _EPSILON)
    log_d1_B = -functional.softplus(log_noise - log_p_BK1[:, 0])
    log_d0_BK = math.log(noise) - log_noise - functional.softplus(log_p_BK1[:, 1:] - log_noise)
    return -(log_d1_B + log_d0_BK.sum(dim=1)).mean()
