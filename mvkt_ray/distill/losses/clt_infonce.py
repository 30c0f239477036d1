"""CLT as InfoNCE over the batch: without memory banks, negatives are recordings of the same batch.

The symmetric contrastive loss of van den Oord et al., "Representation Learning with Contrastive
Predictive Coding", 2018, arXiv 1807.03748 (as in CLIP, arXiv 2103.00020), between the projections
that student and teacher give the same recordings. That recordings with a common disease are masked
out of the denominator is the disease awareness of MVKT-ECG (Qin et al. 2023).

Shapes: B this rank's batch, J the joint batch of all ranks, P projection, C classes.
"""

import torch
from torch import Tensor, nn

from mvkt_ray.distill.negatives import may_be_negatives
from mvkt_ray.distill.precision import in_full_precision
from mvkt_ray.models.collectives import gather_rows, rows_per_rank


@in_full_precision
def clt_infonce(
    student_projection_BP: Tensor,
    teacher_projection_BP: Tensor,
    labels_BC: Tensor,
    temperature: float | Tensor,
    negatives: str = "disjoint",
) -> Tensor:
    """Return the loss of the joint batch of all ranks, the same scalar on every rank.

    With S_ij = <student_i, teacher_j> / tau, and allowed(i) = {i} and the negatives of i:

        1/2 [ mean_i -log softmax_{j in allowed(i)} S_ii  +  the same on the transpose of S ]

    It is 0 if no recording of the batch may be a negative of another, and near log J at the start.
    Its scale, and so its weight, is not comparable with that of `clt_crd`.

    Args:
        student_projection_BP: of unit length.
        teacher_projection_BP: of unit length; its head is trained, too.
        labels_BC: multi-hot labels; a row of NaN without a label.
        temperature: tau > 0, one number.
        negatives: a rule of `mvkt_ray.distill.negatives`.
    """
    rows = rows_per_rank(len(labels_BC), labels_BC.device)
    student_JP = gather_rows(student_projection_BP, rows)
    teacher_JP = gather_rows(teacher_projection_BP, rows)
    labels_JC = gather_rows(labels_BC, rows)

    same_JJ = torch.eye(len(labels_JC), dtype=torch.bool, device=labels_JC.device)
    forbidden_JJ = ~(may_be_negatives(labels_JC, labels_JC, negatives) | same_JJ)
    similarity_JJ = student_JP @ teacher_JP.T / temperature
    # exp(-inf) = 0 takes a recording out of the sum; the diagonal, the positive, always stays.
    similarity_JJ = similarity_JJ.masked_fill(forbidden_JJ, -torch.inf)
    positive_J = similarity_JJ.diagonal()
    student_J = similarity_JJ.logsumexp(dim=1) - positive_J
    teacher_J = similarity_JJ.logsumexp(dim=0) - positive_J
    return 0.5 * (student_J.mean() + teacher_J.mean())


class InfoNceTerm(nn.Module):
    """`clt_infonce` with its settings, as the objective calls a contrastive term."""

    def __init__(self, *, temperature: float, negatives: str) -> None:
        super().__init__()
        self.temperature = temperature
        self.negatives = negatives

    def forward(
        self,
        student_projection_BP: Tensor,
        teacher_projection_BP: Tensor,
        labels_BC: Tensor,
        example_B: Tensor,
    ) -> Tensor:
        """Return the loss of the joint batch, a scalar; `example_B` is not read."""
        return clt_infonce(
            student_projection_BP,
            teacher_projection_BP,
            labels_BC,
            self.temperature,
            self.negatives,
        )
