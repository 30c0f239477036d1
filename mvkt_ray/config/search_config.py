"""Sections `space`, `search` and `finals` of a study file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mvkt_ray.config.checks import Section, require, require_above_zero, require_not_negative
from mvkt_ray.config.objectives import (
    SCORE,
    Objective,
    SizeLimitsConfig,
    check_conditions,
    check_enqueued,
    check_objectives,
    check_sampler,
)

Scalar = bool | int | float | str


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
