"""The ranked leads as a forest plot: score, interval, best set, and the teacher as the ceiling.

Reads: the report's values, on validation before finals, on test after them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from mvkt_ray.delivery.facts.comparisons import ALONE
from mvkt_ray.delivery.figures.drawing import (
    ALONE_STYLE,
    CHOSEN_STYLE,
    TEACHER_STYLE,
    WIDTH,
    Colour,
    drawing,
    label,
    to_svg,
)
from mvkt_ray.delivery.report.quantities import Split
from mvkt_ray.delivery.report.reported_leads import ReportedLead, ReportedTeacher
from mvkt_ray.delivery.report.reported_scores import ChosenValidation, Scores, TestScores
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.wording import student_name
from mvkt_ray.phrasing import PAGE, counted

_ROW_HEIGHT, _FRAME_HEIGHT = 30.0, 110.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    lead: str
    score: float
    interval: Sequence[float] | None
    naive: float | None
    alone: float | None
    is_best: bool


def draw_ranked_leads(report: StudyReport) -> str:
    """Return one row per lead with a score as SVG; an empty string without any."""
    split, answer = report.answer.ranked_on, report.answer.contender
    rows = [row for lead in report.leads if (row := _row(lead, answer, split)) is not None]
    if not rows:
        return ""
    teacher = report.teacher and report.teacher.on(split)
    with drawing(WIDTH, _ROW_HEIGHT * len(rows) + _FRAME_HEIGHT) as figure:
        axes = figure.subplots()
        for y, row in enumerate(rows):
            _draw_row(axes, y, row)
        if teacher is not None:
            _draw_teacher(axes, teacher)
        axes.set_yticks(range(len(rows)), [label(row.lead, 30) for row in rows])
        for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
            tick.set_fontweight("bold" if row.is_best else "normal")
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=9, steps=[1, 2, 5, 10])
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"macro AUROC on the {split} split")
        figure.legend(
            handles=_legend(rows, report, teacher and report.teacher),
            loc="outside lower center",
            ncols=4,
        )
        return to_svg(figure, "ranked-leads", "Ranked leads", _describe(rows, split, teacher))


def _row(lead: ReportedLead, answer: str, split: Split) -> _Row | None:
    # As the answer it is drawn already.
    alone = None if answer == ALONE else lead.contenders.get(ALONE)
    alone_scores = alone and alone.on(split)
    scores = lead.on(split)
    if scores is None or scores.macro_auroc is None:
        return None
    corrected = scores.corrected if isinstance(scores, ChosenValidation) else None
    return _Row(
        lead=lead.lead,
        score=scores.macro_auroc if corrected is None else corrected,
        interval=scores.ci if isinstance(scores, TestScores) else scores.corrected_ci,
        naive=None if corrected is None else scores.macro_auroc,
        alone=alone_scores and alone_scores.macro_auroc,
        is_best=bool(lead.in_best_set),
    )


def _draw_row(axes: Axes, y: int, row: _Row) -> None:
    style = CHOSEN_STYLE
    if row.is_best:
        axes.axhspan(y - 0.46, y + 0.46, color=Colour.BAND, linewidth=0, zorder=0.4)
    if row.interval is not None:
        axes.plot(row.interval, (y, y), color=style.colour, linewidth=2.6 if row.is_best else 1.4)
    if row.alone is not None:
        axes.plot(
            row.alone, y, ALONE_STYLE.marker, markersize=5.5, color=ALONE_STYLE.colour,
            markerfacecolor=Colour.PAPER, markeredgewidth=1.3,
        )  # fmt: skip
    if row.naive is not None:
        axes.plot(row.naive, y, "x", markersize=6, color=style.colour, markeredgewidth=1.3)
    face = style.colour if row.is_best else Colour.PAPER
    axes.plot(row.score, y, style.marker, markersize=8, color=style.colour, markerfacecolor=face)


def _draw_teacher(axes: Axes, teacher: Scores) -> None:
    if isinstance(teacher, TestScores) and teacher.ci is not None:
        axes.axvspan(*teacher.ci, color=Colour.FAINT, linewidth=0, zorder=0.5)
    if teacher.macro_auroc is not None:
        axes.axvline(teacher.macro_auroc, color=Colour.TEACHER, linestyle=TEACHER_STYLE.line)


def _legend(
    rows: Sequence[_Row], report: StudyReport, teacher: ReportedTeacher | None
) -> list[Line2D]:
    style = CHOSEN_STYLE
    with_interval = any(row.interval is not None for row in rows)
    text = student_name(report.answer.contender) + (
        f", {report.statistics.level_text} interval" if with_interval else ""
    )
    line: LineStyleType = "-" if with_interval else "none"
    known = any(row.is_best for row in rows)
    handles: list[Line2D] = []
    if known:
        handles.append(_handle(style.marker, line, style.colour, style.colour, f"{text}; best set"))
        text = "other leads"
    if not known or not all(row.is_best for row in rows):
        handles.append(_handle(style.marker, line, style.colour, Colour.PAPER, text))
    if any(row.naive is not None for row in rows):
        handles.append(_handle("x", "none", style.colour, style.colour, "uncorrected best trial"))
    if any(row.alone is not None for row in rows):
        colour = ALONE_STYLE.colour
        handles.append(
            _handle(ALONE_STYLE.marker, "none", colour, Colour.PAPER, ALONE_STYLE.name, 5.5)
        )
    if teacher is not None:
        name = f"teacher, {counted(len(teacher.leads), 'lead')}"
        handles.append(
            Line2D([], [], color=Colour.TEACHER, linestyle=TEACHER_STYLE.line, label=name)
        )
    return handles


def _handle(
    marker: str, line: LineStyleType, colour: Colour, face: Colour, name: str, size: float = 7.0
) -> Line2D:
    return Line2D(
        [], [], marker=marker, linestyle=line, color=colour, markerfacecolor=face, label=name,
        markersize=size,
    )  # fmt: skip


def _describe(rows: Sequence[_Row], split: Split, teacher: Scores | None) -> str:
    best, worst = rows[0], rows[-1]
    text = (
        f"Macro AUROC of {len(rows)} leads on the {split} split, the best first: from "
        f"{best.lead} with {PAGE.score(best.score)} to {worst.lead} with {PAGE.score(worst.score)}."
    )
    if teacher is not None:
        text += f" The teacher has {PAGE.score(teacher.macro_auroc)}."
    return text
