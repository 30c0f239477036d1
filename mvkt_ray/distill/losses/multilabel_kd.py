"""MKD, distillation of many independent yes-or-no diagnoses.

Qin et al., "MVKT-ECG: Efficient single-lead ECG classification for multi-label arrhythmia by
multi-view knowledge transferring", Computers in Biology and Medicine 168 (2023) 107503. Yang et
al., "Multi-Label Knowledge Distillation", ICCV 2023 (arXiv 2308.06453) have the same divergence
without a temperature, summed over classes: their MLD = C * `multilabel_kd` at temperature 1.

Shapes: B batch, C classes.
"""

import torch
from torch import Tensor
from torch.nn import functional

from mvkt_ray.distill.precision import in_full_precision

_EPSILON = 1e-8
"""Inside the logarithms of the released code."""


@in_full_precision
def multilabel_kd(
    student_logits_BC: Tensor,
    teacher_logits_BC: Tensor,
    temperature: float | Tensor,
    class_weight_C: Tensor | None = None,
) -> Tensor:
    """Return a scalar: T squared times the mean of KL(teacher || student) over B and C.

    With p = sigmoid(z / T), each class is a Bernoulli distribution of its own:

        T^2 / (B C) * sum [ p_t log(p_t / p_s) + (1 - p_t) log((1 - p_t) / (1 - p_s)) ]

    T inside the sigmoid softens, T^2 outside keeps the size of the gradient (Hinton et al. 2015,
    arXiv 1503.02531). The released code has no such temperature; at T = 1 both agree up to C / 2,
    see `multilabel_kd_authors`.

    Args:
        student_logits_BC: student logits, not softened.
        teacher_logits_BC: teacher logits, not softened; no gradient flows into them.
        temperature: T > 0, one number.
        class_weight_C: factor of each class; None: 1.
    """
    student_BC = student_logits_BC / temperature
    teacher_BC = teacher_logits_BC.detach() / temperature
    # Both parts are differences of log-sigmoids: exact where a probability is 0 or 1 in float32.
    divergence_BC = torch.sigmoid(teacher_BC) * (
        functional.logsigmoid(teacher_BC) - functional.logsigmoid(student_BC)
    )
    divergence_BC = divergence_BC + torch.sigmoid(-teacher_BC) * (
        functional.logsigmoid(-teacher_BC) - functional.logsigmoid(-student_BC)
    )
    if class_weight_C is not None:
        divergence_BC = divergence_BC * class_weight_C
    return temperature**2 * divergence_BC.mean()


@in_full_precision
def multilabel_kd_authors(
    student_logits_BC: Tensor,
    teacher_logits_BC: Tensor,
    temperature: float | Tensor,
    class_weight_C: Tensor | None = None,
) -> Tensor:
    """Return a scalar, the value of the authors' released code, for parity with it.

    The two probabilities of each class are divided by T after the sigmoid, which only divides the
    loss by T; the divergence is averaged over recordings and over the two outcomes, and summed
    over classes: at T = 1 it is C / 2 times `multilabel_kd`, up to the 1e-8 in its logarithms.

    Args:
        student_logits_BC: student logits, not softened.
        teacher_logits_BC: teacher logits, not softened; no gradient flows into them.
        temperature: T > 0, one number, a divisor of the loss.
        class_weight_C: factor of each class; None: 1.
    """
    student_BC2 = _two_outcomes(student_logits_BC) / temperature
    teacher_BC2 = _two_outcomes(teacher_logits_BC.detach()) / temperature + _EPSILON
    divergence_BC2 = teacher_BC2 * (teacher_BC2.log() - (student_BC2 + _EPSILON).log())
    divergence_C = divergence_BC2.mean(dim=(0, 2))
    if class_weight_C is not None:
        divergence_C = divergence_C * class_weight_C
    return divergence_C.sum()


def _two_outcomes(logits_BC: Tensor) -> Tensor:
    return torch.stack([torch.sigmoid(logits_BC), torch.sigmoid(-logits_BC)], dim=-1)
