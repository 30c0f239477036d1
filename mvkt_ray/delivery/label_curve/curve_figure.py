"""The figure of a label budget: one panel per lead with alone, distilled and the teacher.

Reads: the report of the label budget.
"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mvkt_ray.delivery.figures.drawing import (
    ALONE_STYLE,
    CHOSEN_STYLE,
    TEACHER_STYLE,
    WIDTH,
    Style,
    drawing,
    grid_of,
    label,
    lowest_panels,
    panels,
    put_legend,
    to_svg,
)
from mvkt_ray.delivery.label_curve.reported_curve import CurveScore, LabelCurve, LeadCurve
from mvkt_ray.delivery.wording import contender_name
from mvkt_ray.json_values import nan_if_none
from mvkt_ray.phrasing import PAGE

_N_COLUMNS = 2
_PANEL_HEIGHT = 330.0
_STYLES: Mapping[str, Style] = {
    "teacher": TEACHER_STYLE,
    "alone": ALONE_STYLE,
    "answer": CHOSEN_STYLE,
}
_ASIDE = {"teacher": 1.0, "alone": 0.985, "answer": 1.015}
"""Factors of the x position, so that bars at one budget do not overlap."""


def draw_curve(curve: LabelCurve) -> str:
    """Return one panel per lead as SVG; an empty string without an examined cell."""
    leads = [lead for lead in curve.leads if lead.points]
    if not leads:
        return ""
    n_rows, _ = grid_of(len(leads), _N_COLUMNS)
    with drawing(WIDTH, _PANEL_HEIGHT * n_rows + 40) as figure:
        all_axes = panels(figure, len(leads), _N_COLUMNS, sharex=True, sharey=True)
        for axes, lead in zip(all_axes, leads, strict=True):
            _draw_panel(axes, lead)
        for axes in all_axes[::_N_COLUMNS]:
            axes.set_ylabel("macro AUROC on the test split")
        for axes in lowest_panels(all_axes, _N_COLUMNS):
            axes.set_xlabel("labelled recordings")
        put_legend(figure, all_axes, _legend(curve))
        return to_svg(figure, "label-curve", "Score against labels", _describe(curve, leads))


def _draw_panel(axes: Axes, lead: LeadCurve) -> None:
    points = lead.points
    places = [point.n_labelled for point in points]
    axes.set_xscale("log")
    for name, style in _STYLES.items():
        own = [place * _ASIDE[name] for place in places]
        scores: list[CurveScore] = [getattr(point, name) for point in points]
        is_teacher = name == "teacher"
        axes.plot(
            own, [nan_if_none(score.macro_auroc) for score in scores], style.marker,
            color=style.colour, linestyle=style.line, linewidth=1.2 if is_teacher else 1.8,
            markersize=5 if is_teacher else 7,
        )  # fmt: skip
        if is_teacher:
            continue
        for place, score in zip(own, scores, strict=True):
            if score.ci is not None:
                axes.plot((place, place), score.ci, color=style.colour, linewidth=1.3)
            if (n_draws := len(score.by_draw)) > 1:
                axes.plot(
                    [place] * n_draws, score.by_draw, style.marker, color=style.colour,
                    markersize=3, markeredgewidth=0, alpha=0.6,
                )  # fmt: skip
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda place, _: PAGE.count(place)))
    axes.set_xlim(min(places) / 1.15, max(places) * 1.15)
    axes.set_title(label(lead.lead, 24))


def _legend(curve: LabelCurve) -> list[Line2D]:
    names = {
        "answer": contender_name(curve.answer),
        "alone": contender_name(curve.alone),
        "teacher": "teacher",
    }
    return [
        Line2D(
            [], [], marker=_STYLES[key].marker, linestyle=_STYLES[key].line,
            color=_STYLES[key].colour, label=name,
        )
        for key, name in names.items()
    ]  # fmt: skip


def _describe(curve: LabelCurve, leads: Sequence[LeadCurve]) -> str:
    parts: list[str] = []
    for lead in leads:
        first, last = lead.points[0], lead.points[-1]
        texts = [
            f"{contender_name(curve.alone)} {PAGE.score(point.alone.macro_auroc)} and "
            f"{contender_name(curve.answer)} {PAGE.score(point.answer.macro_auroc)} with "
            f"{PAGE.count(point.n_labelled)} labels"
            for point in ([first] if first is last else [first, last])
        ]
        parts.append(f"{lead.lead}: {', '.join(texts)}")
    return f"Macro AUROC against the number of labelled recordings. {'; '.join(parts)}."
