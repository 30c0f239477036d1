"""Traditional distillation, the baseline that MKD replaces.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv 1503.02531.
Over multi-label logits its softmax makes diagnoses compete that may well be present together.

Shapes: B batch, C classes.
"""

from torch import Tensor
from torch.nn import functional

from mvkt_ray.distill.precision import in_full_precision


@in_full_precision
def softmax_kd(
    student_logits_BC: Tensor, teacher_logits_BC: Tensor, temperature: float | Tensor
) -> Tensor:
    """Return T^2 * KL(softmax(z_t / T) || softmax(z_s / T)), a scalar: sum over C, mean over B.

    Args:
        student_logits_BC: student logits, not softened.
        teacher_logits_BC: teacher logits, not softened; no gradient flows into them.
        temperature: T > 0, one number.
    """
    log_student_BC = functional.log_softmax(student_logits_BC / temperature, dim=1)
    log_teacher_BC = functional.log_softmax(teacher_logits_BC.detach() / temperature, dim=1)
    divergence_BC = log_teacher_BC.exp() * (log_teacher_BC - log_student_BC)
    return temperature**2 * divergence_BC.sum(dim=1).mean()
