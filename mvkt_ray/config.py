"""Frozen dataclasses that describe a study: data, view, teacher, student, search, resources.

They are plain Python: `config_file` reads YAML into them. Rules between the fields of one class are
in its `__post_init__`, whose texts name the field, the value and what would be right.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

Scalar = bool | int | float | str

_FORBID_EXTRA: dict[str, Any] = {"extra": "forbid"}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_above_zero(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        _require(value > 0 and math.isfinite(value), f"{name} must be > 0, got {value!r}")


def _require_not_negative(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        _require(value >= 0 and math.isfinite(value), f"{name} must be >= 0, got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldsConfig:
    """Which folds of the source make the three splits."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    train: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    val: tuple[int, ...] = (9,)
    test: tuple[int, ...] = (10,)
    """PTB-XL recommends fold 10 for the test and 9 for validation (Wagner et al. 2020)."""

    def __post_init__(self) -> None:
        for name in ("train", "val", "test"):
            _require(len(getattr(self, name)) > 0, f"{name} must name at least one fold, got []")
        seen = [*self.train, *self.val, *self.test]
        shared = sorted({fold for fold in seen if seen.count(fold) > 1})
        _require(
            not shared, f"train, val and test must not share folds, got {shared} more than once"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Which recordings, at which rate, with which classes."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    source: Literal["ptbxl", "cpsc2018", "cinc2021", "wfdb", "synthetic"] = "ptbxl"
    source_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Handed to the source: for `synthetic` the number of recordings, for example."""
    sampling_rate_hz: int = 100
    task: str = "superdiagnostic"
    """A task of the source, or the path of a YAML file that defines one."""
    min_likelihood: float = 0.0
    """PTB-XL only: codes below this likelihood do not count. 0 is the benchmark's rule."""
    folds: FoldsConfig = field(default_factory=FoldsConfig)

    def __post_init__(self) -> None:
        _require_above_zero(self, "sampling_rate_hz")
        _require(
            0 <= self.min_likelihood <= 100,
            f"min_likelihood must be between 0 and 100, got {self.min_likelihood!r}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewConfig:
    """What a model sees of a recording, in seconds."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    crop_s: float = 2.5
    """Training crops and evaluation windows; 2.5 s as in the PTB-XL benchmark."""
    grid_s: float = 0.5
    """Training crops start at multiples of it, so that the teacher's knowledge is finite."""
    stride_s: float = 1.25
    """Evaluation windows start at multiples of it; the last one ends with the recording."""

    def __post_init__(self) -> None:
        _require_above_zero(self, "crop_s", "grid_s", "stride_s")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameters:
    """Everything that a search space may set for one student."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    student: str = "xresnet1d18"
    """Name in the table of networks."""
    dropout: float = 0.0
    """Before the classifier."""
    batch_size: int = 128
    """Over all workers of the trial."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    schedule: Literal["one_cycle", "steps", "constant"] = "one_cycle"
    """`steps` is the authors': x0.1 at 40 % and 70 % of the epochs, after `warmup_epochs`."""
    warmup_epochs: int = 0
    warmup_factor: float = 0.1
    """With `steps`: the rate of warm-up epoch e (from 0) is factor * (e + 1) * learning_rate."""
    learning_rate: float = 5e-3
    """The highest rate of `one_cycle`; the base rate otherwise."""
    weight_decay: float = 1e-2
    label_weight: float = 1.0
    kd_loss: Literal["multilabel_kd", "softmax_kd", "multilabel_kd_authors"] = "multilabel_kd"
    kd_weight: float = 1.0
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

    def __post_init__(self) -> None:
        _require_above_zero(
            self,
            "batch_size",
            "learning_rate",
            "distill_temperature",
            "clt_temperature",
            "n_negatives",
            "projection_dim",
            "warmup_factor",
        )
        _require_not_negative(
            self, "weight_decay", "label_weight", "kd_weight", "clt_weight", "warmup_epochs"
        )
        for name in ("dropout", "bank_momentum"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"{name} must be in [0, 1), got {value!r}")
        _require(
            self.label_weight + self.kd_weight + self.clt_weight > 0,
            "label_weight, kd_weight and clt_weight are all 0: nothing would be learned",
        )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names a search space may use."""
        return tuple(item.name for item in fields(cls))


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherConfig:
    """The model that sees all leads; trained once, with labels only."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

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

    def __post_init__(self) -> None:
        _require_above_zero(self, "epochs", "batch_size", "learning_rate", "warmup_factor")
        _require_not_negative(self, "weight_decay", "warmup_epochs")
        _require(0 <= self.dropout < 1, f"dropout must be in [0, 1), got {self.dropout!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentConfig:
    """What is the same for every student of the study."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    epochs: int = 15
    knowledge: Literal["cached", "online", "record"] = "cached"
    """Read what the teacher said of each crop, or of the whole recording (the mean over its
    crops), or run the teacher in the loop."""

    def __post_init__(self) -> None:
        _require_above_zero(self, "epochs")


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterConfig:
    """One row of a search space: a fixed value, a list of choices, or a range."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    value: Scalar | None = None
    choices: tuple[Scalar, ...] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    integer: bool = False
    """Draw whole numbers."""
    when: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict[str, tuple[Scalar, ...]])
    """The parameter is drawn only when each named one has one of these values; else its default."""

    def __post_init__(self) -> None:
        is_range = self.low is not None or self.high is not None
        kinds = [self.value is not None, self.choices is not None, is_range]
        _require(
            sum(kinds) == 1,
            "a parameter is either a value, or `choices`, or `low` and `high`: "
            f"got value={self.value!r}, choices={self.choices!r}, "
            f"low={self.low!r}, high={self.high!r}",
        )
        if self.choices is not None:
            _require(len(self.choices) > 0, "choices must not be empty, got []")
        if self.low is None or self.high is None:
            _require(
                not is_range,
                f"a range needs both low and high, got low={self.low!r}, high={self.high!r}",
            )
            return
        _require(
            self.low < self.high,
            f"low must be below high, got low={self.low!r}, high={self.high!r}: swap them?",
        )
        if self.log:
            _require(self.low > 0, f"low must be > 0 with log: true, got {self.low!r}")
            _require(self.step is None, f"log: true and step={self.step!r} exclude each other")
        if self.step is not None:
            _require(self.step > 0, f"step must be > 0, got {self.step!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PrunerConfig:
    """When a trial is stopped early; it is compared within its condition only."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    kind: Literal["successive_halving", "hyperband", "none"] = "successive_halving"
    min_epochs: int = 3
    reduction_factor: int = 3

    def __post_init__(self) -> None:
        _require_above_zero(self, "min_epochs")
        _require(
            self.reduction_factor >= 2,
            f"reduction_factor must be at least 2, got {self.reduction_factor!r}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchConfig:
    """How many trials, on which leads, drawn and pruned how."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    leads: tuple[str, ...] = ()
    """Conditions, a lead (`II`) or a lead set (`I+V5`) each. Empty: every lead of the shards."""
    n_trials: int = 96
    """Baselines included."""
    sampler: Literal["tpe", "gp", "random"] = "tpe"
    n_startup_trials: int = 10
    """Trials drawn at random before the sampler's model is used."""
    pruner: PrunerConfig = field(default_factory=PrunerConfig)
    baselines: tuple[Literal["student_alone", "plain_kd"], ...] = ("student_alone", "plain_kd")
    conditions: Literal["balanced", "race"] = "balanced"
    """Deal every condition as many trials, or stop those that are clearly worse."""
    max_retries: int = 2
    """How often a trial that lost its worker is started again from its checkpoint."""

    def __post_init__(self) -> None:
        _require_not_negative(self, "n_trials", "n_startup_trials", "max_retries")
        twice = sorted({lead for lead in self.leads if self.leads.count(lead) > 1})
        _require(not twice, f"leads must not repeat, got {twice} more than once")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContenderConfig:
    """One more thing that the finals compare, beside what the search chose."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    base: Literal["chosen", "defaults"] = "chosen"
    """What `set` changes: the lead's chosen configuration, or the defaults of the space."""
    set: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    """Hyper-parameters by name."""
    leads: tuple[str, ...] = ()
    """Conditions it is trained for; empty: all of the study."""
    n_seeds: int | None = None
    """None: as many as the others."""

    def __post_init__(self) -> None:
        if self.n_seeds is not None:
            _require_above_zero(self, "n_seeds")


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalsConfig:
    """What is trained again, with several seeds, and examined once on the test split."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    n_seeds: int = 5
    n_configurations: int = 1
    """The best so many of each condition by validation; the first of them is `chosen`. 0 compares
    `contenders` alone."""
    baselines: tuple[Literal["student_alone", "plain_kd", "mkd_only", "clt_only"], ...] = (
        "student_alone",
        "plain_kd",
    )
    """The chosen configuration with the teacher taken away, in part or whole; see
    `search/finals_plan.py`. With `n_configurations: 0` the defaults of the space instead."""
    contenders: Mapping[str, ContenderConfig] = field(default_factory=dict[str, ContenderConfig])
    answer: str = "chosen"
    """The contender by which leads are ranked."""
    refit: bool = False
    """Train finals on the training and validation splits together."""

    def __post_init__(self) -> None:
        _require_above_zero(self, "n_seeds")
        _require_not_negative(self, "n_configurations")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkersConfig:
    """How many training processes a model gets, and what each of them reserves."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    workers: int | tuple[int, int] = 1
    """A number, or the least and the most: as many of them as the cluster has room for, more or
    fewer as nodes come and go."""
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0
    """A fraction shares a GPU between trials; more than one worker needs whole ones."""
    accelerator_type: str | None = None
    """Ray's name of the GPU that it must be, for example `A10G` or `H100`."""
    placement: Literal["pack", "spread"] = "pack"
    """Workers of one model: on as few nodes as possible, or on as many."""
    gradient_accumulation: int = 1
    """Parts that a worker's batch is computed in, one after the other, to fit its memory. The step
    is that of the whole batch, but for batch normalisation, which normalises each part by itself,
    and for CLT, whose negatives are drawn, and banks updated, part by part."""

    def __post_init__(self) -> None:
        least, most = self.min_workers, self.max_workers
        _require(
            1 <= least <= most,
            f"workers must be a number above 0, or [least, most] with 1 <= least <= most, "
            f"got {self.workers!r}",
        )
        _require_above_zero(self, "cpus_per_worker", "gradient_accumulation")
        _require_not_negative(self, "gpus_per_worker")
        _require(
            self.gpus_per_worker <= 1 or float(self.gpus_per_worker).is_integer(),
            "gpus_per_worker must be a whole number or a fraction below 1, "
            f"got {self.gpus_per_worker!r}",
        )
        _require(
            most == 1 or float(self.gpus_per_worker).is_integer(),
            "gpus_per_worker must be a whole number where there are several workers: NCCL takes "
            f"one process per GPU, got {self.gpus_per_worker!r} with workers: {self.workers!r}",
        )
        _require(
            self.accelerator_type is None or self.gpus_per_worker > 0,
            f"accelerator_type {self.accelerator_type!r} needs gpus_per_worker above 0",
        )

    @property
    def min_workers(self) -> int:
        """The least workers that a model trains with."""
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def max_workers(self) -> int:
        """The most workers that a model trains with."""
        return self.workers if isinstance(self.workers, int) else self.workers[1]

    @property
    def is_elastic(self) -> bool:
        """Whether a model may gain and lose workers while it trains."""
        return self.min_workers != self.max_workers


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestResourcesConfig:
    """What each task reserves that reads recordings; kept off GPU nodes where others have room."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    cpus_per_task: float = 1.0
    node_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels that a node must have, for example `pool: cpu`. Not Ray's own, such as
    `ray.io/node-group`, where an autoscaler starts the first node: it does not know them before."""

    def __post_init__(self) -> None:
        _require_above_zero(self, "cpus_per_task")


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeTypeConfig:
    """A kind of machine that the cluster is made of, and what an hour of it costs."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    price_per_hour: float
    cpus: float
    gpus: float = 0.0
    accelerator_type: str | None = None

    def __post_init__(self) -> None:
        _require_not_negative(self, "price_per_hour", "gpus")
        _require_above_zero(self, "cpus")


@dataclass(frozen=True, kw_only=True, slots=True)
class CostConfig:
    """What nodes cost; without it money is not told."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    currency: str = "USD"
    node_types: Mapping[str, NodeTypeConfig] = field(default_factory=dict[str, NodeTypeConfig])
    """By the name that the cluster gives its node groups."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourcesConfig:
    """What the teacher and each trial ask of the machine or the cluster."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    trial: WorkersConfig = field(default_factory=WorkersConfig)
    students: Mapping[str, WorkersConfig] = field(default_factory=dict[str, WorkersConfig])
    """By name of the network: what its trials ask instead of `trial`."""
    teacher: WorkersConfig = field(default_factory=WorkersConfig)
    ingest: IngestResourcesConfig = field(default_factory=IngestResourcesConfig)
    max_concurrent_trials: int | None = None
    """None: as many as the cluster holds, more or fewer as nodes come and go."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """`auto` is bf16 on GPUs that have it, and float32 elsewhere; losses are float32 always."""
    cost: CostConfig = field(default_factory=CostConfig)

    def __post_init__(self) -> None:
        if self.max_concurrent_trials is not None:
            _require_above_zero(self, "max_concurrent_trials")

    def of_trial(self, hyperparameters: Mapping[str, Any]) -> WorkersConfig:
        """Return what a trial asks for: its network may have workers of its own."""
        student = hyperparameters.get("student", Hyperparameters().student)
        return self.students.get(student, self.trial)

    def models(self) -> dict[str, WorkersConfig]:
        """Return what each kind of model asks for, by its key in a study file."""
        students = {f"students.{name}": asked for name, asked in self.students.items()}
        return {"trial": self.trial, "teacher": self.teacher} | students


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyConfig:
    """The whole of a study at once."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_EXTRA

    name: str
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    view: ViewConfig = field(default_factory=ViewConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    space: Mapping[str, ParameterConfig] = field(default_factory=dict[str, ParameterConfig])
    """Hyper-parameters by name; those left out keep the defaults of `Hyperparameters`."""
    plain_kd: Mapping[str, Scalar] = field(
        default_factory=lambda: dict[str, Scalar](
            kd_loss="softmax_kd", kd_weight=1.0, distill_temperature=2.0, clt_weight=0.0
        )
    )
    """What the plain distillation baseline sets on top of the defaults."""
    search: SearchConfig = field(default_factory=SearchConfig)
    finals: FinalsConfig = field(default_factory=FinalsConfig)
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)

    def __post_init__(self) -> None:
        _require(
            bool(self.name) and all(c.isalnum() or c in "-_" for c in self.name),
            f"name must be letters, digits, - and _, got {self.name!r}",
        )
        _require_not_negative(self, "seed")
        unused = sorted(set(self.resources.students) - self._values("student"))
        _require(
            not unused,
            f"resources.students names {', '.join(unused)}, but no trial of this study has such a "
            f"network; those it has are {', '.join(sorted(self._values('student')))}",
        )

        accumulating = [
            key for key, asked in self.resources.models().items() if asked.gradient_accumulation > 1
        ]
        _require(
            accumulating in ([], ["teacher"]) or "infonce" not in self._values("clt_loss"),
            f"resources.{accumulating[0] if accumulating else ''}.gradient_accumulation above 1 "
            "and clt_loss infonce exclude each other: its negatives are the rest of the batch, and "
            "of a part of it there are fewer. Use crd, or more workers",
        )

    def _values(self, name: str) -> set[str]:
        """All that a hyper-parameter with named values may be in a trial."""
        default: str = getattr(Hyperparameters(), name)
        drawn = self.space.get(name, ParameterConfig(value=default))
        elsewhere = [self.plain_kd, *(each.set for each in self.finals.contenders.values())]
        named = [where[name] for where in elsewhere if name in where]
        return {str(value) for value in [*(drawn.choices or (drawn.value,)), *named]}
