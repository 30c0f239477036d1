"""Ways to teach beside MKD and CLT, each with a weight of its own: their table, and what they hold.

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
"""Makes another seed of the objective's own."""


class MoreTerms(nn.Module):
    """The terms that are on: what they learn, and their values for a batch."""

    def __init__(
        self,
        *,
        hyperparameters: Hyperparameters,
        student_dim: int,
        teacher_dim: int,
        teacher_classifier_CD: Tensor | None,
        seed: int,
    ) -> None:
        """Draw what is learned from the seed alone; torch's global random state stays.

        Raises:
            ValueError: label_embedding_weight is above 0 and the teacher's classifier is not given.
            ConfigError: The loss of a plug-in cannot be used.
        """
        super().__init__()
        weights = {name: getattr(hyperparameters, f"{name}_weight") for name in _EVERY_TERM}
        self.weights = {name: float(weight) for name, weight in weights.items() if weight > 0}
        self.temperature = hyperparameters.distill_temperature
        if "feature" in self.weights:
            # A generator of its own: CLT has the same numbers with this term and without it.
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
            # Not in checkpoints: whoever goes on has the teacher as well.
            weights_CD = teacher_classifier_CD.detach().float().clone()
            self.teacher_classifier_CD: Tensor
            self.register_buffer("teacher_classifier_CD", weights_CD, persistent=False)

    def forward(self, said: BothSay) -> dict[str, Tensor]:
        """Return the unweighted terms that are on, a scalar each, by name."""
        return {name: _EVERY_TERM[name](self, said) for name in self.weights}


def _relation(terms: MoreTerms, said: BothSay) -> Tensor:
    return dist_relation(said.student_logits_BC, said.teacher_logits_BC, terms.temperature)


def _feature(terms: MoreTerms, said: BothSay) -> Tensor:
    return terms.feature(said.student_embedding_BS, said.teacher_embedding_BD)


def _label_embedding(terms: MoreTerms, said: BothSay) -> Tensor:
    return label_embedding(
        said.student_embedding_BS,
        said.student_classifier_CS,
        said.teacher_embedding_BD,
        terms.teacher_classifier_CD,
        positives(said.labels_BC, said.teacher_logits_BC),
    )


def _plugin(terms: MoreTerms, said: BothSay) -> Tensor:
    return terms.plugin(said)


MORE_TERMS: Mapping[str, Callable[[MoreTerms, BothSay], Tensor]] = MappingProxyType(
    {
        "relation": _relation,
        "feature": _feature,
        "label_embedding": _label_embedding,
    }
)
"""By the name that is in `<name>_weight` and in an epoch's losses. Each returns a scalar whose mean
over ranks is the loss of the joined batch, of every row, whether its label is known or not."""

_EVERY_TERM = MappingProxyType({**MORE_TERMS, "plugin": _plugin})


def positives(labels_BC: Tensor, teacher_logits_BC: Tensor) -> Tensor:
    """Return bool `[B, C]`: the labels, or where unknown the teacher's opinion (p > 1/2).

    A mixture has what more than half of it has.
    """
    known_B1 = ~labels_BC[:, :1].isnan()
    return torch.where(known_B1, labels_BC > 0.5, teacher_logits_BC > 0)
