"""The search of a report: its trials, search space, racing, and students by size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mvkt_ray.config.objectives import Objective, SizeLimitsConfig
from mvkt_ray.config.search_config import Scalar
from mvkt_ray.delivery.report.quantities import Count, Ends, Share
from mvkt_ray.search.choosing.racing import Look


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchedParameter:
    """A searched hyper-parameter."""

    low: float | None
    """Low end of its range; None for a categorical parameter."""
    high: float | None
    """High end of its range; None for a categorical parameter."""
    log: bool
    """Whether it is sampled on a logarithmic scale."""
    choices: tuple[Scalar, ...] | None
    """Choices of a categorical parameter; None for a range."""
    conditional: bool
    """Whether it is sampled only for certain values of another parameter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySummary:
    """Configuration and progress of the search."""

    state: Literal["running", "finished"]
    """Whether trials are left to run."""
    n_trials: Count
    """Number of trials requested."""
    n_begun: Count
    """Trials in the ledger."""
    n_ended: Count
    """Trials that have ended in any state."""
    states: Mapping[str, Count]
    """Trials by state."""
    arms: Mapping[str, Count]
    """Trials by arm: `search`, or a baseline."""
    n_epochs: Count
    """Most epochs of a trial."""
    sampler: str
    """Name of the sampler."""
    pruner: str
    """Name of the pruner, or `none`."""
    objectives: tuple[Objective, ...]
    """Optimisation targets: the score, then costs to minimise."""
    limits: SizeLimitsConfig
    """Size limits of students; None for no limit."""
    validated_epochs: tuple[int, ...] | None
    """Epochs after which trials were scored on the validation split (`student.validate`); None for
    every epoch."""
    conditions: Literal["balanced", "race"]
    """Method of allocating trials to leads."""
    space: Mapping[str, SearchedParameter]
    """Searched hyper-parameters, by name."""
    importance: Mapping[str, Share] | None
    """Share of the variance within a lead that each hyper-parameter explains (fANOVA); None for too
    few trials, or if nothing varied."""
    lead_importance: Share | None
    """Share of the variance of all complete search trials that lies between leads."""
    importance_basis: str
    """Method of computing importance, or the reason for its absence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Racing:
    """Racing: leads that received no further trials."""

    error_rate: Share
    """Upper bound on the share of studies in which the best lead is stopped."""
    basis: str
    """Stopping rule, in words."""
    looks: tuple[Look, ...]
    """Comparisons, the first one first."""
    stopped: tuple[str, ...]
    """Leads, in the order in which they were stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SizedTrial:
    """A complete trial of the search: score and size of its student."""

    trial: Count
    """Number of the trial."""
    lead: str
    """Lead of its student."""
    student: str
    """Name of the network."""
    macro_auroc: float
    """Validation score: optimistic, as trials are chosen by it."""
    n_parameters: Count
    """Number of the student's weights."""
    n_multiply_accumulates: Count
    """Multiply-accumulates for one evaluation window."""
    latency_ms: float | None
    """Milliseconds for a recording of 10 s; None if not measured."""
    cost: float
    """Value of the size by which students are compared (`Sizes.by`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExaminedSize:
    """A student of the finals: size and test score."""

    contender: str
    """Name of the contender."""
    trial: Count
    """Number of the search trial with the same configuration and size."""
    n_parameters: Count
    """Number of the student's weights."""
    n_multiply_accumulates: Count
    """Multiply-accumulates for one evaluation window."""
    latency_ms: float | None
    """Milliseconds for a recording of 10 s; None if not measured."""
    cost: float
    """Value of the size by which students are compared (`Sizes.by`)."""
    macro_auroc: float
    """Test score, mean over the seeds."""
    ci: Ends | None
    """Confidence interval of the test score."""
    n_seeds: Count
    """Number of trainings in the mean."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """Pareto front of trials by score and size."""

    front: tuple[SizedTrial, ...]
    """Trials of the front, the smallest first, the best last; never empty."""
    best: Count
    """Number of the trial with the highest score."""
    nearly_as_good: Count
    """Number of the smallest trial within the margin of the best."""

    def point(self, trial: int) -> SizedTrial:
        """Return a trial of the front by its number."""
        return next(each for each in self.front if each.trial == trial)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadFront(Front):
    """Pareto front of one lead."""

    lead: str
    """Name of the lead."""
    examined: tuple[ExaminedSize, ...]
    """Students of the finals; empty before finals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Scores of students against their sizes."""

    by: Objective
    """Size by which students are compared."""
    margin: float
    """Difference in macro AUROC up to which a smaller student is nearly as good."""
    window_s: float
    """Length of an evaluation window in seconds."""
    n_trials: Count
    """Number of complete trials compared."""
    of_all_leads: Front
    """Pareto front over all leads together."""
    leads: tuple[LeadFront, ...]
    """Pareto fronts of the leads, in the order of the report's leads."""
