"""Paired differences of scores on the test split: gains, leads against leads, and gaps."""

from dataclasses import dataclass

from mvkt_ray.delivery.report.quantities import Count, Ends, Ordinal, Share


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """A paired difference of macro AUROC on the test split."""

    over: str
    """Name of what is subtracted: a contender, a lead, or a study."""
    difference: float
    """The first minus the second."""
    ci: Ends | None
    """Interval of this difference alone."""
    ci_corrected: Ends | None
    """Simultaneous over its family; agrees with `p_holm`."""
    p: Share
    """Two-sided p-value of this difference alone."""
    p_holm: Share
    """Corrected over the family (Holm)."""
    claimed: bool
    """Whether `ci_corrected` excludes 0."""
    n_seeds: Count
    """Seeds that both have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanGain(Gain):
    """The mean over leads of the answer's gains over one other contender."""

    n_leads: Count
    """Leads that it is the mean over."""
    n_positive_leads: Count
    """How many of them have a difference above 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadPair(Gain):
    """One lead minus another, both by the answer."""

    lead: str
    """The one that is ranked higher."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DifferenceToBest:
    """A lead minus the best of the other leads."""

    difference: float
    """Of the macro AUROC."""
    low: float | None
    """Low end of its interval, simultaneous over the leads."""
    high: float | None
    """High end of the interval."""
    p: Share | None
    """That the lead is as good as the best, simultaneous over the leads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GapClosed:
    """Share of the distance between student alone and teacher that the answer closes."""

    fraction: float | None
    """1 where the answer is as good as the teacher; None where the gap is not shown."""
    ci: Ends | None
    """Its interval."""
    gap: float
    """Macro AUROC of the teacher minus that of the student alone."""
    gap_ci: Ends | None
    """Its interval."""
    reason: str | None
    """Why there is no fraction; None where there is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeGap:
    """The gap between a student alone and the teacher."""

    difference: float
    """Of the AUROC."""
    ci: Ends | None
    """Its interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GapPart:
    """One part of the gap to the teacher."""

    difference: float
    """Of the AUROC."""
    ci: Ends | None
    """Its interval."""
    fraction: float | None
    """Of the gap; None where the gap is not shown."""
    fraction_ci: Ends | None
    """Interval of the fraction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GapRow:
    """The gap of one class, or of their macro mean, and its parts, which sum to it."""

    class_: str | None
    """None: macro mean over the classes that can be scored."""
    n_positive: Count | None
    """Test recordings with the class; None for the mean."""
    too_few: bool
    """Fewer positives than `statistics.min_positives`."""
    alone: Share | None
    """AUROC of the baseline, mean over seeds."""
    answer: Share | None
    """AUROC of the answer, mean over seeds."""
    ensemble: Share | None
    """AUROC of the mean of the probabilities of the answer's seeds; None for one seed."""
    teacher: Share | None
    """AUROC of the teacher."""
    gap: WholeGap | None
    """Teacher minus alone; None where there is no score."""
    closed: GapPart | None
    """Answer minus alone."""
    attainable: GapPart | None
    """Ensemble minus answer: what the lead shows, and one student does not reach; None for one
    seed."""
    left: GapPart | None
    """Teacher minus ensemble, of one seed minus answer: probably not visible in this lead."""
    reason: str | None
    """Why there are no fractions; None where there are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadGap:
    """The gap of the students of one lead to their teacher."""

    lead: str
    """Whose students they are."""
    n_students: Ordinal
    """Seeds that answer and baseline have; so many students are in the ensemble."""
    rows: tuple[GapRow, ...]
    """The macro mean first, then the classes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherGap:
    """How far students are from the teacher by lead and class: closed, attainable, left."""

    baseline: str
    """The contender that learned from labels alone."""
    leads: tuple[LeadGap, ...]
    """Ranked, the best first."""
