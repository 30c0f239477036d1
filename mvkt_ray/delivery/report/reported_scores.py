"""Scores of a model, or of a contender over its seeds, on the validation and the test split."""

from collections.abc import Mapping
from dataclasses import dataclass

from mvkt_ray.delivery.report.quantities import Count, Ends, Share


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationScores:
    """Scores on the validation split."""

    macro_auroc: Share | None
    """Mean over the classes that can be scored, and over the seeds."""
    per_class: Mapping[str, Share | None]
    """AUROC by class; None if undefined."""
    left_out: tuple[str, ...]
    """Classes excluded from the mean, as no validation recording has them, or every one."""
    n_seeds: Count
    """Number of trainings in the means."""

    def auroc_of(self, name: str) -> float | None:
        """Return the AUROC of a class; None if undefined."""
        return self.per_class.get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenValidation(ValidationScores):
    """Scores on the validation split of the trial that was chosen on it: optimistic."""

    corrected: float | None
    """Score corrected for the choice among the lead's trials (BBC-CV)."""
    corrected_ci: Ends | None
    """Confidence interval of the corrected score."""
    n_candidates: Count
    """Number of complete search trials to choose from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScores:
    """Scores of one class on the test split; means over the seeds."""

    auroc: Share | None
    """AUROC; None if no recording has the class, or every one."""
    ci: Ends | None
    """Confidence interval of the AUROC, over patients and seeds."""
    n_positive: Count
    """Test recordings with the class."""
    average_precision: Share | None
    """Average precision; None if no recording has the class."""
    f1: Share | None
    """F1 at thresholds chosen on validation; None without a threshold (see `f1_reason`)."""
    threshold: float | None
    """Probability from which the class is predicted; mean over the seeds."""
    too_few: bool
    """Whether there are fewer positives than `statistics.min_positives`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestScores:
    """Scores on the test split."""

    macro_auroc: Share
    """Mean over the classes that can be scored, and over the seeds."""
    ci: Ends | None
    """Confidence interval: bootstrap percentiles over patients and seeds."""
    ci_bca: Ends | None
    """Confidence interval, bias-corrected and accelerated (BCa)."""
    seed_sd: float | None
    """Standard deviation of the macro AUROC over the seeds; None with one seed."""
    per_seed: tuple[Share, ...]
    """Macro AUROC of every seed."""
    n_seeds: Count
    """Number of trainings in the means."""
    per_class: Mapping[str, ClassScores]
    """Scores by class, in the order of the task."""
    macro_f1: Share | None
    """Mean over the classes that have an F1."""
    f1_left_out: tuple[str, ...]
    """Classes excluded from the mean F1, as no test recording has them, or no validation recording,
    so that there is no threshold."""
    f1_reason: str | None
    """Reason for a missing F1, else None."""
    macro_average_precision: Share | None
    """Mean over the classes of the test recordings."""
    average_precision_left_out: tuple[str, ...]
    """Classes excluded from the mean average precision, as no test recording has them."""
    left_out: tuple[str, ...]
    """Classes excluded from the mean AUROC, as no test recording has them, or every one."""
    task_scores: Mapping[str, float | None] | None
    """`f_beta_2` and `g_beta_2` of the task icbeb9, `challenge_metric` of cinc26; else None."""

    def auroc_of(self, name: str) -> float | None:
        """Return the AUROC of a class; None if undefined."""
        return self.per_class[name].auroc if name in self.per_class else None


Scores = ValidationScores | TestScores


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Best validation score of the study, measured and corrected for the choice."""

    lead: str
    """Lead of the best trial."""
    trial: Count
    """Number of the best trial of the search."""
    naive: Share | None
    """Measured validation macro AUROC."""
    corrected: float | None
    """Validation macro AUROC corrected for the choice (BBC-CV)."""
    ci: Ends | None
    """Confidence interval of the corrected score."""
    n_candidates: Count
    """Number of complete trials to choose from."""
    n_recordings: Count
    """Recordings in the validation split."""
    basis: str
    """Method of estimation, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationGap:
    """Difference between the best test score and the validation score of the same configuration."""

    lead: str
    """Lead with the highest test score."""
    validation: Share
    """Validation macro AUROC of the chosen search trial."""
    corrected: float | None
    """Validation score corrected for the choice (BBC-CV); None without a choice."""
    corrected_ci: Ends | None
    """Confidence interval of the corrected score."""
    n_candidates: Count
    """Number of complete search trials to choose from."""
    test: Share
    """Test macro AUROC of the same configuration, mean over seeds."""
    test_ci: Ends | None
    """Confidence interval of the test score."""
    difference: float
    """Test minus validation."""
    mean_difference: float
    """Mean of the differences over the leads with both scores."""
    n_leads: Count
    """Number of leads with both scores."""
    same_classes: bool
    """Whether both means are over the same classes."""
