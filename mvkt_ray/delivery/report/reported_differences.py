"""Paired differences of scores on the test split: gains, lead pairs, and gaps to the teacher."""

from dataclasses import dataclass

from mvkt_ray.delivery.report.quantities import Count, Ends, Ordinal, Share


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """A paired difference of macro AUROC on the test split."""

    over: str
    """Name of the subtracted contender, lead or study."""
    difference: float
    """Difference of the macro AUROC."""
    ci: Ends | None
    """Confidence interval of this difference alone."""
    ci_corrected: Ends | None
    """Confidence interval that is simultaneous over its family; agrees with `p_holm`."""
    p: Share
    """Two-sided p-value of this difference alone."""
    p_holm: Share
    """p-value corrected over the family (Holm)."""
    claimed: bool
    """Whether `ci_corrected` excludes 0."""
    n_seeds: Count
    """Number of seeds that both sides share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanGain(Gain):
    """Mean over leads of the answer's gains over one other contender."""

    n_leads: Count
    """Number of leads in the mean."""
    n_positive_leads: Count
    """Number of these leads with a difference above 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadPair(Gain):
    """Difference of two leads, both scored by the answer."""

    lead: str
    """Name of the higher-ranked lead; `over` is the other one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DifferenceToBest:
    """Difference of a lead to the best of the other leads."""

    difference: float
    """Difference of the macro AUROC."""
    low: float | None
    """Low end of its confidence interval, simultaneous over the leads."""
    high: float | None
    """High end of the confidence interval."""
    p: Share | None
    """p-value of the lead being as good as the best, simultaneous over the leads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GapClosed:
    """Share of the gap between student alone and teacher that the answer closes."""

    fraction: float | None
    """Share of the gap, 1 for an answer as good as the teacher; None if the gap is not shown."""
    ci: Ends | None
    """Confidence interval of the fraction."""
    gap: float
    """Macro AUROC of the teacher minus that of the student alone."""
    gap_ci: Ends | None
    """Confidence interval of the gap."""
    reason: str | None
    """Reason for a missing fraction, else None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeGap:
    """Gap between a student alone and the teacher."""

    difference: float
    """Difference of the AUROC."""
    ci: Ends | None
    """Confidence interval of the difference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GapPart:
    """One part of the gap to the teacher."""

    difference: float
    """Difference of the AUROC."""
    ci: Ends | None
    """Confidence interval of the difference."""
    fraction: float | None
    """Share of the gap; None if the gap is not shown."""
    fraction_ci: Ends | None
    """Confidence interval of the fraction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GapRow:
    """Gap of one class, or of the macro mean, and its parts, which sum to the gap."""

    class_: str | None
    """Name of the class; None for the macro mean over the classes that can be scored."""
    n_positive: Count | None
    """Test recordings with the class; None for the mean."""
    too_few: bool
    """Whether there are fewer positives than `statistics.min_positives`."""
    alone: Share | None
    """AUROC of the baseline, mean over seeds."""
    answer: Share | None
    """AUROC of the answer, mean over seeds."""
    ensemble: Share | None
    """AUROC of the probabilities averaged over the answer's seeds; None for one seed."""
    teacher: Share | None
    """AUROC of the teacher."""
    gap: WholeGap | None
    """Teacher minus alone; None without a score."""
    closed: GapPart | None
    """Answer minus alone."""
    attainable: GapPart | None
    """Ensemble minus answer: visible in the lead, but not reached by one student; None for one
    seed."""
    left: GapPart | None
    """Teacher minus ensemble, or minus answer for one seed: probably not visible in this lead."""
    reason: str | None
    """Reason for missing fractions, else None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadGap:
    """Gap of the students of one lead to their teacher."""

    lead: str
    """Name of the lead."""
    n_students: Ordinal
    """Number of students in the ensemble: one per seed that answer and baseline share."""
    rows: tuple[GapRow, ...]
    """Macro mean first, then the classes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherGap:
    """Gap of the students to the teacher, by lead and class: closed, attainable, left."""

    baseline: str
    """Name of the contender that learned from labels alone."""
    leads: tuple[LeadGap, ...]
    """Leads by rank, the best first."""
