"""The report of a study: scores on validation before its finals, on test after them."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mvkt_ray.delivery.report.quantities import Count, Share, Split
from mvkt_ray.delivery.report.reported_cost import Cost
from mvkt_ray.delivery.report.reported_data import DataCard, OpenedSplit, Provenance
from mvkt_ray.delivery.report.reported_differences import GapClosed, LeadPair, MeanGain, TeacherGap
from mvkt_ray.delivery.report.reported_leads import ReportedLead, ReportedTeacher
from mvkt_ray.delivery.report.reported_scores import Selection, ValidationGap
from mvkt_ray.delivery.report.reported_search import Racing, Sizes, StudySummary
from mvkt_ray.phrasing import percent

SCHEMA_VERSION = 4
METRIC = "macro_auroc"


def json_key(name: str) -> str:
    """Return the JSON key of a field: its name without the underscore that avoids a keyword."""
    return name.removesuffix("_")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Answer to the question which lead is best."""

    lead: str | None
    """Only lead in the best set; None for several leads, and before finals."""
    highest: str | None
    """Lead with the highest estimate; not a claim."""
    best_set: tuple[str, ...]
    """Leads that cannot be distinguished from the best; empty before finals."""
    ranked_on: Split
    """Split of the ranking."""
    contender: str
    """Contender by which leads are ranked."""
    is_synthetic: bool
    """Whether a program generated the recordings."""
    sentences: tuple[str, ...]
    """Conclusions that the data support, for a physician."""
    sentence: str
    """All sentences as one text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalsDone:
    """The newest complete finals."""

    number: Count
    """Number of the finals."""
    answer: str
    """Contender by which leads are ranked."""
    refit: bool
    """Whether finals were trained on the training and validation splits together."""
    contenders: tuple[str, ...]
    """Names of all contenders."""
    n_trainings: Count
    """Number of planned trainings."""
    n_complete: Count
    """Number of complete trainings."""
    can_be_scored: bool
    """Whether any class is present in some recordings of the test split and absent in others."""
    seeds: tuple[Count, ...]
    """Repetitions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BegunFinals:
    """Incomplete finals, newer than the finals of the report."""

    number: Count
    """Number of the finals."""
    n_trainings: Count
    """Number of planned trainings."""
    n_ended: Count
    """Number of trainings that have ended in any state."""
    is_opened: bool
    """Whether the test split was opened for them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """Methods of intervals and comparisons."""

    level: Share
    """Confidence level of all intervals, 0.95."""
    n_resamples: Count
    """Number of bootstrap resamples."""
    seed: Count
    """Seed of the resamples."""
    min_positives: Count
    """Least number of test recordings with a class for its score to count."""
    basis: tuple[str, ...]
    """Methods, in words."""
    n_gains: Count
    """Comparisons in the family of gains."""
    n_lead_pairs: Count
    """Comparisons in the family of lead pairs."""
    n_mean_gains: Count
    """Comparisons in the family of mean gains."""

    @property
    def level_text(self) -> str:
        """Confidence level in percent, for sentences."""
        return percent(self.level)


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyReport:
    """Content of `report/report.json`, which `mvkt report` writes."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "alias_generator": json_key,
        "use_attribute_docstrings": True,
    }

    schema_version: Literal[4]
    """Version of the report's keys."""
    study: str
    """Name of the study."""
    task: str
    """Name of the task."""
    metric: Literal["macro_auroc"]
    """Score by which leads are ranked."""
    made_at: str
    """Time of the report (UTC, ISO 8601)."""
    mvkt_ray_version: str
    """Version of mvkt-ray that made the report."""
    classes: tuple[str, ...]
    """Classes of the task, in the order of the logits."""
    answer: Answer
    """Best lead, or leads, and the conclusions that the data support."""
    finals: FinalsDone | None
    """Finals of the report; None before finals are complete."""
    finals_begun: BegunFinals | None
    """Newer, incomplete finals, if any."""
    statistics: Statistics
    """Methods of intervals and comparisons."""
    teacher: ReportedTeacher | None
    """Teacher; None before it is trained."""
    leads: tuple[ReportedLead, ...]
    """Leads by rank."""
    lead_pairs: tuple[LeadPair, ...]
    """Differences of all pairs of leads; empty before finals."""
    best_set: tuple[str, ...]
    """Leads that cannot be distinguished from the best at `statistics.level`; empty before
    finals."""
    mean_gain: MeanGain | None
    """Mean over the leads of the gains over the student alone, or else the first contender."""
    mean_gains: tuple[MeanGain, ...]
    """Mean gains over every other contender."""
    mean_gap_closed: GapClosed | None
    """Share of the gap to the teacher over all leads: ratio of means."""
    teacher_gap: TeacherGap | None
    """Gap to the teacher by lead and class; None before finals, and without a contender that
    learned from labels alone."""
    validation_gap: ValidationGap | None
    """Difference of test and validation scores; None before finals, and without a choice."""
    selection: Selection | None
    """Best trial of the search; None if no complete trial left predictions."""
    sizes: Sizes | None
    """Scores against sizes; None if the students of each lead have one size."""
    racing: Racing | None
    """Racing; None if trials were allocated evenly."""
    study_summary: StudySummary
    """Configuration and progress of the search."""
    cost: Cost
    """Seconds and money."""
    data: DataCard | None
    """Data card; None if the shards are missing."""
    data_reason: str | None
    """Reason for a missing data card, else None."""
    provenance: Provenance
    """Origin of the report's numbers."""
    test_split: OpenedSplit
    """The test split and its openings."""
    limits: tuple[str, ...]
    """Limits of the conclusions, the most severe first."""

    @property
    def is_final(self) -> bool:
        """Whether leads are ranked on the test split."""
        return self.finals is not None

    @property
    def ranked(self) -> tuple[ReportedLead, ...]:
        """Leads that are ranked on the test split, the best first."""
        return tuple(lead for lead in self.leads if lead.in_best_set is not None)

    def lead_named(self, name: str | None) -> ReportedLead | None:
        """Return a lead by its name; None if it is not in the report."""
        return next((lead for lead in self.leads if lead.lead == name), None)
