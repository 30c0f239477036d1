"""The types of a label budget's report, `label_curve.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mvkt_ray.delivery.report.quantities import Ends
from mvkt_ray.search.label_budget.budget_cells import Budget
from mvkt_ray.search.label_budget.budget_folder import CellState

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveScore:
    """Score of a contender or the teacher at one budget."""

    macro_auroc: float | None
    ci: Ends | None
    by_draw: tuple[float, ...]
    """Score of each draw; for one draw its mean over seeds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveGain:
    """Gain, distilled minus alone, paired over patients and draws."""

    difference: float
    ci: Ends | None
    ci_corrected: Ends | None
    """Confidence interval corrected over all gains of the curves (Holm)."""
    p_holm: float
    claimed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EqualLabels:
    """Number of labels with which alone is as good as distilled.

    `fewest` and `most` are the measured numbers of labels. A number outside of them is unknown: it
    is None, and a flag states on which side it is.
    """

    n_labels: float | None
    low: float | None
    high: float | None
    is_beyond: bool
    is_below: bool
    low_is_beyond: bool
    low_is_below: bool
    high_is_beyond: bool
    high_is_below: bool
    fewest: float
    most: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """One lead at one budget."""

    budget: Budget
    n_labelled: float
    """Number of labelled recordings, mean over draws."""
    alone: CurveScore
    answer: CurveScore
    teacher: CurveScore
    gain: CurveGain
    equal_labels: EqualLabels | None
    """None for a single budget."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadCurve:
    """The curves of one lead, the fewest labels first."""

    lead: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetDraw:
    """One examined draw of the labels."""

    name: str
    labelled: Mapping[str, Any]
    """Values of the study's `data.labelled` that are set."""
    n_labelled: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnBudget:
    """One budget with its examined draws."""

    budget: Budget
    n_labelled: float
    n_draws: int
    n_draws_planned: int
    draws: tuple[BudgetDraw, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveCell:
    """A planned cell."""

    name: str
    labels: str
    """Known labels, in words."""
    state: CellState


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveStatistics:
    """Methods of intervals and comparisons."""

    level: float
    n_resamples: int
    n_gains: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelCurve:
    """Score against labels, alone and distilled, for each lead."""

    schema_version: int
    study: str
    task: str
    made_at: str
    """Time of the report (UTC, ISO 8601)."""
    mvkt_ray_version: str
    distils_unlabelled: bool
    is_synthetic: bool
    metric: str
    statistics: CurveStatistics
    alone: str
    """Name of the contender that learned from labels alone."""
    answer: str
    """Name of the distilled contender."""
    n_test_recordings: int
    n_test_patients: int
    budgets: tuple[DrawnBudget, ...]
    leads: tuple[LeadCurve, ...]
    cells: tuple[CurveCell, ...]
    sentences: tuple[str, ...]
