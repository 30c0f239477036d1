"""The recordings of a report: the data card, the openings of the test split, and provenance."""

from collections.abc import Mapping
from dataclasses import dataclass

from mvkt_ray.delivery.report.quantities import Count, Ordinal, Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Ages:
    """Ages in years of a split's patients, one value per recording."""

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
    """Recordings of a split; all recordings of validation and test have a label of the task."""

    folds: tuple[int, ...]
    """Fold numbers of the source."""
    n_recordings: Count
    """Recordings in the split."""
    n_labelled: Count
    """Recordings with a known label; students distil over the unlabelled ones of the training
    split."""
    n_patients: Count | None
    """Patients in the split; None for a test split that is not opened."""
    n_positive: Mapping[str, Count] | None
    """Recordings by class; None for a test split that is not opened."""
    age_years: Ages | None
    """Ages; None for a test split that is not opened, or if no age is known."""
    sex: Mapping[str, Count] | None
    """Recordings by sex; None for a test split that is not opened, or if no sex is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Splits:
    """The three splits."""

    train: SplitCard
    """Recordings for training."""
    val: SplitCard
    """Recordings for choosing configurations."""
    test: SplitCard
    """Recordings held out until the finals."""

    def of(self, split: Split) -> SplitCard:
        """Return the validation or the test split."""
        return self.test if split == "test" else self.val

    @property
    def all(self) -> tuple[SplitCard, SplitCard, SplitCard]:
        """Training, validation and test split, in this order."""
        return self.train, self.val, self.test


@dataclass(frozen=True, kw_only=True, slots=True)
class DataCard:
    """Data card; `n_recordings` counts the recordings of all splits and of no split."""

    source: str
    """Name of the source."""
    is_synthetic: bool
    """Whether a program generated the recordings."""
    shards: str
    """Path or URI of the shards."""
    sampling_rate_hz: Count
    """Sampling rate of the shards in Hz."""
    leads: tuple[str, ...]
    """Leads of the shards."""
    n_recordings: Count
    """Recordings in the shards."""
    n_patients: Count
    """Patients in the shards."""
    n_without_patient: Count
    """Recordings without a patient id in the source; each counts as a patient of its own."""
    n_without_fold: Count
    """Recordings without a fold."""
    n_in_other_folds: Count
    """Recordings in folds that belong to no split."""
    other_folds: tuple[int, ...]
    """Folds that belong to no split."""
    n_without_label: Count
    """Recordings of all splits without a label of the task."""
    n_without_lead: Count
    """Recordings of all splits with a label, but without one of the leads."""
    n_with_assumed_gain: Count
    """Recordings with a lead whose file states no gain; the format's default was assumed."""
    n_with_assumed_rate: Count
    """Recordings whose file states no sampling rate; the format's default was assumed."""
    n_not_listed: Count
    """Recordings in the source's folder that its table does not list."""
    min_likelihood: float
    """Least likelihood in percent of a code that counts."""
    crop_s: float
    """Length in seconds of a model's input window."""
    folds_made_at_ingest: bool
    """Whether the ingest made the folds, as the source has none."""
    splits: Splits
    """Training, validation and test split."""
    n_quarantined: Count
    """Recordings of the source that could not be used."""
    quarantine: Mapping[str, Count]
    """Quarantined recordings by reason, the most frequent first."""
    remarks: tuple[str, ...]
    """Remarks of the ingest on omitted records, patients and codes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedOpening:
    """One opening of the test split."""

    number: Ordinal
    """Number from 1, over all finals of the study."""
    finals: Ordinal
    """Number of the finals that required the opening."""
    opened_at: str
    """Time of the opening (UTC, ISO 8601)."""
    mvkt_ray_version: str
    """Version of mvkt-ray that opened it."""
    code: str
    """SHA-256 of the package's source."""
    commit: str | None
    """Git commit; None outside of a checkout."""
    command: str
    """Command that opened it."""
    host: str
    """Name of the machine."""
    reason: str
    """Reason for a further opening; empty the first time."""
    n_recordings: Count
    """Recordings in the test split."""
    completed_at: str | None
    """End of the examination (UTC, ISO 8601); None until then."""
    completed_by: str | None
    """SHA-256 of the package's source at the end of the examination."""
    predictions: str | None
    """SHA-256 over all predictions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedSplit:
    """The test split and its openings."""

    opened: Count
    """Number of openings."""
    openings: tuple[ReportedOpening, ...]
    """Openings, the oldest first."""
    n_recordings: Count | None
    """Recordings in the test split; None if the shards are missing."""
    n_patients: Count | None
    """Patients in the test split; None before finals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsUsed:
    """Seeds of all random numbers."""

    study: Count
    """Seed of the search."""
    teacher: Count
    """Seed of the teacher's training."""
    finals: tuple[Count, ...]
    """Repetitions of the finals."""
    statistics: Count
    """Seed of the bootstrap resamples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Origin of the report's numbers."""

    fingerprints: Mapping[str, str]
    """SHA-256 of each artifact, by kind."""
    seeds: SeedsUsed
    """Seeds by purpose."""
    versions: Mapping[str, str | None]
    """Versions of Python and packages that made the report; None: not installed."""
    artifact_versions: Mapping[str, str]
    """Version of mvkt-ray that made each artifact and opened the test split."""
    commands: Mapping[str, str]
    """Command that made each artifact and opened the test split."""
