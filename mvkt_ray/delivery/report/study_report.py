"""All that the report of a study says: before its finals on validation, after them on test."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mvkt_ray.delivery.report.quantities import Count, Share, Split
from mvkt_ray.delivery.report.reported_cost import Cost
from mvkt_ray.delivery.report.reported_data import DataCard, OpenedSplit, Provenance
from mvkt_ray.delivery.report.reported_differences import GapClosed, LeadPair, MeanGain, TeacherGap
from mvkt_ray.delivery.report.reported_leads import ReportedLead, ReportedTeacher
from mvkt_ray.delivery.report.reported_scores import Selection, ValidationGap
from mvkt_ray.delivery.report.reported_search import Racing, Sizes, StudySummary

SCHEMA_VERSION = 4
METRIC = "macro_auroc"


def json_key(name: str) -> str:
    """Return the key of a field in JSON; a word of Python's has an underscore behind it."""
    return name.removesuffix("_")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The answer."""

    lead: str | None
    """The one lead in the best set; None when it has several, and before finals."""
    highest: str | None
    """Lead with the highest estimate; not a claim."""
    best_set: tuple[str, ...]
    """Leads that cannot be told from the best; empty before finals."""
    ranked_on: Split
    """Split that leads are ranked on."""
    contender: str
    """By which leads are ranked."""
    is_synthetic: bool
    """Whether recordings are made up by a program."""
    sentences: tuple[str, ...]
    """For a physician: what these data allow to say, and no more."""
    sentence: str
    """The same, as one text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalsDone:
    """What was trained again and examined on the test split."""

    number: Count
    """Of the finals; the newest that are complete."""
    answer: str
    """Contender that leads are ranked by."""
    refit: bool
    """Whether finals were trained on the validation split, too."""
    contenders: tuple[str, ...]
    """Names of all that was compared."""
    n_trainings: Count
    """Planned."""
    n_complete: Count
    """That came to their end."""
    can_be_scored: bool
    """Whether any class is in some recordings of the test split and not in others."""
    seeds: tuple[Count, ...]
    """Repetitions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BegunFinals:
    """Finals that are newer than those of the report, and not over."""

    number: Count
    """Of the finals."""
    n_trainings: Count
    """Planned."""
    n_ended: Count
    """That are over, however they ended."""
    is_opened: bool
    """Whether their examination of the test split was begun."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """How intervals and comparisons were made."""

    level: Share
    """Of all intervals, 0.95."""
    n_resamples: Count
    """Of the bootstrap."""
    seed: Count
    """Of the resamples."""
    min_positives: Count
    """Test recordings with a class below which it says too little of a lead."""
    basis: tuple[str, ...]
    """The methods, in words."""
    n_gains: Count
    """Comparisons in the family of gains."""
    n_lead_pairs: Count
    """Comparisons in the family of leads against leads."""
    n_mean_gains: Count
    """Comparisons in the family of mean gains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyReport:
    """What `mvkt report` writes as report/report.json."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "alias_generator": json_key,
        "use_attribute_docstrings": True,
    }

    schema_version: Literal[4]
    """Of these keys."""
    study: str
    """Name of the study."""
    task: str
    """Name of the task."""
    metric: Literal["macro_auroc"]
    """What leads are ranked by."""
    made_at: str
    """UTC, ISO 8601."""
    mvkt_ray_version: str
    """Of the program that made the report."""
    classes: tuple[str, ...]
    """Of the task, in the order of the logits."""
    answer: Answer
    """Which lead, and what may be said of it."""
    finals: FinalsDone | None
    """None before finals are complete."""
    finals_begun: BegunFinals | None
    """Finals newer than those of the report that are not over; None where there are none."""
    statistics: Statistics
    """How intervals and comparisons were made."""
    teacher: ReportedTeacher | None
    """None where the study has no teacher yet."""
    leads: tuple[ReportedLead, ...]
    """By rank."""
    lead_pairs: tuple[LeadPair, ...]
    """Every lead against every other; empty before finals."""
    best_set: tuple[str, ...]
    """Leads that cannot be told from the best at `statistics.level`; empty before finals."""
    mean_gain: MeanGain | None
    """Mean over the leads of the gains over the student alone, or else the first contender."""
    mean_gains: tuple[MeanGain, ...]
    """Over every other contender."""
    mean_gap_closed: GapClosed | None
    """Of the mean over the leads: ratio of means."""
    teacher_gap: TeacherGap | None
    """None before finals, and where nothing that learned from labels alone was compared."""
    validation_gap: ValidationGap | None
    """None before finals, and where nothing was chosen."""
    selection: Selection | None
    """None where no complete trial left predictions."""
    sizes: Sizes | None
    """None where the students of each lead have one size."""
    racing: Racing | None
    """None where leads were dealt trials evenly."""
    study_summary: StudySummary
    """How the search went."""
    cost: Cost
    """What it took."""
    data: DataCard | None
    """None where the recordings are not there any more."""
    data_reason: str | None
    """Why there is no data card; None where there is."""
    provenance: Provenance
    """Where every number comes from."""
    test_split: OpenedSplit
    """The recordings kept apart until the finals."""
    limits: tuple[str, ...]
    """What these data cannot say, the gravest first."""

    @property
    def is_final(self) -> bool:
        """Whether leads are ranked on the test split."""
        return self.finals is not None

    @property
    def ranked(self) -> tuple[ReportedLead, ...]:
        """Leads that are ranked on the test split."""
        return tuple(lead for lead in self.leads if lead.in_best_set is not None)

    def lead_named(self, name: str | None) -> ReportedLead | None:
        """Return a lead by its name; None where it is not in the report."""
        return next((lead for lead in self.leads if lead.lead == name), None)
