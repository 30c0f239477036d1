"""The leads of a report, what was compared for each, and the teacher of their students."""

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
    """Search trial that it is, or was taken from; None: the configuration was given."""
    seeds: tuple[Count, ...]
    """Repetitions that it is scored over."""
    hyperparameters: Mapping[str, Scalar]
    """By name."""
    validation: ValidationScores | None
    """None where it was trained on the validation split, or not to its end."""
    test: TestScores | None
    """None before finals, and where no training came to its end."""

    def on(self, split: Split) -> Scores | None:
        """Return the scores on a split."""
        return self.test if split == "test" else self.validation


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadSearch:
    """Trials of a lead."""

    best_trial: Count | None
    """The lead's best complete search trial now; after finals the search may have gone on."""
    n_trials: Count
    """Trials of the search, without baselines."""
    n_complete: Count
    """Of these, trained to the end."""
    n_pruned: Count
    """Of these, pruned."""
    n_failed: Count
    """Of these, failed or diverged."""
    stopped_at_trial: Count | None
    """Trial of the study at which racing stopped the lead; None: it did not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedLead:
    """One lead, or lead set, in the order of rank."""

    rank: Ordinal
    """1 is the highest."""
    lead: str
    """Its name, `V5` or `I+V5`."""
    leads: tuple[str, ...]
    """The leads of the set."""
    trial: Count | None
    """Search trial with the chosen configuration."""
    seeds: tuple[Count, ...]
    """Repetitions that the answer is scored over."""
    hyperparameters: Mapping[str, Scalar] | None
    """Of the answer, by name; None where there is none."""
    n_parameters: Count | None
    """Weights of the student."""
    search: LeadSearch
    """How its search went."""
    validation: ChosenValidation | None
    """Of the chosen trial; None where nothing was chosen."""
    test: TestScores | None
    """Of the answer; None before finals."""
    contenders: Mapping[str, ReportedContender]
    """All that was compared, by name."""
    gain: Gain | None
    """Over the student alone, or else the first other contender."""
    gains: tuple[Gain, ...]
    """Over every other contender of the lead."""
    gap_closed: GapClosed | None
    """None before finals, and where no student alone was compared."""
    in_best_set: bool | None
    """Whether it cannot be told from the best; None where it is not ranked."""
    difference_to_best: DifferenceToBest | None
    """To the best of the other leads; None where no other is ranked."""

    def on(self, split: Split) -> ChosenValidation | TestScores | None:
        """Return the scores on a split."""
        return self.test if split == "test" else self.validation


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedTeacher:
    """The model that sees all its leads: the ceiling."""

    network: str
    """Name of its network."""
    assistant: str | None
    """Network of the models of the students' own leads that it taught, and that taught them in its
    place; None: it taught them itself."""
    leads: tuple[str, ...]
    """That it sees."""
    n_parameters: Count
    """Its weights."""
    validation: ValidationScores
    """Of its one training."""
    test: TestScores | None
    """None before finals, and where no lead is ranked."""

    def on(self, split: Split) -> Scores | None:
        """Return the scores on a split."""
        return self.test if split == "test" else self.validation
