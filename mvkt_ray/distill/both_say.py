"""Outputs of student and teacher for a batch: the inputs of distillation losses and plug-ins.

Shapes: B this rank's batch, C classes, S and D embedding of the student and of the teacher.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class BothSay:
    """Outputs of student and teacher for this rank's batch, float32; no gradient to the teacher."""

    student_logits_BC: Tensor
    student_embedding_BS: Tensor
    student_classifier_CS: Tensor
    """Weights of the student's linear classifier, from embedding to logits."""
    teacher_logits_BC: Tensor
    teacher_embedding_BD: Tensor
    labels_BC: Tensor
    """Multi-hot, or mixed; a row of NaN where the label is not known."""

    @property
    def is_known(self) -> Tensor:
        """Bool `[B]`: whether the label is known."""
        return ~self.labels_BC[:, 0].isnan()


Loss = Callable[[BothSay], Tensor]
"""A plug-in's loss: maps these outputs to a scalar, without the weight.

A pure function with a gradient to the student, and a mean over all rows, with or without a label.
If several workers share a batch, each computes the loss of its part, and the values are weighted by
the parts' sizes; a loss that compares recordings compares those of one part only.
"""
