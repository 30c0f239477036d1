"""The gains of the answer: paired differences per lead, with intervals corrected for multiplicity.

Reads: the report's values after finals.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mvkt_ray.delivery.facts.comparisons import compared_with
from mvkt_ray.delivery.figures.drawing import (
    WIDTH,
    Colour,
    drawing,
    label,
    panels,
    to_svg,
)
from mvkt_ray.delivery.report.reported_differences import Gain, MeanGain
from mvkt_ray.delivery.report.reported_leads import ReportedLead
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.sentences.captions import DRAWN_GAINS
from mvkt_ray.delivery.wording import contender_name, student_name

_ROW_HEIGHT, _FRAME_HEIGHT = 27.0, 125.0


def draw_gains(report: StudyReport) -> str:
    """Return one panel per baseline, one row per lead, as SVG; an empty string without gains."""
    leads = [lead for lead in report.leads if lead.gains]
    baselines, _ = compared_with(leads)
    if not baselines:
        return ""
    shown = baselines[:DRAWN_GAINS]
    with drawing(WIDTH, _ROW_HEIGHT * (len(leads) + 1) + _FRAME_HEIGHT) as figure:
        for axes, over in zip(
            panels(figure, len(shown), DRAWN_GAINS, sharex=True, sharey=True), shown, strict=True
        ):
            _draw_panel(axes, leads, over, report)
        figure.legend(handles=_legend(report), loc="outside lower center", ncols=4)
        return to_svg(figure, "gains", "What the teacher bought", _describe(report, leads, shown))


def _draw_panel(axes: Axes, leads: Sequence[ReportedLead], over: str, report: StudyReport) -> None:
    axes.axvline(0, color=Colour.INK, linewidth=1.2)
    names: list[str] = []
    for y, lead in enumerate(leads):
        names.append(label(lead.lead, 20))
        for gain in lead.gains:
            if gain.over == over:
                _draw_gain(axes, y, gain)
    mean = _mean_gain(report, over)
    if mean is not None:
        y = len(leads) + 0.35
        names.append("mean")
        axes.axhline(len(leads) - 0.35, color=Colour.MUTED, linewidth=0.8)
        for bounds, width in ((mean.ci_corrected, 1.1), (mean.ci, 3.2)):
            if bounds is not None:
                axes.plot(bounds, (y, y), color=Colour.INK, linewidth=width)
        face = Colour.INK if mean.claimed else Colour.PAPER
        axes.plot(mean.difference, y, "D", color=Colour.INK, markerfacecolor=face, markersize=8)
    ticks = [*range(len(leads)), len(leads) + 0.35][: len(names)]
    axes.set_yticks(ticks, names)
    axes.set_ylim(len(leads) + 0.9, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])
    axes.set_title(f"over {label(contender_name(over), 24)}")
    axes.set_xlabel("difference in macro AUROC")


def _draw_gain(axes: Axes, y: int, gain: Gain) -> None:
    colour = Colour.DISTILLED if gain.claimed else Colour.MUTED
    if gain.ci_corrected is not None:
        axes.plot(gain.ci_corrected, (y, y), color=colour, linewidth=1.1)
    if gain.ci is not None:
        axes.plot(gain.ci, (y, y), color=colour, linewidth=3.2)
    face = colour if gain.claimed else Colour.PAPER
    axes.plot(gain.difference, y, "o", color=colour, markerfacecolor=face)


def _mean_gain(report: StudyReport, over: str) -> MeanGain | None:
    return next((mean for mean in report.mean_gains if mean.over == over), None)


def _legend(report: StudyReport) -> list[Line2D | Patch]:
    style: dict[str, Any] = {"linestyle": "none", "marker": "o"}
    level = report.statistics.level_text
    blue, grey = Colour.DISTILLED, Colour.MUTED
    return [
        Line2D([], [], color=blue, label="gain claimed", **style),
        Line2D([], [], color=grey, markerfacecolor=Colour.PAPER, label="not claimed", **style),
        Line2D([], [], color=Colour.INK, linewidth=3.2, label=f"{level} interval"),
        Line2D([], [], color=Colour.INK, linewidth=1.1, label="corrected interval"),
    ]


def _describe(report: StudyReport, leads: Sequence[ReportedLead], shown: Sequence[str]) -> str:
    parts: list[str] = []
    for over in shown:
        gains = [gain for lead in leads for gain in lead.gains if gain.over == over]
        above = sum(gain.difference > 0 for gain in gains)
        claimed = sum(gain.claimed for gain in gains)
        parts.append(
            f"over {contender_name(over)} the difference is above 0 for {above} of {len(gains)} "
            f"leads, and claimed for {claimed}"
        )
    answer = student_name(report.answer.contender)
    return f"{answer[0].upper()}{answer[1:]} minus baseline: {'; '.join(parts)}."
