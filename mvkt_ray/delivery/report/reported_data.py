"""The recordings of a report: the data card, the openings of the test split, and provenance."""

from collections.abc import Mapping
from dataclasses import dataclass

from mvkt_ray.delivery.report.quantities import Count, Ordinal, Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Ages:
    """Ages of the patients of a split, in years, one for each recording."""

    median: float
    """50th percentile."""
    low: float
    """5th percentile."""
    high: float
    """95th percentile."""
    n_unknown: Count
    """Recordings without an age."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitCard:
    """Recordings of a split; those of validation and test all have a label of the task."""

    folds: tuple[int, ...]
    """Of the source."""
    n_recordings: Count
    """In the split."""
    n_labelled: Count
    """Whose label is known; students distil over the others of the training split."""
    n_patients: Count | None
    """None: not looked at."""
    n_positive: Mapping[str, Count] | None
    """Recordings by class; None: not looked at."""
    age_years: Ages | None
    """None: not looked at, or no age is known."""
    sex: Mapping[str, Count] | None
    """Recordings by sex; None: not looked at, or none is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Splits:
    """The three splits."""

    train: SplitCard
    """Recordings that models learn from."""
    val: SplitCard
    """Recordings that configurations are chosen on."""
    test: SplitCard
    """Recordings that are kept apart until the finals."""

    def of(self, split: Split) -> SplitCard:
        """Return a split that leads are ranked on."""
        return self.test if split == "test" else self.val

    @property
    def all(self) -> tuple[SplitCard, SplitCard, SplitCard]:
        """Training, validation and test."""
        return self.train, self.val, self.test


@dataclass(frozen=True, kw_only=True, slots=True)
class DataCard:
    """Data card. `n_recordings` is the sum of the splits and of what is in none of them."""

    source: str
    """Name of the source."""
    is_synthetic: bool
    """Whether recordings are made up by a program."""
    shards: str
    """Where they are: a path or a URI."""
    sampling_rate_hz: Count
    """Of the shards."""
    leads: tuple[str, ...]
    """Of the shards."""
    n_recordings: Count
    """Of the shards."""
    n_patients: Count
    """Of the shards."""
    n_without_patient: Count
    """Recordings of which the source names no patient: each counts as one of a patient of its
    own."""
    n_without_fold: Count
    """Recordings that the source gives no fold."""
    n_in_other_folds: Count
    """Recordings of folds that no split names."""
    other_folds: tuple[int, ...]
    """Folds that no split names."""
    n_without_label: Count
    """Recordings of all splits without a label of the task."""
    n_without_lead: Count
    """Recordings of all splits with a label, but lacking a lead."""
    n_with_assumed_gain: Count
    """Recordings with a lead that states no gain: the usual one was assumed."""
    n_with_assumed_rate: Count
    """Recordings that state no sampling rate: the usual one was assumed."""
    n_not_listed: Count
    """Recordings of the source's folder that its table does not list."""
    min_likelihood: float
    """Percent; codes below it do not count."""
    crop_s: float
    """Seconds of a recording that models see at once."""
    folds_made_at_ingest: bool
    """Whether the source has no folds of its own."""
    splits: Splits
    """By what they are for."""
    n_quarantined: Count
    """Recordings of the source that could not be used."""
    quarantine: Mapping[str, Count]
    """The same by reason, the most frequent first."""
    remarks: tuple[str, ...]
    """What the ingest said of records left out, of patients and of codes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedOpening:
    """One opening of the test split."""

    number: Ordinal
    """From 1, over all finals of the study."""
    finals: Ordinal
    """Number of the finals that it was opened for."""
    opened_at: str
    """UTC, ISO 8601."""
    mvkt_ray_version: str
    """Of the program that opened it."""
    code: str
    """SHA-256 of the package's source."""
    commit: str | None
    """Of git; None outside of a checkout."""
    command: str
    """By which it was opened."""
    host: str
    """Name of the machine."""
    reason: str
    """Why it was opened again; empty the first time."""
    n_recordings: Count
    """Of the test split."""
    completed_at: str | None
    """UTC, ISO 8601; None: the examination goes on."""
    completed_by: str | None
    """Hash of the code that completed it."""
    predictions: str | None
    """SHA-256 over all predictions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedSplit:
    """The recordings kept apart until the finals."""

    opened: Count
    """How often it was opened."""
    openings: tuple[ReportedOpening, ...]
    """The first first."""
    n_recordings: Count | None
    """None where the recordings are not there any more."""
    n_patients: Count | None
    """None before finals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsUsed:
    """Seeds of all that is random."""

    study: Count
    """Of the search."""
    teacher: Count
    """That the teacher was trained with."""
    finals: tuple[Count, ...]
    """Repetitions of the finals."""
    statistics: Count
    """Of the resamples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where every number comes from."""

    fingerprints: Mapping[str, str]
    """SHA-256, by artifact."""
    seeds: SeedsUsed
    """By what they were for."""
    versions: Mapping[str, str | None]
    """Of the program that made the report, and of what it uses; None: not installed."""
    artifact_versions: Mapping[str, str]
    """mvkt-ray that made each artifact, and that opened the test split."""
    commands: Mapping[str, str]
    """By what each artifact was made, and the test split opened."""
