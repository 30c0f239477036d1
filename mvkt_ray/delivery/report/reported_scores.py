"""What one model, or one contender over its seeds, scores on the validation and the test split."""

from collections.abc import Mapping
from dataclasses import dataclass

from mvkt_ray.delivery.report.quantities import Count, Ends, Share


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationScores:
    """Scores on the validation split."""

    macro_auroc: Share | None
    """Mean over the classes that can be scored, and over the seeds."""
    per_class: Mapping[str, Share | None]
    """AUROC by class; None: not defined."""
    left_out: tuple[str, ...]
    """Classes that no validation recording has, or every one: in no mean."""
    n_seeds: Count
    """Trainings that the scores are means of."""

    def auroc_of(self, name: str) -> float | None:
        """Return the AUROC of a class."""
        return self.per_class.get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenValidation(ValidationScores):
    """Scores on the validation split of what was chosen on it: optimistic."""

    corrected: float | None
    """Selection-corrected (BBC-CV) estimate of what choosing among the lead's trials gives."""
    corrected_ci: Ends | None
    """Its interval."""
    n_candidates: Count
    """Complete search trials that were chosen among."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScores:
    """One class on the test split; means over the seeds."""

    auroc: Share | None
    """None: no recording has the class, or every one."""
    ci: Ends | None
    """Interval of the AUROC, over patients and seeds."""
    n_positive: Count
    """Test recordings with the class."""
    average_precision: Share | None
    """None: no recording has the class."""
    f1: Share | None
    """By thresholds that were chosen on validation; None where there are none (see `f1_reason`)."""
    threshold: float | None
    """Probability from which the class is said to be present; mean over the seeds."""
    too_few: bool
    """Fewer positives than `statistics.min_positives`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestScores:
    """Scores on the test split."""

    macro_auroc: Share
    """Mean over the classes that can be scored, and over the seeds."""
    ci: Ends | None
    """Its interval: bootstrap percentiles, patients and seeds resampled."""
    ci_bca: Ends | None
    """Its interval, bias corrected and accelerated."""
    seed_sd: float | None
    """Standard deviation of the macro AUROC over the seeds; None with one seed."""
    per_seed: tuple[Share, ...]
    """Macro AUROC of every seed."""
    n_seeds: Count
    """Trainings that the scores are means of."""
    per_class: Mapping[str, ClassScores]
    """By class, in the order of the task."""
    macro_f1: Share | None
    """Mean over the classes that have an F1."""
    f1_left_out: tuple[str, ...]
    """Classes that are in no mean F1: no test recording has them, or no validation recording to
    choose a threshold by."""
    f1_reason: str | None
    """Why there is no F1; None where there is."""
    macro_average_precision: Share | None
    """Mean over the classes that some test recording has."""
    average_precision_left_out: tuple[str, ...]
    """Classes that no test recording has: in no mean average precision."""
    left_out: tuple[str, ...]
    """Classes that no test recording has, or every one: in no mean AUROC."""
    task_scores: Mapping[str, float | None] | None
    """`f_beta_2` and `g_beta_2` of the task icbeb9, `challenge_metric` of cinc26; else None."""

    def auroc_of(self, name: str) -> float | None:
        """Return the AUROC of a class."""
        return self.per_class[name].auroc if name in self.per_class else None


Scores = ValidationScores | TestScores


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The best validation score of the whole study, and what correcting for the choice leaves."""

    lead: str
    """Of the best trial."""
    trial: Count
    """Number of the best trial of the search."""
    naive: Share | None
    """Its validation macro AUROC as it was measured."""
    corrected: float | None
    """The same, corrected for having chosen the best (BBC-CV)."""
    ci: Ends | None
    """Interval of the corrected score."""
    n_candidates: Count
    """Complete trials that were chosen among."""
    n_recordings: Count
    """Of the validation split."""
    basis: str
    """How it was estimated, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationGap:
    """How far the best test score is from the validation score that its lead was chosen by."""

    lead: str
    """With the highest test score."""
    validation: Share
    """Macro AUROC of the search trial that was chosen."""
    corrected: float | None
    """For having chosen (BBC-CV); None where there was no choice."""
    corrected_ci: Ends | None
    """Its interval."""
    n_candidates: Count
    """Complete search trials that were chosen among."""
    test: Share
    """Macro AUROC of the same configuration, mean over seeds."""
    test_ci: Ends | None
    """Its interval."""
    difference: float
    """Test minus validation."""
    mean_difference: float
    """Mean over the leads that have both."""
    n_leads: Count
    """Leads that have both."""
    same_classes: bool
    """Whether both means are over the same classes."""
