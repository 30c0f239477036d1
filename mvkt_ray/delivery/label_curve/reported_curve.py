"""The report of a label budget, as `label_curve.json` holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mvkt_ray.delivery.report.quantities import Ends
from mvkt_ray.search.label_budget.budget_cells import Budget
from mvkt_ray.search.label_budget.budget_folder import CellState

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveScore:
    """A contender, or the teacher, at one budget."""

    macro_auroc: float | None
    ci: Ends | None
    by_draw: tuple[float, ...]
    """Score of each draw; of one draw alone its mean over seeds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveGain:
    """Distilled minus alone, paired over patients and draws."""

    difference: float
    ci: Ends | None
    ci_corrected: Ends | None
    """Corrected over all gains of the curves (Holm)."""
    p_holm: float
    claimed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EqualLabels:
    """With how many labels alone is as good as distilled.

    `fewest` and `most` are those that were measured: beyond them nothing is known, so that a number
    there is None, and a flag says on which side it is.
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
    """Recordings, mean over draws."""
    alone: CurveScore
    answer: CurveScore
    teacher: CurveScore
    gain: CurveGain
    equal_labels: EqualLabels | None
    """None where only one budget was measured."""


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
    """What of the study's `data.labelled` is set."""
    n_labelled: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnBudget:
    """One budget, as far as it was examined."""

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
    """Which are known, in words."""
    state: CellState


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveStatistics:
    """How intervals and comparisons were made."""

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
    """UTC, ISO 8601."""
    mvkt_ray_version: str
    distils_unlabelled: bool
    is_synthetic: bool
    metric: str
    statistics: CurveStatistics
    alone: str
    """Contender that learned from labels alone."""
    answer: str
    """Contender that is distilled."""
    n_test_recordings: int
    n_test_patients: int
    budgets: tuple[DrawnBudget, ...]
    leads: tuple[LeadCurve, ...]
    cells: tuple[CurveCell, ...]
    sentences: tuple[str, ...]
