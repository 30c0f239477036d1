"""A student's objective: the weighted sum of the label loss, MKD, CLT, and further losses.

    label_weight * BCE + kd_weight * MKD + clt_weight * CLT + sum of <name>_weight * <name>

(gamma, alpha and beta in the authors' code, 1, 1 and 0.8 there.) The tables of this file and of
`more_terms` are the only list of losses: adding one is one file in `losses/` and one row there.

Shapes: B this rank's batch, C classes, D embedding, N training recordings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.distill.both_say import BothSay
from mvkt_ray.distill.label_head import LabelHead
from mvkt_ray.distill.losses.clt_crd import ContrastiveBanks
from mvkt_ray.distill.losses.clt_infonce import InfoNceTerm
from mvkt_ray.distill.losses.multilabel_kd import multilabel_kd, multilabel_kd_authors
from mvkt_ray.distill.losses.softmax_kd import softmax_kd
from mvkt_ray.distill.more_terms import MoreTerms
from mvkt_ray.models.collectives import rows_per_rank, share_of_mean
from mvkt_ray.models.projection import ProjectionHead

_FINER_STREAM = 2
"""Stream of the finer task's head, combined with the objective's seed by XOR; `more_terms` has 1.
"""

KdLoss = Callable[[Tensor, Tensor, float | Tensor], Tensor]
"""(student_logits_BC, teacher_logits_BC, temperature) to a scalar."""

CltBuilder = Callable[[Hyperparameters, Tensor, torch.Generator], nn.Module]
"""(hyperparameters, train_labels_NC, generator) to a module that is called with
(student_projection_BP, teacher_projection_BP, labels_BC, example_B) and returns a scalar whose mean
over ranks is the loss of the joint batch."""


def _crd(
    hyperparameters: Hyperparameters, train_labels_NC: Tensor, generator: torch.Generator
) -> nn.Module:
    return ContrastiveBanks(
        train_labels_NC=train_labels_NC,
        projection_dim=hyperparameters.projection_dim,
        n_negatives=hyperparameters.n_negatives,
        temperature=hyperparameters.clt_temperature,
        momentum=hyperparameters.bank_momentum,
        negatives=hyperparameters.negatives,
        generator=generator,
    )


def _infonce(
    hyperparameters: Hyperparameters, train_labels_NC: Tensor, generator: torch.Generator
) -> nn.Module:
    return InfoNceTerm(
        temperature=hyperparameters.clt_temperature, negatives=hyperparameters.negatives
    )


class _WeightedKdLoss(Protocol):
    def __call__(
        self,
        student_logits_BC: Tensor,
        teacher_logits_BC: Tensor,
        temperature: float | Tensor,
        class_weight_C: Tensor | None = None,
    ) -> Tensor: ...


_OVER_CLASSES: Mapping[str, _WeightedKdLoss] = MappingProxyType(
    {"multilabel_kd": multilabel_kd, "multilabel_kd_authors": multilabel_kd_authors}
)
"""Losses that are sums over classes, which may be weighted."""

KD_LOSSES: Mapping[str, KdLoss] = MappingProxyType({**_OVER_CLASSES, "softmax_kd": softmax_kd})
"""Losses between logits, by the name that `kd_loss` has in a study."""

CLT_LOSSES: Mapping[str, CltBuilder] = MappingProxyType({"crd": _crd, "infonce": _infonce})
"""Losses between projections, by the name that `clt_loss` has in a study."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveTerms:
    """The sum and its terms, float32 scalars; means over ranks are those of the joint batch."""

    total: Tensor
    """Weighted sum of the terms; the only one with a gradient."""
    label: Tensor
    """Binary cross-entropy with the labels, unweighted."""
    kd: Tensor
    """Unweighted; 0 if kd_weight is 0."""
    clt: Tensor
    """Unweighted; 0 if clt_weight is 0."""
    relation: Tensor | None = None
    """Unweighted; None if relation_weight is 0, likewise for all following terms."""
    feature: Tensor | None = None
    label_embedding: Tensor | None = None
    plugin: Tensor | None = None
    """The loss of a plug-in."""
    finer: Tensor | None = None
    """Binary cross-entropy with the labels of a second, finer task."""


class Objective(nn.Module):
    """The objective of one student, with its parameters and buffers.

    It has trainable parameters (both projection heads with CLT; the map of the feature regression),
    which belong in the optimiser, and buffers (the banks). Its `state_dict` has the random state of
    the negatives, too, so that a resumed training has the numbers of an uninterrupted one.

    Under torch.distributed every rank passes its own part of the batch; parts may differ in size.
    """

    def __init__(
        self,
        *,
        hyperparameters: Hyperparameters,
        train_labels_NC: Tensor,
        student_dim: int,
        teacher_dim: int,
        seed: int,
        teacher_classifier_CD: Tensor | None = None,
        n_finer: int = 0,
        kd_class_weights_C: Tensor | None = None,
    ) -> None:
        """Initialise heads and banks from the seed; torch's global random state is unchanged.

        Args:
            hyperparameters: Weights, temperatures and further hyper-parameters of the trial.
            train_labels_NC: Multi-hot labels of the whole training split, in order; a row of NaN
                without a label.
            student_dim: Dimension of the student's embedding.
            teacher_dim: Dimension of the teacher's embedding.
            seed: The same on every rank.
            teacher_classifier_CD: Weights of the teacher's classifier; needed if
                label_embedding_weight is above 0.
            n_finer: Number of classes of the second task, whose labels are in further columns of a
                batch; 0: finer_weight is 0.
            kd_class_weights_C: Class weights of the distillation of logits, with mean 1; None:
                equal weights.

        Raises:
            ValueError: The teacher's classifier is needed and not given.
            KeyError: Class weights are given for a loss that is not a sum over classes.
            ConfigError: CLT is on and the training split has fewer than two recordings.
        """
        super().__init__()
        self.label_weight = hyperparameters.label_weight
        self.kd_weight = hyperparameters.kd_weight
        self.clt_weight = hyperparameters.clt_weight
        self.temperature = hyperparameters.distill_temperature
        self.kd_loss = KD_LOSSES[hyperparameters.kd_loss]
        if kd_class_weights_C is not None:
            self.kd_loss = partial(
                _OVER_CLASSES[hyperparameters.kd_loss], class_weight_C=kd_class_weights_C
            )
        self.finer_weight = hyperparameters.finer_weight
        # Exactly 1.0 if all recordings are labelled: the label loss is then torch's own mean.
        n_unknown = int(train_labels_NC[:, 0].isnan().sum())
        self.labelled_share = 1 - n_unknown / len(train_labels_NC) if n_unknown else 1.0
        if self.clt_weight > 0:
            generator = torch.Generator().manual_seed(seed)
            dim = hyperparameters.projection_dim
            self.student_head = ProjectionHead(student_dim, dim, generator=generator)
            self.teacher_head = ProjectionHead(teacher_dim, dim, generator=generator)
            self.clt_loss = CLT_LOSSES[hyperparameters.clt_loss](
                hyperparameters, train_labels_NC, generator
            )
        self.more = MoreTerms(
            hyperparameters=hyperparameters,
            student_dim=student_dim,
            teacher_dim=teacher_dim,
            teacher_classifier_CD=teacher_classifier_CD,
            seed=seed,
        )
        if self.finer_weight > 0:
            # Its own generator: the other terms draw the same numbers with and without this one.
            generator = torch.Generator().manual_seed(seed ^ _FINER_STREAM)
            self.finer_head = LabelHead(student_dim, n_finer, generator=generator)

    @property
    def term_names(self) -> tuple[str, ...]:
        """Fields of `ObjectiveTerms` that are not None, the sum first."""
        finer = ("finer",) if self.finer_weight > 0 else ()
        return ("total", "label", "kd", "clt", *self.more.weights, *finer)

    @property
    def reads_student_logits(self) -> bool:
        """Whether the sum depends on the student's logits."""
        return self.label_weight > 0 or self.kd_weight > 0 or "relation" in self.more.weights

    def forward(
        self,
        student_logits_BC: Tensor,
        student_embedding_BD: Tensor,
        labels_BC: Tensor,
        example_B: Tensor,
        teacher_logits_BC: Tensor | None = None,
        teacher_embedding_BD: Tensor | None = None,
        student_classifier_CS: Tensor | None = None,
    ) -> ObjectiveTerms:
        """Return the terms for one step; in training mode this advances banks and negatives.

        Args:
            student_logits_BC: In any precision, as all floating-point arguments.
            student_embedding_BD: The student's embedding, of its own dimension.
            labels_BC: Multi-hot; a row of NaN has no part in the label loss. If finer_weight is
                above 0, further columns have the labels of the second task.
            example_B: int64: rows of the training split.
            teacher_logits_BC: Needed if kd_weight is above 0; no gradient flows into it.
            teacher_embedding_BD: Needed if clt_weight is above 0; likewise.
            student_classifier_CS: Weights of the student's classifier; needed, as all arguments,
                for any of `MORE_TERMS`.

        Raises:
            ValueError: An argument that a term needs is None.
        """
        # Losses are float32 in any precision of the networks; see `precision`.
        with torch.autocast(student_logits_BC.device.type, enabled=False):
            student_logits_BC, labels_BC = student_logits_BC.float(), labels_BC.float()
            n_classes = student_logits_BC.shape[1]
            labels_BC, finer_BF = labels_BC[:, :n_classes], labels_BC[:, n_classes:]
            # Means over rows become shares of the joint batch's mean; terms that gather the rows of
            # all ranks themselves (CLT, `more_terms`) are those of the joint batch already.
            share = share_of_mean(rows_per_rank(len(labels_BC), labels_BC.device))
            terms = {"label": share * self._label_loss(student_logits_BC, labels_BC)}
            if self.kd_weight > 0:
                terms["kd"] = share * self.kd_loss(
                    student_logits_BC,
                    _given(teacher_logits_BC, "teacher_logits_BC", "kd_weight"),
                    self.temperature,
                )
            if self.clt_weight > 0:
                terms["clt"] = self.clt_loss(
                    self.student_head(student_embedding_BD.float()),
                    self.teacher_head(
                        _given(teacher_embedding_BD, "teacher_embedding_BD", "clt_weight")
                    ),
                    labels_BC,
                    example_B,
                )
            if self.more.weights:
                of = f"{next(iter(self.more.weights))}_weight"
                outputs = BothSay(
                    student_logits_BC=student_logits_BC,
                    student_embedding_BS=student_embedding_BD.float(),
                    student_classifier_CS=_there(
                        student_classifier_CS, "student_classifier_CS", of
                    ).float(),
                    teacher_logits_BC=_given(teacher_logits_BC, "teacher_logits_BC", of),
                    teacher_embedding_BD=_given(teacher_embedding_BD, "teacher_embedding_BD", of),
                    labels_BC=labels_BC,
                )
                terms |= self.more(outputs)
                if "plugin" in terms:
                    terms["plugin"] = share * terms["plugin"]
            if self.finer_weight > 0:
                finer_logits_BF = self.finer_head(student_embedding_BD.float())
                terms["finer"] = share * self._label_loss(finer_logits_BF, finer_BF)
            return self._summed(terms)

    def _summed(self, terms: Mapping[str, Tensor]) -> ObjectiveTerms:
        """Return the weighted sum, the only value with a gradient, and the detached terms."""
        zero = terms["label"].new_zeros(())
        weights = {
            "label": self.label_weight,
            "kd": self.kd_weight,
            "clt": self.clt_weight,
            **self.more.weights,
            "finer": self.finer_weight,
        }
        weighted = [weights[name] * terms[name] for name in terms if weights[name] > 0]
        values = {name: value.detach() for name, value in terms.items()}
        return ObjectiveTerms(
            total=reduce(torch.add, weighted) if weighted else zero,
            **{"kd": zero, "clt": zero, **values},
        )

    def _label_loss(self, student_logits_BC: Tensor, labels_BC: Tensor) -> Tensor:
        """Return the mean binary cross-entropy over labelled rows.

        The sum is divided by the average number of labelled rows of a batch, not by this batch's:
        so all labelled recordings have the same weight, and the losses of a batch's parts, on ranks
        or in accumulation, add up to the batch's.
        """
        if self.labelled_share == 1:
            return functional.binary_cross_entropy_with_logits(student_logits_BC, labels_BC)
        known_B = ~labels_BC[:, 0].isnan()
        loss_BC = functional.binary_cross_entropy_with_logits(
            student_logits_BC, labels_BC.nan_to_num(), reduction="none"
        )
        return (loss_BC.mean(dim=1) * known_B).mean() / self.labelled_share


def _given(tensor: Tensor | None, name: str, weight: str) -> Tensor:
    return _there(tensor, name, weight).detach().float()


def _there(tensor: Tensor | None, name: str, weight: str) -> Tensor:
    if tensor is None:
        raise ValueError(f"{weight} is above 0, but {name} is None. Pass {name} of this batch.")
    return tensor
