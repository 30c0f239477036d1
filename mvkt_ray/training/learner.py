"""The module that is trained: a network and the objective that it minimises, in one.

Shapes: B batch, L leads, S samples, C classes, D embedding of the teacher.
"""

import torch
from torch import Tensor, nn

from mvkt_ray.distill.objective import Objective, ObjectiveTerms
from mvkt_ray.models.network import Network


class Learner(nn.Module):
    """One step's forward pass.

    The projection heads of the objective are trained, too. So they must be inside the one module
    that DistributedDataParallel wraps, or their gradients would not be averaged over ranks.
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
    """Return logits and embedding in float32, computed under bf16 autocast if asked."""
    with torch.autocast(signal_BLS.device.type, dtype=torch.bfloat16, enabled=bf16):
        logits_BC, embedding_BD = network(signal_BLS)
    return logits_BC.float(), embedding_BD.float()
