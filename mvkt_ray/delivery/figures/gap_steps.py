"""The gap between student alone and teacher: its closed, attainable and left parts.

Reads: the report's `teacher_gap`.
"""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mvkt_ray.delivery.figures.drawing import (
    ALONE_STYLE,
    CHOSEN_STYLE,
    TEACHER_STYLE,
    WIDTH,
    Colour,
    drawing,
    grid_of,
    label,
    lowest_panels,
    panels,
    put_legend,
    to_svg,
)
from mvkt_ray.delivery.report.reported_differences import GapRow, LeadGap
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.wording import contender_name
from mvkt_ray.phrasing import PAGE

DRAWN_LEADS = 6
"""Most leads in the figure, by rank; the tables have all."""
_N_COLUMNS = 3
_ROW_HEIGHT, _FRAME_HEIGHT = 26.0, 92.0
_STEPS = ("alone", "answer", "ensemble", "teacher")
_MARKERS = {
    "alone": (ALONE_STYLE.marker, ALONE_STYLE.colour, Colour.PAPER, 6.0),
    "answer": (CHOSEN_STYLE.marker, CHOSEN_STYLE.colour, CHOSEN_STYLE.colour, 7.0),
    "ensemble": ("^", Colour.PLAIN, Colour.PAPER, 7.0),
    "teacher": (TEACHER_STYLE.marker, TEACHER_STYLE.colour, TEACHER_STYLE.colour, 6.0),
}
_LINES = {"answer": Colour.DISTILLED, "ensemble": Colour.PLAIN, "teacher": Colour.MUTED}
"""Colour of the step to each model."""


def draw_gap_steps(report: StudyReport) -> str:
    """Return one panel per lead, one row per class, as SVG; an empty string without a gap."""
    gap = report.teacher_gap
    if gap is None:
        return ""
    leads = gap.leads[:DRAWN_LEADS]
    names = _names(leads)
    if not names:
        return ""
    n_rows, _ = grid_of(len(leads), _N_COLUMNS)
    height = n_rows * (_ROW_HEIGHT * len(names) + _FRAME_HEIGHT) + 30
    with drawing(WIDTH, height) as figure:
        all_axes = panels(figure, len(leads), _N_COLUMNS, sharex=True, sharey=True)
        for axes, lead in zip(all_axes, leads, strict=True):
            _draw_panel(axes, lead, names)
        for axes in lowest_panels(all_axes, _N_COLUMNS):
            axes.set_xlabel("AUROC on the test split")
        put_legend(figure, all_axes, _legend(gap.baseline, report.answer.contender, leads))
        return to_svg(
            figure,
            "teacher-gap",
            "The gap to the teacher",
            _describe(gap.baseline, report.answer.contender, leads),
        )


def _names(leads: Sequence[LeadGap]) -> list[str | None]:
    """Return the classes of the rows, None for the macro mean, without too rare ones."""
    rows = [row for lead in leads for row in lead.rows if _is_drawn(row)]
    return list(dict.fromkeys(row.class_ for row in rows))


def _is_drawn(row: GapRow) -> bool:
    return row.gap is not None and not row.too_few


def _draw_panel(axes: Axes, lead: LeadGap, names: Sequence[str | None]) -> None:
    for row in filter(_is_drawn, lead.rows):
        _draw_row(axes, names.index(row.class_), row)
    axes.set_yticks(
        range(len(names)), ["macro mean" if name is None else label(name, 16) for name in names]
    )
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])
    axes.set_title(label(lead.lead, 24))


def _draw_row(axes: Axes, y: int, row: GapRow) -> None:
    scores = {name: getattr(row, name) for name in _STEPS}
    steps = [name for name in _STEPS if scores[name] is not None]
    for low, high in pairwise(steps):
        # The part left is thin and dotted, as no student of this lead has reached it.
        is_left = high == "teacher"
        axes.plot(
            (scores[low], scores[high]), (y, y), color=_LINES[high],
            linewidth=1.4 if is_left else 3.0,
            linestyle=TEACHER_STYLE.line if is_left else "-", zorder=1.5,
        )  # fmt: skip
    for name in steps:
        marker, colour, face, size = _MARKERS[name]
        axes.plot(
            scores[name], y, marker, color=colour, markerfacecolor=face, markersize=size,
            markeredgewidth=1.3,
        )  # fmt: skip


def _legend(baseline: str, answer: str, leads: Sequence[LeadGap]) -> list[Line2D]:
    n_students = sorted({lead.n_students for lead in leads})
    n = f"{n_students[0]}" if len(n_students) == 1 else f"{n_students[0]} to {n_students[-1]}"
    texts = {
        "alone": contender_name(baseline),
        "answer": contender_name(answer),
        "ensemble": f"ensemble of {n} of these",
        "teacher": "teacher",
    }
    shown = [name for name in _STEPS if name != "ensemble" or n_students[-1] > 1]
    return [
        Line2D(
            [], [], linestyle="none", marker=_MARKERS[name][0], color=_MARKERS[name][1],
            markerfacecolor=_MARKERS[name][2], markersize=_MARKERS[name][3], label=texts[name],
        )
        for name in shown
    ]  # fmt: skip


def _describe(baseline: str, contender: str, leads: Sequence[LeadGap]) -> str:
    alone, answer = contender_name(baseline), contender_name(contender)
    parts: list[str] = []
    for lead in leads:
        row = lead.rows[0]
        if row.gap is None:
            continue
        scores = [f"{alone} {PAGE.score(row.alone)}", f"{answer} {PAGE.score(row.answer)}"]
        if row.ensemble is not None:
            scores.append(f"their ensemble {PAGE.score(row.ensemble)}")
        parts.append(f"{lead.lead}: {', '.join(scores)}, teacher {PAGE.score(row.teacher)}")
    return f"Macro AUROC from student to teacher. {'; '.join(parts)}."
