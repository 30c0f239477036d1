"""Frozen dataclasses of a study file: data, view, space, search, finals, and the whole study.

They are plain Python: `study_file` reads YAML into them. Rules between the fields of one class are
in its `__post_init__`; their messages name the field, the value and the valid ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mvkt_ray.config.checks import (
    Section,
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
"""Names of the built-in sources of recordings."""


def names_task_file(task: str) -> bool:
    """Whether a task is given as the path of a YAML file, not as the name of a source's task."""
    return task.endswith((".yaml", ".yml"))


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldsConfig(Section):
    """The source's folds in each of the three splits."""

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
class LabelledConfig(Section):
    """The training recordings whose labels are used; the others count as unlabelled.

    Validation and test recordings always keep their labels.
    """

    folds: tuple[int, ...] = ()
    """Labels of these training folds."""
    fraction: float | None = None
    """Or labels of this share of the labelled patients, in (0, 1), each class about evenly."""
    seed: int = 0
    """Of the draw of patients for `fraction`; a smaller fraction is a subset of a larger one."""

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
    """The labels and the unlabelled recordings that a study trains with."""

    labelled: LabelledConfig | None = None
    """None: all labels of the training folds."""
    distils_unlabelled: bool = False
    """Whether students are distilled on recordings without a known label, too."""


ALL_LABELS = LabelUse()
"""All labels are used, and recordings without one are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig(Section):
    """The recordings, their sampling rate, classes and splits."""

    source: OwnSource | str = "ptbxl"
    """A built-in source or a plug-in; `mvkt plugins` lists these."""
    source_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments of the source, for example `n_recordings` of `synthetic`."""
    sampling_rate_hz: int = 100
    """Recordings are resampled to this rate."""
    task: str = "superdiagnostic"
    """A task of the source or of a plug-in, or the path of a YAML file that defines one."""
    finer_task: str | None = None
    """A second task with finer classes, such as `subdiagnostic`: an auxiliary target of students
    where `finer_weight` is above 0. No score uses it."""
    min_likelihood: float = 0.0
    """PTB-XL only: codes below this likelihood do not count. 0 is the benchmark's rule."""
    folds: FoldsConfig = field(default_factory=FoldsConfig)
    labelled: LabelledConfig | None = None
    """The training recordings whose labels are used; None: all that have one."""
    unlabelled: Literal["distil", "leave_out"] | None = None
    """Use of training recordings without a known label. `distil`: students learn the teacher's
    outputs for them; the teacher is not trained on them. None: `distil` where `labelled` is given,
    else `leave_out`."""

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
        """The labels and the unlabelled recordings to train with."""
        distils = self.labelled is not None and self.unlabelled is None
        return LabelUse(
            labelled=self.labelled,
            distils_unlabelled=distils or self.unlabelled == "distil",
        )

    @property
    def task_file(self) -> Path | None:
        """The file of a user-defined task; None where `task` is a name."""
        return Path(self.task) if names_task_file(self.task) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewConfig(Section):
    """The part of a recording that is one input of a model; all lengths in seconds."""

    crop_s: float = 2.5
    """Length of training crops and evaluation windows; 2.5 s as in the PTB-XL benchmark."""
    grid_s: float = 0.5
    """Training crops start at multiples of this, so that the teacher's knowledge is finite."""
    stride_s: float = 1.25
    """Evaluation windows start at multiples of this; the last one ends with the recording."""

    def __post_init__(self) -> None:
        require_above_zero(self, "crop_s", "grid_s", "stride_s")


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterConfig(Section):
    """One row of a search space: a fixed value, a list of choices, or a range."""

    value: Scalar | None = None
    choices: tuple[Scalar, ...] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    integer: bool = False
    """Draw whole numbers."""
    when: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict[str, tuple[Scalar, ...]])
    """The parameter is drawn only where each parameter named here has one of the given values;
    elsewhere it has its default."""

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
class PrunerConfig(Section):
    """Early stopping of trials; a trial is compared with trials of its condition only."""

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
class SearchConfig(Section):
    """Number of trials, their leads, sampler, pruner and baselines."""

    leads: tuple[str, ...] = ()
    """Conditions, a lead (`II`) or a lead set (`I+V5`) each. Empty: every lead of the shards."""
    n_trials: int = 96
    """Of all conditions, with baselines; a grid ends earlier if it has fewer points."""
    objectives: tuple[Objective, ...] = (SCORE,)
    """The score, and costs to be minimised. With several, the sampler searches the Pareto front,
    and finals take some of its points. Trials are pruned by their score in any case: where small
    students fall behind large ones early on, `pruner: {kind: none}` lets them finish."""
    limits: SizeLimitsConfig = field(default_factory=SizeLimitsConfig)
    """Upper bounds on the student's size, for all trials and baselines."""
    sampler: Literal["tpe", "gp", "nsga2", "random", "grid"] = "tpe"
    """`grid` tries every point of the space, once for each condition."""
    n_startup_trials: int = 10
    """Trials drawn at random before the sampler's model is used; of `nsga2` also the size of the
    population."""
    enqueue: tuple[Mapping[str, Scalar], ...] = ()
    """Configurations to try first, after the baselines: hyper-parameters of the space by name, and
    `lead` for a single condition. Missing hyper-parameters are drawn."""
    learn_from: str | None = None
    """Folder or URI of another study, whose trials warm-start the sampler. They are copied when
    this study begins, and never count as trials of this study."""
    pruner: PrunerConfig = field(default_factory=PrunerConfig)
    baselines: tuple[Literal["student_alone", "plain_kd"], ...] = ("student_alone", "plain_kd")
    conditions: Literal["balanced", "race"] = "balanced"
    """`balanced`: equally many trials for every condition. `race`: clearly worse conditions stop
    getting trials."""
    seeds_per_trial: int = 1
    """Trainings of each trial with different seeds, one after the other; its value is their mean.
    The pruner decides during the first seed only."""
    max_retries: int = 2
    """Restarts of a trial from its checkpoint after the loss of its worker."""
    stop_after_failures: int | None = 5
    """Consecutive failures, without a successful trial between them, after which the search stops;
    null: never. Faults of the machine do not count, and a resumed search counts from 0."""

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
            f"learn_from and sampler: {self.sampler} exclude each other: only tpe uses trials of "
            "another study. Leave learn_from out, or set sampler to tpe",
        )

    @property
    def costs(self) -> tuple[Objective, ...]:
        """The objectives to be minimised: all but the score."""
        return self.objectives[1:]


@dataclass(frozen=True, kw_only=True, slots=True)
class ContenderConfig(Section):
    """A further configuration for the finals, beside the one that the search chose."""

    base: Literal["chosen", "defaults"] = "chosen"
    """The configuration to start from: the lead's chosen one, or the defaults of the space."""
    where: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    """With `base: chosen`: start from the lead's best trial with these hyper-parameters, so that
    all others are tuned for the contender, too."""
    set: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    """Hyper-parameters to change, by name."""
    leads: tuple[str, ...] = ()
    """Conditions of the study to train it for; empty: all."""
    n_seeds: int | None = None
    """None: `finals.n_seeds`."""

    def __post_init__(self) -> None:
        if self.n_seeds is not None:
            require_above_zero(self, "n_seeds")
        require(
            self.base == "chosen" or not self.where,
            f"`where` selects a trial, but base: {self.base} is not a trial; leave one of them out",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalsConfig(Section):
    """Configurations to train again with several seeds, and to evaluate once on the test split."""

    n_seeds: int = 5
    n_configurations: int = 1
    """Best trials of each condition by validation; the first is called `chosen`. 0: only
    `contenders`. With several objectives: points of the condition's Pareto front, as far as it has
    them."""
    baselines: tuple[Literal["student_alone", "plain_kd", "mkd_only", "clt_only"], ...] = (
        "student_alone",
        "plain_kd",
    )
    """The chosen configuration without the teacher's losses, or without some of them; see
    `search/finals/finals_plan.py`. With `n_configurations: 0`: from the space's defaults."""
    contenders: Mapping[str, ContenderConfig] = field(default_factory=dict[str, ContenderConfig])
    answer: str = "chosen"
    """The contender by which leads are ranked."""
    refit: bool = False
    """Train finals on the training and validation splits together."""

    def __post_init__(self) -> None:
        require_above_zero(self, "n_seeds")
        require_not_negative(self, "n_configurations")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyConfig(Section):
    """A whole study."""

    name: str
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    view: ViewConfig = field(default_factory=ViewConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    space: Mapping[str, ParameterConfig] = field(default_factory=dict[str, ParameterConfig])
    """Hyper-parameters by name; missing ones keep the defaults of `Hyperparameters`."""
    plain_kd: Mapping[str, Scalar] = field(
        default_factory=lambda: dict[str, Scalar](
            kd_loss="softmax_kd", kd_weight=1.0, distill_temperature=2.0, clt_weight=0.0
        )
    )
    """Hyper-parameters of the plain distillation baseline that differ from the defaults."""
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
            f"resources.students names {', '.join(unused)}, which no trial of this study trains; "
            f"its networks are {', '.join(sorted(self.students))}",
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
            f"finer_weight is set, up to {finer_weight!r}, but data.finer_task is missing. Set it "
            "to the task of the finer labels, or leave finer_weight out",
        )
        require(
            "auto" not in self._given("kd_class_weights")
            or "student_alone" in self.search.baselines,
            "kd_class_weights: auto is computed from the validation scores of student_alone, "
            "which search.baselines lacks. Add it there, or set kd_class_weights: even",
        )
        require(
            self.teacher.assistant is None or self.student.knowledge != "online",
            "teacher.assistant and student.knowledge online exclude each other: the knowledge of "
            "an assistant is computed before the trials. Set student.knowledge to cached or "
            "record",
        )
        require(
            not self.teacher.cross_fitting or self.student.knowledge != "online",
            f"teacher.cross_fitting {self.teacher.cross_fitting} and student.knowledge online "
            "exclude each other: the teacher that leaves a recording out is chosen when "
            "knowledge is computed. Set student.knowledge to cached or record",
        )

        accumulating = [
            key for key, asked in self.resources.models().items() if asked.gradient_accumulation > 1
        ]
        require(
            accumulating in ([], ["teacher"]) or "infonce" not in self._values("clt_loss"),
            f"resources.{accumulating[0] if accumulating else ''}.gradient_accumulation above 1 "
            "and clt_loss infonce exclude each other: its negatives are the other recordings of "
            "the batch, and accumulation makes batches smaller. Use crd, or more workers",
        )

    @property
    def trial_epochs(self) -> int:
        """Epochs of an unpruned trial of the search, over all its seeds."""
        return self.student.epochs * self.search.seeds_per_trial

    @property
    def crop_samples(self) -> int:
        """Length of a training crop and of an evaluation window, in samples."""
        return round(self.view.crop_s * self.data.sampling_rate_hz)

    @property
    def students(self) -> set[str]:
        """Names of the networks that a trial or a final of the study may have."""
        return self._values("student")

    @property
    def plugin_losses(self) -> set[str]:
        """Names of the plug-ins' losses that a trial or a final of the study may have."""
        return self._values("plugin_loss") - {NO_PLUGIN}

    def trial_workers(self) -> tuple[WorkersConfig, ...]:
        """List the reservations that trials of the search may have, one per network drawn."""
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
