"""How the search of a report went: its trials, its space, its race, its students by size."""

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
    """Low end of its range; None where it has choices."""
    high: float | None
    """High end of its range."""
    log: bool
    """Whether it was drawn on a logarithmic scale."""
    choices: tuple[Scalar, ...] | None
    """What it was drawn from; None where it has a range."""
    conditional: bool
    """Whether it is drawn only where another one has some value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySummary:
    """The search."""

    state: Literal["running", "finished"]
    """Whether trials are left to run."""
    n_trials: Count
    """Asked for."""
    n_begun: Count
    """Trials in the ledger."""
    n_ended: Count
    """Trials that are over, however they ended."""
    states: Mapping[str, Count]
    """Trials by state."""
    arms: Mapping[str, Count]
    """Trials by why they are in the study: `search`, or a baseline."""
    n_epochs: Count
    """That a trial has at most."""
    sampler: str
    """Its name."""
    pruner: str
    """Its name; `none` where no trial was pruned."""
    objectives: tuple[Objective, ...]
    """What the search looked for: the score, and what there should be little of."""
    limits: SizeLimitsConfig
    """How large students may be; None: as large as they come."""
    validated_epochs: tuple[int, ...] | None
    """Epochs after which trials were scored on the validation split (`student.validate`); None:
    after each."""
    conditions: Literal["balanced", "race"]
    """How trials were dealt to leads."""
    space: Mapping[str, SearchedParameter]
    """Searched hyper-parameters, by name."""
    importance: Mapping[str, Share] | None
    """Share of the variance within a lead that each hyper-parameter explains (fANOVA); None: too
    few trials, or nothing varied."""
    lead_importance: Share | None
    """Share of the variance of all complete search trials that lies between leads."""
    importance_basis: str
    """How importance was computed, or why it was not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Racing:
    """Leads that stopped getting trials."""

    error_rate: Share
    """Share of studies in which the best lead is stopped, at most."""
    basis: str
    """How leads are stopped, in words."""
    looks: tuple[Look, ...]
    """Comparisons, the first first."""
    stopped: tuple[str, ...]
    """Leads, in the order in which they were stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SizedTrial:
    """A complete trial of the search: what its student scored, and how large it is."""

    trial: Count
    """Its number."""
    lead: str
    """That its student sees."""
    student: str
    """Name of the network."""
    macro_auroc: float
    """On validation: optimistic, as trials are chosen by it."""
    n_parameters: Count
    """Weights of the student."""
    n_multiply_accumulates: Count
    """Of one evaluation window."""
    latency_ms: float | None
    """For a recording of 10 s; None where it was not measured."""
    cost: float
    """That of the three by which students are compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExaminedSize:
    """A student that was trained again, on the test split."""

    contender: str
    """Its name in the finals."""
    trial: Count
    """Search trial that it repeats, whose size it has."""
    n_parameters: Count
    """Weights of the student."""
    n_multiply_accumulates: Count
    """Of one evaluation window."""
    latency_ms: float | None
    """For a recording of 10 s; None where it was not measured."""
    cost: float
    """That of the three by which students are compared."""
    macro_auroc: float
    """On the test split, mean over the seeds."""
    ci: Ends | None
    """Its interval."""
    n_seeds: Count
    """Trainings that the score is a mean of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """Trials that no other one beats in score and size."""

    front: tuple[SizedTrial, ...]
    """The smallest first, the best last; never empty."""
    best: Count
    """Number of the trial with the highest score."""
    nearly_as_good: Count
    """Number of the smallest trial that is behind the best by the margin or less."""

    def point(self, trial: int) -> SizedTrial:
        """Return a trial of the front by its number."""
        return next(each for each in self.front if each.trial == trial)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadFront(Front):
    """The front of one lead."""

    lead: str
    """Its name."""
    examined: tuple[ExaminedSize, ...]
    """What the finals trained again; empty before finals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Scores of students against their sizes."""

    by: Objective
    """What students are compared by beside the score."""
    margin: float
    """Of macro AUROC, within which a smaller student is nearly as good."""
    window_s: float
    """Length of an evaluation window in seconds."""
    n_trials: Count
    """Complete trials that are compared."""
    of_all_leads: Front
    """Trials of all leads together."""
    leads: tuple[LeadFront, ...]
    """By lead, in the order of the report's leads."""
