"""Leads by classes as a coloured table of AUROCs.

The colour map is cividis, which red-green colour blindness hardly changes (Nunez, Anderton and
Renslow, PLOS ONE 2018). Every cell states its number, too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.colors import to_hex

from mvkt_ray.delivery.report.quantities import Split
from mvkt_ray.delivery.report.reported_scores import ClassScores, Scores, TestScores
from mvkt_ray.delivery.report.study_report import StudyReport

_N_LEGEND_STEPS = 6
_BLACK_ABOVE = 0.179
"""Relative luminance above which black letters have more contrast than white ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """AUROC of one lead and one class."""

    auroc: float | None
    interval: Sequence[float] | None
    too_few: bool
    """Whether there are too few positives to show the number."""
    background: str | None
    """Colour as hexadecimal RGB, as is `ink`; None for a cell without colour."""
    ink: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Cells of one lead, or of the teacher."""

    name: str
    macro: Cell
    cells: tuple[Cell, ...]
    in_best_set: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatMap:
    """Table with its header, and the legend of its colours."""

    classes: tuple[str, ...]
    n_positives: tuple[int | None, ...]
    rows: tuple[Row, ...]
    teacher: Row | None
    legend: tuple[Cell, ...]
    split: str


def make_heat_map(report: StudyReport) -> HeatMap | None:
    """Return leads by classes on the split of the ranking; None without any score."""
    split = report.answer.ranked_on
    classes = tuple(report.classes)
    scores = {lead.lead: found for lead in report.leads if (found := lead.on(split)) is not None}
    if not scores:
        return None
    teacher = report.teacher.on(split) if report.teacher else None
    everything = [*scores.values(), *([teacher] if teacher else [])]
    low, high = _range([value for one in everything for value in _values(one, classes)])
    best = set(report.best_set)
    rows = tuple(_row(name, one, classes, low, high, name in best) for name, one in scores.items())
    return HeatMap(
        classes=classes,
        n_positives=tuple(_n_positive(one, everything, report, split) for one in classes),
        rows=rows,
        teacher=None if teacher is None else _row("teacher", teacher, classes, low, high, False),
        legend=tuple(
            _cell(low + (high - low) * step / (_N_LEGEND_STEPS - 1), None, False, low, high)
            for step in range(_N_LEGEND_STEPS)
        ),
        split=split,
    )


def _row(
    name: str, one: Scores, classes: Sequence[str], low: float, high: float, best: bool
) -> Row:
    cells: list[Cell] = []
    for class_name in classes:
        found = one.per_class.get(class_name)
        if isinstance(found, ClassScores):
            cells.append(_cell(found.auroc, found.ci, found.too_few, low, high))
        else:
            cells.append(_cell(found, None, False, low, high))
    macro = _cell(
        one.macro_auroc, one.ci if isinstance(one, TestScores) else None, False, low, high
    )
    return Row(name=name, macro=macro, cells=tuple(cells), in_best_set=best)


def _cell(
    auroc: float | None, interval: Sequence[float] | None, too_few: bool, low: float, high: float
) -> Cell:
    if auroc is None or too_few:
        return Cell(auroc=auroc, interval=interval, too_few=too_few, background=None, ink=None)
    colour = mpl.colormaps["cividis"]((auroc - low) / (high - low) if high > low else 0.5)
    return Cell(
        auroc=auroc,
        interval=interval,
        too_few=False,
        background=to_hex(colour),
        ink="#000" if _luminance(colour[:3]) > _BLACK_ABOVE else "#fff",
    )


def _luminance(colour: Sequence[float]) -> float:
    """Return the relative luminance of WCAG 2, from 0 to 1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _values(one: Scores, classes: Sequence[str]) -> list[float]:
    found = [one.per_class.get(name) for name in classes]
    values = [
        (None if each.too_few else each.auroc) if isinstance(each, ClassScores) else each
        for each in found
    ]
    return [value for value in values if value is not None]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return ends at multiples of 0.05 that include all values, for a legend of round numbers."""
    if not values:
        return 0.0, 1.0
    return math.floor(min(values) * 20) / 20, math.ceil(max(values) * 20) / 20


def _n_positive(
    class_name: str, everything: Sequence[Scores], report: StudyReport, split: Split
) -> int | None:
    for one in everything:
        found = one.per_class.get(class_name)
        if isinstance(found, ClassScores):
            return found.n_positive
    if report.data is None:
        return None
    counts = report.data.splits.of(split).n_positive
    return None if counts is None else counts.get(class_name)
