"""DIST, for diagnoses: the student orders the recordings of a batch as the teacher does.

Huang, You, Wang, Qian and Xu, "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022,
arXiv 2205.10536. A correlation asks for less than a divergence: a student that is less sure than
its teacher, but in the same order, is not corrected. Areas under ROC curves ask for that order.

Shapes: B this rank's batch, J the joined batch of all ranks, C classes.
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
    """Return this rank's share, a scalar in 0 to 2, of the joined batch's intra-class relation.

    With p = sigmoid(z / T), and the correlation of Pearson over the joined batch:

        1/C sum_c [ 1 - corr_j(p_s[j, c], p_t[j, c]) ]

    The mean over ranks is the loss of the joined batch. Three departures:

    - Their inter-class relation, a correlation over the classes of one recording, is left
      out. Their classes compete in a softmax, and their order within a recording is the diagnosis.
      Here every class is one against the rest: within a class there are two outcomes, whose
      correlation is a sign; and across a few classes it would mostly be that of their prevalences.
    - Their code multiplies by T^2, which undoes what softening does to the gradient of a
      divergence. A correlation does not shrink with T, so there is nothing to undo.
    - A class that the teacher gives one and the same probability throughout the batch costs
      nothing; one of which the student does so costs 1, and has a finite gradient.

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
