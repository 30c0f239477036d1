"""Frozen dataclasses that describe a study: data, view, space, search, finals, and all of it.

They are plain Python: `config_file` reads YAML into them. Rules between the fields of one class are
in its `__post_init__`, whose texts name the field, the value and what would be right.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from mvkt_ray.config.checks import (
    FORBID_EXTRA,
    require,
    require_above_zero,
    require_not_negative,
)
from mvkt_ray.config.objectives import (
    SCORE,
    Objective,
    SizeLimitsConfig,
    check_conditions,
    check_enqueued,
    check_objectives,
    check_sampler,
)
from mvkt_ray.config.recipes import NO_PLUGIN, Hyperparameters, StudentConfig, TeacherConfig
from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig

Scalar = bool | int | float | str

OwnSource = Literal[
    "ptbxl", "cpsc2018", "cinc2021", "wfdb", "synthetic",
    "dicom", "edf", "aecg", "muse", "table", "parquet",
]  # fmt: skip
"""Sources of recordings that are ours, by name."""


def names_task_file(task: str) -> bool:
    """Whether a task is given as the path of a YAML file, and not by the name of a source's."""
    return task.endswith((".yaml", ".yml"))


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldsConfig:
    """Which folds of the source make the three splits."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    train: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    val: tuple[int, ...] = (9,)
    test: tuple[int, ...] = (10,)
    """PTB-XL recommends fold 10 for the test and 9 for validation (Wagner et al. 2020)."""

    def __post_init__(self) -> None:
        for name in ("train", "val", "test"):
            require(len(getattr(self, name)) > 0, f"{name} must name at least one fold, got []")
        seen = [*self.train, *self.val, *self.test]
        shared = sorted({fold for fold in seen if seen.count(fold) > 1})
        require(
            not shared, f"train, val and test must not share folds, got {shared} more than once"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledConfig:
    """Of which training recordings the labels are known; the others count as unlabelled.

    Validation and test keep theirs: what a study chooses by and is examined on is labelled.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    folds: tuple[int, ...] = ()
    """Those of these training folds."""
    fraction: float | None = None
    """Or those of this share of the patients with labels, each class about evenly."""
    seed: int = 0
    """Which patients make up the fraction; those of a smaller one are among those of a larger."""

    def __post_init__(self) -> None:
        require(
            bool(self.folds) != (self.fraction is not None),
            f"give either folds or a fraction, got folds={list(self.folds)!r}, "
            f"fraction={self.fraction!r}",
        )
        require(
            self.fraction is None or 0 < self.fraction <= 1,
            f"fraction must be above 0 and at most 1, got {self.fraction!r}",
        )
        require_not_negative(self, "seed")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelUse:
    """Which recordings a study trains on, by their labels."""

    labelled: LabelledConfig | None = None
    """None: every label of the training folds is known."""
    distils_unlabelled: bool = False
    """Whether recordings without a known label are among those that students distil over."""


ALL_LABELS = LabelUse()
"""Every label is known, and recordings that have none are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Which recordings, at which rate, with which classes."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    source: OwnSource | str = "ptbxl"
    """Ours, or one that an installed package offers; `mvkt plugins` lists them."""
    source_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Handed to the source: for `synthetic` the number of recordings, for example."""
    sampling_rate_hz: int = 100
    task: str = "superdiagnostic"
    """A task of the source or of a plug-in, or the path of a YAML file that defines one."""
    finer_task: str | None = None
    """A second task, named likewise, that students learn beside the first where `finer_weight` is
    above 0: classes within its classes, such as `subdiagnostic`. No score knows of it."""
    min_likelihood: float = 0.0
    """PTB-XL only: codes below this likelihood do not count. 0 is the benchmark's rule."""
    folds: FoldsConfig = field(default_factory=FoldsConfig)
    labelled: LabelledConfig | None = None
    """Of which training recordings the labels are known; None: of all that have one."""
    unlabelled: Literal["distil", "leave_out"] | None = None
    """What becomes of training recordings without a known label: the teacher is not trained on
    them, but may say what it thinks of them, which is all that students learn of them. None: distil
    where `labelled` is given, else leave out."""

    def __post_init__(self) -> None:
        require_above_zero(self, "sampling_rate_hz")
        kept_apart = sorted(
            set(self.labelled.folds if self.labelled else ()) - set(self.folds.train)
        )
        require(
            not kept_apart,
            f"labelled.folds must be training folds, got {kept_apart}, which are not among "
            f"{list(self.folds.train)}",
        )
        require(
            0 <= self.min_likelihood <= 100,
            f"min_likelihood must be between 0 and 100, got {self.min_likelihood!r}",
        )

    @property
    def label_use(self) -> LabelUse:
        """Which recordings are trained on, by their labels."""
        distils = self.labelled is not None and self.unlabelled is None
        return LabelUse(
            labelled=self.labelled,
            distils_unlabelled=distils or self.unlabelled == "distil",
        )

    @property
    def task_file(self) -> Path | None:
        """The file of the user's own task; None where `task` is one of the source's."""
        return Path(self.task) if names_task_file(self.task) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewConfig:
    """What a model sees of a recording, in seconds."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    crop_s: float = 2.5
    """Training crops and evaluation windows; 2.5 s as in the PTB-XL benchmark."""
    grid_s: float = 0.5
    """Training crops start at multiples of it, so that the teacher's knowledge is finite."""
    stride_s: float = 1.25
    """Evaluation windows start at multiples of it; the last one ends with the recording."""

    def __post_init__(self) -> None:
        require_above_zero(self, "crop_s", "grid_s", "stride_s")


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterConfig:
    """One row of a search space: a fixed value, a list of choices, or a range."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

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
        require(
            sum(kinds) == 1,
            "a parameter is either a value, or `choices`, or `low` and `high`: "
            f"got value={self.value!r}, choices={self.choices!r}, "
            f"low={self.low!r}, high={self.high!r}",
        )
        if self.choices is not None:
            require(len(self.choices) > 0, "choices must not be empty, got []")
        if self.low is None or self.high is None:
            require(
                not is_range,
                f"a range needs both low and high, got low={self.low!r}, high={self.high!r}",
            )
            return
        require(
            self.low < self.high,
            f"low must be below high, got low={self.low!r}, high={self.high!r}: swap them?",
        )
        if self.log:
            require(self.low > 0, f"low must be > 0 with log: true, got {self.low!r}")
            require(self.step is None, f"log: true and step={self.step!r} exclude each other")
        if self.step is not None:
            require(self.step > 0, f"step must be > 0, got {self.step!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PrunerConfig:
    """When a trial is stopped early; it is compared within its condition only."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    kind: Literal["successive_halving", "hyperband", "none"] = "successive_halving"
    min_epochs: int = 3
    reduction_factor: int = 3

    def __post_init__(self) -> None:
        require_above_zero(self, "min_epochs")
        require(
            self.reduction_factor >= 2,
            f"reduction_factor must be at least 2, got {self.reduction_factor!r}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchConfig:
    """How many trials, on which leads, drawn and pruned how."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    leads: tuple[str, ...] = ()
    """Conditions, a lead (`II`) or a lead set (`I+V5`) each. Empty: every lead of the shards."""
    n_trials: int = 96
    """Baselines included; the search of a grid ends with its last point, if that comes first."""
    objectives: tuple[Objective, ...] = (SCORE,)
    """The score, and what a student is to be small or fast in. With several, the sampler looks for
    the students that no other one beats in all of them, and finals take some of these. Trials are
    pruned by their score whatever the objectives: where small students fall behind large ones early
    on, `pruner: {kind: none}` lets them come to their end."""
    limits: SizeLimitsConfig = field(default_factory=SizeLimitsConfig)
    """Kept by every trial, baselines included."""
    sampler: Literal["tpe", "gp", "nsga2", "random", "grid"] = "tpe"
    """`grid` tries every point of the space, once for each condition."""
    n_startup_trials: int = 10
    """Trials drawn at random before the sampler's model is used; of `nsga2` also the size of the
    population."""
    enqueue: tuple[Mapping[str, Scalar], ...] = ()
    """Configurations that are tried first, after the baselines: hyper-parameters of the space by
    name, and `lead` where one is for a single condition. What an entry leaves out is drawn."""
    learn_from: str | None = None
    """Folder or URI of another study, whose trials the sampler sees as if they had come before.
    They are copied when this study begins, and count as trials of the other one alone."""
    pruner: PrunerConfig = field(default_factory=PrunerConfig)
    baselines: tuple[Literal["student_alone", "plain_kd"], ...] = ("student_alone", "plain_kd")
    conditions: Literal["balanced", "race"] = "balanced"
    """Deal every condition as many trials, or stop those that are clearly worse."""
    seeds_per_trial: int = 1
    """Each trial is trained from so many seeds, one after the other, and its value is the mean of
    theirs. The pruner decides during the first seed alone: what goes beyond it is trained whole."""
    max_retries: int = 2
    """How often a trial that lost its worker is started again from its checkpoint."""
    stop_after_failures: int | None = 5
    """The search stops when so many trials have failed and none has ended well meanwhile; null: it
    never does. What the machine does is no failure, and a resumed search counts anew."""

    def __post_init__(self) -> None:
        require_not_negative(self, "n_trials", "n_startup_trials", "max_retries")
        require_above_zero(self, "seeds_per_trial")
        if self.stop_after_failures is not None:
            require_above_zero(self, "stop_after_failures")
        twice = sorted({lead for lead in self.leads if self.leads.count(lead) > 1})
        require(not twice, f"leads must not repeat, got {twice} more than once")
        check_objectives(self.objectives)
        check_sampler(self.sampler, self.objectives, self.n_startup_trials)
        check_conditions(self.conditions, self.sampler, self.objectives)
        check_enqueued(self.enqueue, self.sampler, self.conditions)
        # random and grid learn nothing; the Gaussian process was seen to do worse with other trials
        # than without, and nobody has tried the population of nsga2.
        require(
            self.learn_from is None or self.sampler == "tpe",
            f"learn_from and sampler: {self.sampler} exclude each other: trials of another study "
            "are for tpe. Leave learn_from out, or set sampler to tpe",
        )

    @property
    def costs(self) -> tuple[Objective, ...]:
        """The objectives beside the score: less of them is better."""
        return self.objectives[1:]


@dataclass(frozen=True, kw_only=True, slots=True)
class ContenderConfig:
    """One more thing that the finals compare, beside what the search chose."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    base: Literal["chosen", "defaults"] = "chosen"
    """What `set` changes: the lead's chosen configuration, or the defaults of the space."""
    where: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    """With `base: chosen`: choose among the lead's trials with these hyper-parameters only, so that
    what it is compared with makes its own choice of all the others."""
    set: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    """Hyper-parameters by name."""
    leads: tuple[str, ...] = ()
    """Conditions it is trained for; empty: all of the study."""
    n_seeds: int | None = None
    """None: as many as the others."""

    def __post_init__(self) -> None:
        if self.n_seeds is not None:
            require_above_zero(self, "n_seeds")
        require(
            self.base == "chosen" or not self.where,
            f"where chooses among trials, and base: {self.base} is none; leave one of them out",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalsConfig:
    """What is trained again, with several seeds, and examined once on the test split."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

    n_seeds: int = 5
    n_configurations: int = 1
    """The best so many of each condition by validation; the first of them is `chosen`. 0 compares
    `contenders` alone. Of a search with several objectives: so many points of the condition's
    front, as far as it has them."""
    baselines: tuple[Literal["student_alone", "plain_kd", "mkd_only", "clt_only"], ...] = (
        "student_alone",
        "plain_kd",
    )
    """The chosen configuration with the teacher taken away, in part or whole; see
    `search/finals/finals_plan.py`. With `n_configurations: 0` the defaults of the space instead."""
    contenders: Mapping[str, ContenderConfig] = field(default_factory=dict[str, ContenderConfig])
    answer: str = "chosen"
    """The contender by which leads are ranked."""
    refit: bool = False
    """Train finals on the training and validation splits together."""

    def __post_init__(self) -> None:
        require_above_zero(self, "n_seeds")
        require_not_negative(self, "n_configurations")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyConfig:
    """The whole of a study at once."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_EXTRA

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
        require(
            bool(self.name) and all(c.isalnum() or c in "-_" for c in self.name),
            f"name must be letters, digits, - and _, got {self.name!r}",
        )
        require_not_negative(self, "seed")
        unused = sorted(set(self.resources.students) - self.students)
        require(
            not unused,
            f"resources.students names {', '.join(unused)}, but no trial of this study has such a "
            f"network; those it has are {', '.join(sorted(self.students))}",
        )

        longest = max(self._numbers("epochs"), default=0)
        require(
            longest <= self.student.epochs,
            f"epochs of a student must not be above student.epochs, which is {self.student.epochs}:"
            f" got {longest}; raise student.epochs to it",
        )
        finer_weight = max(self._numbers("finer_weight"), default=0.0)
        require(
            finer_weight == 0 or self.data.finer_task is not None,
            f"finer_weight is set, up to {finer_weight!r}, but data.finer_task names no task whose "
            "labels it would weigh. Name one, or leave finer_weight out",
        )
        require(
            "auto" not in self._given("kd_class_weights")
            or "student_alone" in self.search.baselines,
            "kd_class_weights auto follows from the validation of each lead's student alone in the "
            "search, and search.baselines has no student_alone. Add it there, or leave the weights "
            "even",
        )
        require(
            self.teacher.assistant is None or self.student.knowledge != "online",
            "teacher.assistant and student.knowledge online exclude each other: an assistant is "
            "asked once, before the trials. Set student.knowledge to cached or record",
        )
        require(
            not self.teacher.cross_fitting or self.student.knowledge != "online",
            f"teacher.cross_fitting {self.teacher.cross_fitting} and student.knowledge online "
            "exclude each other: who speaks of a recording is settled when knowledge is computed. "
            "Set student.knowledge to cached or record",
        )

        accumulating = [
            key for key, asked in self.resources.models().items() if asked.gradient_accumulation > 1
        ]
        require(
            accumulating in ([], ["teacher"]) or "infonce" not in self._values("clt_loss"),
            f"resources.{accumulating[0] if accumulating else ''}.gradient_accumulation above 1 "
            "and clt_loss infonce exclude each other: its negatives are the rest of the batch, and "
            "of a part of it there are fewer. Use crd, or more workers",
        )

    @property
    def trial_epochs(self) -> int:
        """Most epochs of a trial of the search, over all its seeds."""
        return self.student.epochs * self.search.seeds_per_trial

    @property
    def crop_samples(self) -> int:
        """Length of a training crop, and of an evaluation window."""
        return round(self.view.crop_s * self.data.sampling_rate_hz)

    @property
    def students(self) -> set[str]:
        """Networks that a trial or a final of the study may have, by name."""
        return self._values("student")

    @property
    def plugin_losses(self) -> set[str]:
        """Losses of plug-ins that a trial or a final of the study may have, by name."""
        return self._values("plugin_loss") - {NO_PLUGIN}

    def trial_workers(self) -> tuple[WorkersConfig, ...]:
        """List the workers that trials of the search may ask for, by the networks they draw."""
        networks = self._drawn("student")
        if "plain_kd" in self.search.baselines and "student" in self.plain_kd:
            networks |= {str(self.plain_kd["student"])}
        asked = (self.resources.of_trial({"student": name}) for name in sorted(networks))
        return tuple(dict.fromkeys(asked))

    def _values(self, name: str) -> set[str]:
        """All that a hyper-parameter with named values may be in a trial or a final."""
        elsewhere = [self.plain_kd, *(each.set for each in self.finals.contenders.values())]
        return self._drawn(name) | {str(where[name]) for where in elsewhere if name in where}

    def _given(self, name: str) -> list[Scalar | None]:
        """All that a hyper-parameter is set to, or may be drawn as, or up to."""
        row = self.space.get(name)
        drawn = [] if row is None else [row.value, row.high, *(row.choices or ())]
        elsewhere = [self.plain_kd, *(each.set for each in self.finals.contenders.values())]
        return [*drawn, *(where.get(name) for where in elsewhere)]

    def _numbers(self, name: str) -> list[float]:
        """All that a hyper-parameter that is a number is set to, or may be drawn up to."""
        return [value for value in self._given(name) if isinstance(value, int | float)]

    def _drawn(self, name: str) -> set[str]:
        """All that the space may set a hyper-parameter with named values to."""
        default: str = getattr(Hyperparameters(), name)
        drawn = self.space.get(name, ParameterConfig(value=default))
        undrawn = [default] if drawn.when else []
        return {str(value) for value in [*(drawn.choices or (drawn.value,)), *undrawn]}
