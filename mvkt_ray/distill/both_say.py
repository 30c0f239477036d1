"""Outputs of student and teacher for a batch: the inputs of further losses.

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
    """The weights by which its logits are linear in its embedding."""
    teacher_logits_BC: Tensor
    teacher_embedding_BD: Tensor
    labels_BC: Tensor
    """Multi-hot, or mixed; a row of NaN where the label is not known."""

    @property
    def is_known(self) -> Tensor:
        """Bool `[B]`: of whom the label is known."""
        return ~self.labels_BC[:, 0].isnan()


Loss = Callable[[BothSay], Tensor]
"""A plug-in's loss: maps these outputs to a scalar, without the weight.

A pure function with a gradient to the student. It takes every row, whether its label is known or
not, and its value is a mean over rows: of a batch that several workers share it is computed of each
one's part, and weighted by that. What compares recordings with each other compares those of a part.
"""
