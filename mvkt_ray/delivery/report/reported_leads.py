"""The leads of a report, the contenders of each, and the teacher of their students."""

from collections.abc import Mapping
from dataclasses import dataclass

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.delivery.report.quantities import Count, Ordinal, Split
from mvkt_ray.delivery.report.reported_differences import DifferenceToBest, Gain, GapClosed
from mvkt_ray.delivery.report.reported_scores import (
    ChosenValidation,
    Scores,
    TestScores,
    ValidationScores,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedContender:
    """One configuration of one lead."""

    trial: Count | None
    """Number of its search trial; None for a configuration given in the study file."""
    seeds: tuple[Count, ...]
    """Repetitions that it is scored over."""
    hyperparameters: Mapping[str, Scalar]
    """Hyper-parameters by name."""
    validation: ValidationScores | None
    """Scores on validation; None if trained on the validation split, or without a complete
    training."""
    test: TestScores | None
    """Scores on test; None before finals, and without a complete training."""

    def on(self, split: Split) -> Scores | None:
        """Return the scores on a split."""
        return self.test if split == "test" else self.validation


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadSearch:
    """Search trials of a lead."""

    best_trial: Count | None
    """Number of the best complete search trial at the time of the report; the search may have
    continued after finals."""
    n_trials: Count
    """Trials of the search, without baselines."""
    n_complete: Count
    """Number of complete trials."""
    n_pruned: Count
    """Number of pruned trials."""
    n_failed: Count
    """Number of failed and diverged trials."""
    stopped_at_trial: Count | None
    """Number of the study's trial at which racing stopped the lead; None if not stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedLead:
    """One lead, or lead set, with its rank."""

    rank: Ordinal
    """Rank, 1 is the highest."""
    lead: str
    """Name of the lead or lead set, `V5` or `I+V5`."""
    leads: tuple[str, ...]
    """Leads of the set."""
    trial: Count | None
    """Number of the search trial with the chosen configuration."""
    seeds: tuple[Count, ...]
    """Repetitions that the answer is scored over."""
    hyperparameters: Mapping[str, Scalar] | None
    """Hyper-parameters of the answer, by name; None without an answer."""
    n_parameters: Count | None
    """Number of the student's weights."""
    search: LeadSearch
    """Search trials of the lead."""
    validation: ChosenValidation | None
    """Validation scores of the chosen trial; None without one."""
    test: TestScores | None
    """Test scores of the answer; None before finals."""
    contenders: Mapping[str, ReportedContender]
    """All contenders of the lead, by name."""
    gain: Gain | None
    """Gain over the student alone, or else over the first other contender."""
    gains: tuple[Gain, ...]
    """Gains over every other contender of the lead."""
    gap_closed: GapClosed | None
    """Share of the gap to the teacher; None before finals, and without a student alone."""
    in_best_set: bool | None
    """Whether the lead cannot be distinguished from the best; None for an unranked lead."""
    difference_to_best: DifferenceToBest | None
    """Difference to the best of the other leads; None without another ranked lead."""

    def on(self, split: Split) -> ChosenValidation | TestScores | None:
        """Return the scores on a split."""
        return self.test if split == "test" else self.validation


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedTeacher:
    """The teacher: a model of several leads, the ceiling for the students."""

    network: str
    """Name of its network."""
    assistant: str | None
    """Name of the network of the assistants: intermediate teachers on the students' leads; None for
    students taught by the teacher itself."""
    leads: tuple[str, ...]
    """Leads of its input."""
    n_parameters: Count
    """Number of its weights."""
    validation: ValidationScores
    """Validation scores of its one training."""
    test: TestScores | None
    """Test scores; None before finals, and without a ranked lead."""

    def on(self, split: Split) -> Scores | None:
        """Return the scores on a split."""
        return self.test if split == "test" else self.validation
