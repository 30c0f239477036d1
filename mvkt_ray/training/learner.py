"""The trained module: a network together with the objective that it minimises.

Shapes: B batch, L leads, S samples, C classes, D embedding of the teacher.
"""

import torch
from torch import Tensor, nn

from mvkt_ray.distill.objective import Objective, ObjectiveTerms
from mvkt_ray.models.network import Network


class Learner(nn.Module):
    """The forward pass of a step.

    The objective's projection heads are trained, too, so they must be in the module that
    DistributedDataParallel wraps; otherwise their gradients would not be averaged over ranks.
    """

    def __init__(self, network: Network, objective: Objective, *, bf16: bool) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.bf16 = bf16

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the loss terms of each step."""
        return self.objective.term_names

    @property
    def leaves_parameters_out(self) -> bool:
        """Whether the classifier, or its bias, has no part in the loss."""
        return not self.objective.reads_student_logits

    def forward(
        self,
        signal_BLS: Tensor,
        labels_BC: Tensor,
        example_B: Tensor,
        teacher_logits_BC: Tensor | None,
        teacher_embedding_BD: Tensor | None,
    ) -> ObjectiveTerms:
        """Run the network in its precision and the objective in float32."""
        logits_BC, embedding_BD = run_network(self.network, signal_BLS, bf16=self.bf16)
        return self.objective(
            logits_BC,
            embedding_BD,
            labels_BC,
            example_B,
            teacher_logits_BC,
            teacher_embedding_BD,
            student_classifier_CS=self.network.classifier.weight,
        )


def run_network(network: nn.Module, signal_BLS: Tensor, *, bf16: bool) -> tuple[Tensor, Tensor]:
    """Return logits `[B, C]` and embedding `[B, D]` in float32; with `bf16`, under autocast."""
    with torch.autocast(signal_BLS.device.type, dtype=torch.bfloat16, enabled=bf16):
        logits_BC, embedding_BD = network(signal_BLS)
    return logits_BC.float(), embedding_BD.float()
