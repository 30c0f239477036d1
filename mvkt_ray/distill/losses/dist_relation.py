"""DIST for multi-label diagnoses: correlation of student and teacher over a batch's recordings.

Huang, You, Wang, Qian and Xu, "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022,
arXiv 2205.10536. A correlation is a weaker constraint than a divergence: a student that is less
confident than its teacher, but linearly related, has no loss. ROC areas depend on the order only.

Shapes: B this rank's batch, J the joint batch of all ranks, C classes.
"""

import torch
from torch import Tensor

from mvkt_ray.distill.precision import in_full_precision
from mvkt_ray.distill.standardised import standardised
from mvkt_ray.models.collectives import rows_per_rank, share_of_mean


@in_full_precision
def dist_relation(
    student_logits_BC: Tensor, teacher_logits_BC: Tensor, temperature: float | Tensor
) -> Tensor:
    """Return this rank's share, a scalar in 0 to 2, of the joint batch's intra-class relation.

    With p = sigmoid(z / T), and the correlation of Pearson over the joint batch:

        1/C sum_c [ 1 - corr_j(p_s[j, c], p_t[j, c]) ]

    The mean over ranks is the loss of the joint batch. Three departures:

    - Their inter-class relation, a correlation over the classes of one recording, is left out.
      Their classes compete in a softmax, and their order within a recording is the diagnosis. Here
      every class is binary: the correlation of its two outcomes is a sign, and a correlation across
      a few classes would mostly be that of their prevalences.
    - Their code multiplies by T^2, which compensates the effect of softening on the gradient of a
      divergence. A correlation does not shrink with T.
    - A class with constant teacher probabilities in the batch has loss 0; one with constant student
      probabilities has loss 1 and a finite gradient.

    Args:
        student_logits_BC: student logits, not softened.
        teacher_logits_BC: teacher logits, not softened; no gradient flows into them.
        temperature: T > 0, one number.
    """
    rows = rows_per_rank(len(student_logits_BC), student_logits_BC.device)
    student_BC = standardised(torch.sigmoid(student_logits_BC / temperature), rows)
    teacher_BC = standardised(torch.sigmoid(teacher_logits_BC.detach() / temperature), rows)
    # The mean of the teacher's square is the 1 of the formula, but 0 for a constant class.
    return share_of_mean(rows) * (teacher_BC * (teacher_BC - student_BC)).mean()
