"""Distillation losses beside MKD and CLT, each with its own weight: their table and parameters.

Shapes: B this rank's batch, N training recordings, C classes, S and D embedding of the student and
of the teacher.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.distill.both_say import BothSay
from mvkt_ray.distill.losses.dist_relation import dist_relation
from mvkt_ray.distill.losses.feature_regression import FeatureRegression
from mvkt_ray.distill.losses.label_embedding import label_embedding
from mvkt_ray.distill.plugged_loss import plugged_loss

_FEATURE_STREAM = 1
"""Stream of the feature loss; combined with the objective's seed by XOR."""


class MoreTerms(nn.Module):
    """The terms with a weight above 0: their learned parameters, and their values for a batch."""

    def __init__(
        self,
        *,
        hyperparameters: Hyperparameters,
        student_dim: int,
        teacher_dim: int,
        teacher_classifier_CD: Tensor | None,
        seed: int,
    ) -> None:
        """Initialise learned parameters from the seed; torch's global random state is unchanged.

        Args:
            hyperparameters: The trial's hyper-parameters, with the weights.
            student_dim: S.
            teacher_dim: D.
            teacher_classifier_CD: Weights of the teacher's classifier; needed by `label_embedding`.
            seed: The objective's seed.

        Raises:
            ValueError: label_embedding_weight is above 0 and the teacher's classifier is not given.
            ConfigError: The loss of a plug-in cannot be used.
        """
        super().__init__()
        weights = {name: getattr(hyperparameters, f"{name}_weight") for name in _EVERY_TERM}
        self.weights = {name: float(weight) for name, weight in weights.items() if weight > 0}
        self.temperature = hyperparameters.distill_temperature
        if "feature" in self.weights:
            # Its own generator: CLT draws the same numbers with and without this term.
            generator = torch.Generator().manual_seed(seed ^ _FEATURE_STREAM)
            self.feature = FeatureRegression(student_dim, teacher_dim, generator=generator)
        if "plugin" in self.weights:
            self.plugin = plugged_loss(hyperparameters.plugin_loss)
        if "label_embedding" in self.weights:
            if teacher_classifier_CD is None:
                raise ValueError(
                    "label_embedding_weight is above 0, but teacher_classifier_CD is None. Pass "
                    "the weights of the teacher's classifier."
                )
            # Not in checkpoints: a resumed training opens the teacher as well.
            weights_CD = teacher_classifier_CD.detach().float().clone()
            self.teacher_classifier_CD: Tensor
            self.register_buffer("teacher_classifier_CD", weights_CD, persistent=False)

    def forward(self, outputs: BothSay) -> dict[str, Tensor]:
        """Return the unweighted terms with a weight above 0 by name, each a scalar."""
        return {name: _EVERY_TERM[name](self, outputs) for name in self.weights}


def _relation(terms: MoreTerms, outputs: BothSay) -> Tensor:
    return dist_relation(outputs.student_logits_BC, outputs.teacher_logits_BC, terms.temperature)


def _feature(terms: MoreTerms, outputs: BothSay) -> Tensor:
    return terms.feature(outputs.student_embedding_BS, outputs.teacher_embedding_BD)


def _label_embedding(terms: MoreTerms, outputs: BothSay) -> Tensor:
    return label_embedding(
        outputs.student_embedding_BS,
        outputs.student_classifier_CS,
        outputs.teacher_embedding_BD,
        terms.teacher_classifier_CD,
        positives(outputs.labels_BC, outputs.teacher_logits_BC),
    )


def _plugin(terms: MoreTerms, outputs: BothSay) -> Tensor:
    return terms.plugin(outputs)


MORE_TERMS: Mapping[str, Callable[[MoreTerms, BothSay], Tensor]] = MappingProxyType(
    {
        "relation": _relation,
        "feature": _feature,
        "label_embedding": _label_embedding,
    }
)
"""Terms by the name in `<name>_weight` and in an epoch's losses. Each returns a scalar whose mean
over ranks is the loss of the joint batch; rows without a label are included."""

_EVERY_TERM = MappingProxyType({**MORE_TERMS, "plugin": _plugin})


def positives(labels_BC: Tensor, teacher_logits_BC: Tensor) -> Tensor:
    """Return bool `[B, C]`: the labels, or for unlabelled rows the teacher's prediction (p > 1/2).

    A class of a mixture is positive if more than half of the mixture has it.

    Args:
        labels_BC: Multi-hot or mixed labels; a row of NaN without a label.
        teacher_logits_BC: The teacher's logits.
    """
    known_B1 = ~labels_BC[:, :1].isnan()
    return torch.where(known_B1, labels_BC > 0.5, teacher_logits_BC > 0)
