"""Frozen dataclasses that describe how the teacher and the students are trained."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self

from mvkt_ray.config.checks import (
    FORBID_EXTRA,
    require,
    require_above_zero,
    require_not_negative,
)
from mvkt_ray.phrasing import listing

MORE_TEACHING_WEIGHTS = ("relation_weight", "feature_weight", "label_embedding_weight")
"""Weights of the ways to teach that MVKT-ECG does not have; plain distillation has 0 in each."""
PLUGIN_WEIGHT = "plugin_weight"
"""Likewise, of a way to teach that we do not have either."""
TEACHING_WEIGHTS = ("kd_weight", "clt_weight", *MORE_TEACHING_WEIGHTS, PLUGIN_WEIGHT)
"""Weights of the terms that need a teacher; a student alone has 0 in each."""
NO_PLUGIN = "none"
"""What `plugin_loss` is where a student has no loss of a plug-in."""


def taught_by(only: str | None) -> dict[str, float]:
    """Return the weights that switch off all of the teacher but one term, or all of it."""
    return {name: 0.0 for name in TEACHING_WEIGHTS if name != only}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameters:
    """Everything that a search space may set for one student."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    student: str = "xresnet1d18"
    """Name in the table of networks."""
    student_width: int = 32
    """Channels of the first stage, the others in proportion. Of students that have a width to
    choose, which is `sepconv1d`; a trial of any other has no such hyper-parameter."""
    student_depth: int = 2
    """Blocks with a shortcut in each stage; may be 0. Likewise."""
    dropout: float = 0.0
    """Before the classifier."""
    epochs: int = 0
    """Of the student's training; 0: those of the study, `student.epochs`, which are the most."""
    batch_size: int = 128
    """Over all workers of the trial."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    schedule: Literal["one_cycle", "steps", "constant"] = "one_cycle"
    """`steps` is the authors': after `warmup_epochs` the rate falls twice, by the factor and at the
    shares of the epochs in `training/optimizers.py`."""
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
    """Of the classes in MKD. `auto`: by how well the condition's student alone tells them apart on
    the validation split; see `search/choosing/class_weights.py`."""
    distill_temperature: float = 2.0
    clt_loss: Literal["crd", "infonce"] = "crd"
    clt_weight: float = 0.02
    """NCE sums over the negatives and starts near 16: its weight is not that of InfoNCE."""
    clt_temperature: float = 0.07
    negatives: Literal["disjoint", "first_label", "any", "authors"] = "disjoint"
    """What counts as another disease; see `distill/negatives.py`."""
    n_negatives: int = 1024
    bank_momentum: float = 0.5
    projection_dim: int = 128
    relation_weight: float = 0.0
    """Of the order of recordings within a class; softened by `distill_temperature`, too."""
    feature_weight: float = 0.0
    """Of the regression of the teacher's embedding on the student's."""
    label_embedding_weight: float = 0.0
    """Of the distances between recordings, and between diseases, by L2D."""
    plugin_loss: str = NO_PLUGIN
    """Name of a loss that an installed package offers; `mvkt plugins` lists them."""
    plugin_weight: float = 0.0
    """Of that loss. Where it is 0 the loss is not computed, and its package not imported."""
    finer_weight: float = 0.0
    """Of the labels of `data.finer_task`: a linear layer of their own learns them of the student's
    embedding, and is thrown away. No teacher is needed: a student alone may have it, too."""
    mixup: float = 0.0
    """Above 0, pairs of recordings of a batch are mixed by a share from Beta(mixup, mixup)."""
    ema_decay: float = 0.0
    """Above 0, the student that is validated and kept is the exponential moving average of its
    weights: what each step leaves of it, at most. 0.99 averages over about 100 steps."""

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
            "over all classes together, so there is nothing to weigh. Choose another kd_loss, or "
            "even weights",
        )
        require(
            self.mixup == 0 or self.clt_weight == 0,
            f"mixup is {self.mixup!r} and clt_weight {self.clt_weight!r}: CLT knows recordings of "
            "the training split, and a mixture of two is none of them. One of the two must be 0",
        )
        require(
            self.plugin_weight == 0 or self.plugin_loss != NO_PLUGIN,
            f"plugin_weight is {self.plugin_weight!r}, but plugin_loss is {NO_PLUGIN!r}: there is "
            "nothing that it would weigh. Name a loss, or leave plugin_weight out",
        )
        require(
            self.label_weight > 0 or self.hears_teacher,
            f"{listing(('label_weight', *TEACHING_WEIGHTS))} are all 0: nothing would be learned",
        )

    @property
    def hears_teacher(self) -> bool:
        """Whether anything that the teacher says has a part in the loss."""
        return any(getattr(self, name) > 0 for name in TEACHING_WEIGHTS)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return those of a trial, or of a contender; what it has not is as by default.

        Raises:
            ConfigError: They do not go together.
        """
        return cls(**values)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names a search space may use."""
        return tuple(item.name for item in fields(cls))


@dataclass(frozen=True, kw_only=True, slots=True)
class AssistantConfig:
    """A model between the teacher and the students of a condition, which sees what they see.

    It is taught by the teacher (labels and MKD), and teaches in its place: a student that distils
    hears the logits and embeddings of its condition's assistant, and the teacher's no more, as in
    Mirzadeh et al. (AAAI 2020, arXiv 1902.03393). That bridges what a large model of all leads and
    a small one of a single lead do not have in common: one step loses the leads, the next the size.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    network: str = ""
    """Name in the table of networks. Empty: the teacher's."""
    epochs: int | None = None
    """None: the teacher's. Whatever else moves its weights is as for the teacher."""

    def __post_init__(self) -> None:
        if self.epochs is not None:
            require_above_zero(self, "epochs")


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherConfig:
    """The model that sees all leads; trained once, with labels only."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

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
    """Networks that are trained one after another, from `seed`, `seed` + 1, ..., and teach
    together: the mean of their logits, beside the embeddings of all. See `models/ensemble.py`."""
    cross_fitting: int = 0
    """With K: beside the teacher K networks are trained, each without a K-th of the patients, and
    students hear of a recording the logits of the one that has not seen it. Embeddings, and all
    that is said of the teacher itself, stay the teacher's own: those of different networks have
    nothing in common. 0: students hear the teacher of the recordings that it was trained on."""
    assistant: AssistantConfig | None = None
    """In a study file `true` for one with the defaults. None: the teacher teaches students."""

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
        """The seed of each member, in the order in which they are trained."""
        return tuple(range(self.seed, self.seed + self.members))

    @property
    def cross_fitting_seeds(self) -> tuple[int, ...]:
        """The seed of each network that is trained without some patients."""
        first = self.seed + self.members
        return tuple(range(first, first + self.cross_fitting))

    @property
    def n_epochs(self) -> int:
        """Epochs of all networks together."""
        return self.epochs * (self.members + self.cross_fitting)

    def of_assistant(self) -> "TeacherConfig | None":
        """Return how an assistant is made; None where there is none."""
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
        """Its network for people, and how many there are of it where there are several."""
        own = f"an ensemble of {self.members} {self.network}" if self.members > 1 else self.network
        return f"{own} (cross-fitted by {self.cross_fitting})" if self.cross_fitting else own


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentConfig:
    """What is the same for every student of the study."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    epochs: int = 15
    knowledge: Literal["cached", "online", "record"] = "cached"
    """Read what the teacher said of each crop, or of the whole recording (the mean over its
    crops), or run the teacher in the loop."""
    validate: Literal["decisions", "every_epoch"] = "decisions"
    """After which epochs a trial of the search, and the teacher, are scored on the validation
    split: where the pruner may decide, and after the last; or after every one, for whole learning
    curves. The trials, what is decided of them and their final scores are the same. A loss that is
    not finite is found after any epoch, predictions that are not where they are made."""

    def __post_init__(self) -> None:
        require_above_zero(self, "epochs")
