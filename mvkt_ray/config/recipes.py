"""Frozen dataclasses for the training of the teacher and the students."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from mvkt_ray.config.checks import (
    Section,
    require,
    require_above_zero,
    require_not_negative,
)
from mvkt_ray.phrasing import listing

MORE_TEACHING_WEIGHTS = ("relation_weight", "feature_weight", "label_embedding_weight")
"""Weights of the distillation losses beyond those of MVKT-ECG; 0 in plain distillation."""
PLUGIN_WEIGHT = "plugin_weight"
"""The weight of a plug-in's loss; likewise."""
TEACHING_WEIGHTS = ("kd_weight", "clt_weight", *MORE_TEACHING_WEIGHTS, PLUGIN_WEIGHT)
"""Weights of the terms that need a teacher; a student alone has 0 in each."""
NO_PLUGIN = "none"
"""The value of `plugin_loss` for a student without a plug-in's loss."""


def taught_by(only: str | None) -> dict[str, float]:
    """Return zero weights for all distillation losses except one, or for all of them."""
    return {name: 0.0 for name in TEACHING_WEIGHTS if name != only}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameters(Section):
    """The hyper-parameters of one student, all of which a search space may set."""

    student: str = "xresnet1d18"
    """Name in the table of networks."""
    student_width: int = 32
    """Channels of the first stage, the others in proportion. Only for networks with a variable
    width (`sepconv1d` and plug-ins); trials of other networks lack this hyper-parameter."""
    student_depth: int = 2
    """Blocks with a shortcut in each stage, from 0. Only for networks with a variable depth."""
    dropout: float = 0.0
    """Probability of dropping an embedding entry before the classifier, in [0, 1)."""
    epochs: int = 0
    """Epochs of the student's training, at most `student.epochs`; 0: `student.epochs`."""
    batch_size: int = 128
    """Recordings per optimiser step, over all workers of the trial."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    schedule: Literal["one_cycle", "steps", "constant"] = "one_cycle"
    """`steps` is the authors' schedule: after `warmup_epochs` the rate falls twice; the factor and
    the epochs are in `training/optimizers.py`."""
    warmup_epochs: int = 0
    warmup_factor: float = 0.1
    """With `steps`: the rate of warm-up epoch e (from 0) is factor * (e + 1) * learning_rate."""
    learning_rate: float = 5e-3
    """The highest rate of `one_cycle`; the base rate otherwise."""
    weight_decay: float = 1e-2
    label_weight: float = 1.0
    kd_loss: Literal["multilabel_kd", "softmax_kd", "multilabel_kd_authors"] = "multilabel_kd"
    kd_weight: float = 1.0
    kd_class_weights: Literal["even", "auto"] = "even"
    """Weights of the classes in MKD. `auto`: in proportion to 2 AUROC - 1 of the condition's
    student alone on the validation split; see `search/choosing/class_weights.py`."""
    distill_temperature: float = 2.0
    """Divisor of the logits of student and teacher, > 0."""
    clt_loss: Literal["crd", "infonce"] = "crd"
    clt_weight: float = 0.02
    """CRD sums over the negatives and starts near 16, InfoNCE starts near the logarithm of the
    batch size: their weights are not comparable."""
    clt_temperature: float = 0.07
    """Divisor of the cosine similarities, > 0."""
    negatives: Literal["disjoint", "first_label", "any", "authors"] = "disjoint"
    """Which recordings may be negatives of another one; see `distill/negatives.py`."""
    n_negatives: int = 1024
    bank_momentum: float = 0.5
    projection_dim: int = 128
    relation_weight: float = 0.0
    """Weight of DIST, the correlation of student and teacher over the recordings of a batch within
    each class; uses `distill_temperature`, too."""
    feature_weight: float = 0.0
    """Weight of the regression of the teacher's embedding on the student's."""
    label_embedding_weight: float = 0.0
    """Weight of L2D, on distances between recordings within a class, and between the classes of a
    recording."""
    plugin_loss: str = NO_PLUGIN
    """Name of a plug-in's loss; `mvkt plugins` lists them."""
    plugin_weight: float = 0.0
    """Weight of that loss. At 0 the loss is not computed, and its package not imported."""
    finer_weight: float = 0.0
    """Weight of an auxiliary loss with the labels of `data.finer_task`: an extra linear layer on
    the student's embedding, discarded after training. Needs no teacher."""
    mixup: float = 0.0
    """Above 0: mixes pairs of recordings of a batch with a share from Beta(mixup, mixup)."""
    ema_decay: float = 0.0
    """Above 0: the student that is validated and stored is the exponential moving average of the
    trained weights, with this decay per step; 0.99 averages over about 100 steps."""

    def __post_init__(self) -> None:
        require_above_zero(
            self,
            "student_width",
            "batch_size",
            "learning_rate",
            "distill_temperature",
            "clt_temperature",
            "n_negatives",
            "projection_dim",
            "warmup_factor",
        )
        require_not_negative(
            self,
            "student_depth",
            "epochs",
            "weight_decay",
            "label_weight",
            *TEACHING_WEIGHTS,
            "finer_weight",
            "warmup_epochs",
            "mixup",
        )
        for name in ("dropout", "bank_momentum", "ema_decay"):
            value = getattr(self, name)
            require(0 <= value < 1, f"{name} must be in [0, 1), got {value!r}")
        require(
            self.kd_class_weights == "even" or self.kd_loss != "softmax_kd",
            f"kd_class_weights is {self.kd_class_weights} and kd_loss softmax_kd: its softmax is "
            "over all classes together, so classes cannot be weighted. Choose another kd_loss, "
            "or kd_class_weights: even",
        )
        require(
            self.mixup == 0 or self.clt_weight == 0,
            f"mixup is {self.mixup!r} and clt_weight {self.clt_weight!r}: CLT pairs a crop with "
            "the teacher's embedding of the same recording, and a mixture of two recordings has "
            "none. One of the two must be 0",
        )
        require(
            self.plugin_weight == 0 or self.plugin_loss != NO_PLUGIN,
            f"plugin_weight is {self.plugin_weight!r}, but plugin_loss is {NO_PLUGIN!r}: no loss "
            "is named for this weight. Set plugin_loss, or leave plugin_weight out",
        )
        require(
            self.label_weight > 0 or self.uses_teacher,
            f"{listing(('label_weight', *TEACHING_WEIGHTS))} are all 0, so the loss is always 0. "
            "Set one above 0",
        )

    @property
    def uses_teacher(self) -> bool:
        """Whether any term of the loss depends on the teacher."""
        return any(getattr(self, name) > 0 for name in TEACHING_WEIGHTS)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Build hyper-parameters from those of a trial or contender; missing ones are defaults.

        Raises:
            ConfigError: They do not go together.
        """
        return cls(**values)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names that a search space may use."""
        return tuple(item.name for item in fields(cls))


@dataclass(frozen=True, kw_only=True, slots=True)
class AssistantConfig(Section):
    """An intermediate teacher for the students of a condition, on the same leads as they.

    It is distilled from the teacher (labels and MKD) and takes its place: students of the condition
    are distilled from the assistant's logits and embeddings only, as in Mirzadeh et al. (AAAI 2020,
    arXiv 1902.03393). So the gap between a large model of all leads and a small model of one lead
    is bridged in two steps, first the leads, then the size.
    """

    network: str = ""
    """Name in the table of networks. Empty: the teacher's."""
    epochs: int | None = None
    """None: the teacher's. Optimiser and schedule are always the teacher's."""

    def __post_init__(self) -> None:
        if self.epochs is not None:
            require_above_zero(self, "epochs")


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherConfig(Section):
    """The model on all leads; trained once, with labels only."""

    network: str = "xresnet1d18"
    leads: tuple[str, ...] = ()
    """Empty: every lead of the shards."""
    epochs: int = 15
    batch_size: int = 128
    """Over all workers."""
    dropout: float = 0.0
    optimizer: Literal["adamw", "adam"] = "adamw"
    schedule: Literal["one_cycle", "steps", "constant"] = "one_cycle"
    warmup_epochs: int = 0
    warmup_factor: float = 1.0
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    seed: int = 0
    members: int = 1
    """Size of an ensemble of teachers, trained with seeds `seed`, `seed` + 1, ...: the mean of
    their logits, and their embeddings side by side. See `models/ensemble.py`."""
    cross_fitting: int = 0
    """K: trains K further networks, each without one K-th of the patients; a recording's logits for
    the students come from the network that was not trained on it (out-of-fold predictions).
    Embeddings and the teacher's own scores still come from the teacher, as embeddings of different
    networks are not comparable. 0: all logits are the teacher's, in-sample for its own training
    recordings."""
    assistant: AssistantConfig | None = None
    """In a study file `true` for one with the defaults. None: students learn from the teacher."""

    def __post_init__(self) -> None:
        require_above_zero(
            self, "epochs", "batch_size", "learning_rate", "warmup_factor", "members"
        )
        require_not_negative(self, "weight_decay", "warmup_epochs")
        require(0 <= self.dropout < 1, f"dropout must be in [0, 1), got {self.dropout!r}")
        require(
            self.cross_fitting == 0 or self.cross_fitting >= 2,
            f"cross_fitting must be 0 for none, or 2 or more, got {self.cross_fitting!r}",
        )

    @property
    def member_seeds(self) -> tuple[int, ...]:
        """Seeds of the members, in the order of their training."""
        return tuple(range(self.seed, self.seed + self.members))

    @property
    def cross_fitting_seeds(self) -> tuple[int, ...]:
        """Seeds of the cross-fitted networks."""
        first = self.seed + self.members
        return tuple(range(first, first + self.cross_fitting))

    @property
    def n_epochs(self) -> int:
        """Epochs of all networks together."""
        return self.epochs * (self.members + self.cross_fitting)

    def of_assistant(self) -> "TeacherConfig | None":
        """Return the training of an assistant, as that of a teacher; None without an assistant."""
        if self.assistant is None:
            return None
        return replace(
            self,
            network=self.assistant.network or self.network,
            epochs=self.assistant.epochs or self.epochs,
            members=1,
            cross_fitting=0,
            assistant=None,
        )

    @property
    def described(self) -> str:
        """Its network in words, with the number of members if it is an ensemble."""
        own = f"an ensemble of {self.members} {self.network}" if self.members > 1 else self.network
        return f"{own} (cross-fitted by {self.cross_fitting})" if self.cross_fitting else own


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentConfig(Section):
    """Settings shared by every student of the study."""

    epochs: int = 15
    knowledge: Literal["cached", "online", "record"] = "cached"
    """Source of the teacher's outputs: stored for each crop (`cached`), stored as the mean over the
    crops of a recording (`record`), or computed in the training loop (`online`)."""
    validate: Literal["decisions", "every_epoch"] = "decisions"
    """When trials of the search, and the teacher, are scored on the validation split: after the
    epochs at which the pruner may decide, and the last (`decisions`), or after every epoch, for
    complete learning curves. Trials, decisions and final scores are the same. A non-finite loss is
    detected after any epoch, non-finite predictions only at a validation."""

    def __post_init__(self) -> None:
        require_above_zero(self, "epochs")
