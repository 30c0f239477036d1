"""Students by size and score, their Pareto fronts, and their test scores.

Reads: the report's `sizes`, and its trials.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import offset_copy

from mvkt_ray.delivery.facts.pareto_fronts import SizedTrial
from mvkt_ray.delivery.figures.drawing import (
    WIDTH,
    Colour,
    drawing,
    grid_of,
    label,
    lowest_panels,
    panels,
    put_legend,
    thin,
    to_svg,
    use_log_scale,
)
from mvkt_ray.delivery.report.reported_search import Front, LeadFront, Sizes
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.sentences.small_students import least
from mvkt_ray.phrasing import PAGE, percent

_N_COLUMNS = 4
_PANEL_HEIGHT = 190.0
_ALONE_HEIGHT = 300.0
"""Height of the only panel of a study with one lead."""
N_POINTS = 200
"""Most points in a panel, beside the front; more are not distinguishable."""
_AXIS_NAMES = {
    "parameters": "parameters",
    "macs": "multiply-accumulates",
    "latency_ms": "ms for a recording",
}
_MARKS = {
    "nearly_as_good": ("D", Colour.PAPER, "\N{WHITE DIAMOND}"),
    "best": ("o", Colour.DISTILLED, "\N{BLACK CIRCLE}"),
}
"""Marker, face colour, and symbol in the panel's title, by field of a front."""
_ROOM = 1.6
"""Factor of the margins left and right: together with 1, 2, 5 ticks one tick is always visible."""


def draw_sizes(report: StudyReport, trials: Sequence[SizedTrial]) -> str:
    """Return panels of all leads together and of each lead as SVG; an empty string without sizes.

    Args:
        report: Report with `sizes`.
        trials: All trials with a size.
    """
    sizes = report.sizes
    if sizes is None:
        return ""
    entries: list[Front] = list(sizes.leads)
    if len(entries) > 1:
        entries.insert(0, sizes.of_all_leads)
    n_rows, n_columns = grid_of(len(entries), _N_COLUMNS)
    height = _PANEL_HEIGHT * n_rows if n_columns > 1 else _ALONE_HEIGHT
    with drawing(WIDTH, height + 90) as figure:
        all_axes = panels(figure, len(entries), _N_COLUMNS, sharex=True, sharey=True)
        for axes, entry in zip(all_axes, entries, strict=True):
            own = [each for each in trials if _lead_of(entry) in (None, each.lead)]
            _draw_panel(axes, entry, own)
        _set_limits(all_axes[0], sizes, trials)
        for axes in lowest_panels(all_axes, _N_COLUMNS):
            axes.set_xlabel(_AXIS_NAMES[sizes.by])
        figure.supylabel("macro AUROC", fontsize=12, color=Colour.INK)
        put_legend(figure, all_axes, _legend(sizes, report.statistics.level))
        return to_svg(figure, "sizes", "Students by size", _description(sizes))


def _draw_panel(axes: Axes, entry: Front, trials: Sequence[SizedTrial]) -> None:
    ordered = sorted(trials, key=lambda trial: trial.macro_auroc)
    shown = [ordered[index] for index in thin(range(len(ordered)), N_POINTS)]
    axes.plot(
        [trial.cost for trial in shown], [trial.macro_auroc for trial in shown],
        "o", color=Colour.MUTED, markersize=4, alpha=0.55, markeredgewidth=0,
    )  # fmt: skip
    front, lead, best = entry.front, _lead_of(entry), entry.point(entry.best)
    axes.plot(
        [point.cost for point in front], [point.macro_auroc for point in front],
        color=Colour.DISTILLED, drawstyle="steps-post", marker="o", markersize=4, linewidth=1.5,
    )  # fmt: skip
    for name, (marker, face, _) in _MARKS.items():
        point = entry.point(getattr(entry, name))
        if name == "best" or point is not best:
            at = point.cost, point.macro_auroc
            axes.plot(*at, marker, markersize=7.5, color=Colour.DISTILLED, markerfacecolor=face)
            is_new = name == "best" or point.lead != best.lead
            if lead is None and is_new:
                axes.annotate(
                    label(point.lead, 12), at, xytext=(-6, 5), textcoords="offset points",
                    ha="right", fontsize=11, color=Colour.INK,
                )  # fmt: skip
    _draw_examined(axes, entry)
    axes.set_title("all leads" if lead is None else label(lead, 16))
    axes.set_title(_sizes_of(entry), loc="right", fontsize=11, fontweight="normal")


def _draw_examined(axes: Axes, entry: Front) -> None:
    """Draw test scores shifted to the right of validation scores, which have the same size."""
    beside = offset_copy(axes.transData, axes.get_figure(root=True), x=7, units="points")
    for point in entry.examined if isinstance(entry, LeadFront) else ():
        at = point.cost, point.macro_auroc
        if point.ci is not None:
            axes.plot((at[0],) * 2, point.ci, color=Colour.INK, linewidth=1.3, transform=beside)
        axes.plot(
            *at, "s", markersize=5, color=Colour.INK, markerfacecolor=Colour.PAPER, transform=beside
        )


def _lead_of(entry: Front) -> str | None:
    """Return the lead of a panel; None for all leads together."""
    return entry.lead if isinstance(entry, LeadFront) else None


def _sizes_of(entry: Front) -> str:
    """Write the sizes of the marked students for the title, as marks may lack room for a label."""
    sizes = {name: PAGE.short(entry.point(getattr(entry, name)).cost) for name in _MARKS}
    if entry.best == entry.nearly_as_good:
        del sizes["nearly_as_good"]
    return "  ".join(f"{_MARKS[name][2]} {size}" for name, size in sizes.items())


def _set_limits(axes: Axes, sizes: Sizes, trials: Sequence[SizedTrial]) -> None:
    """Cut off the lowest tenth of the trials, but no front, so that bad trials take no room."""
    fronts = [point.macro_auroc for entry in sizes.leads for point in entry.front]
    examined = [point for entry in sizes.leads for point in entry.examined]
    ends = [*fronts, *(end for point in examined for end in point.ci or (point.macro_auroc,))]
    scores = sorted(trial.macro_auroc for trial in trials)
    low, high = min(scores[len(scores) // 10], *ends), max(scores[-1], *ends)
    room = max(0.004, 0.12 * (high - low))
    axes.set_ylim(low - room, high + room)
    costs = [trial.cost for trial in trials]
    left, right = min(costs) / _ROOM, max(costs) * _ROOM
    use_log_scale(axes, "x", (left, right))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: PAGE.short(value)))
    axes.set_xlim(left, right)


def _legend(sizes: Sizes, level: float) -> list[Line2D]:
    colour = Colour.DISTILLED
    entries = [sizes.of_all_leads, *sizes.leads]
    handles = [
        _handle("o", Colour.MUTED, Colour.MUTED, "complete trial, validation", size=4),
        Line2D([], [], color=colour, marker="o", markersize=4, label="front: no other beats it"),
        _handle("o", colour, colour, "the best"),
    ]
    if any(entry.best != entry.nearly_as_good for entry in entries):
        name = f"the {least(sizes)} within {sizes.margin:g} of it"
        handles.append(_handle("D", colour, Colour.PAPER, name))
    if any(entry.examined for entry in sizes.leads):
        name = f"test split, {percent(level)} interval"
        handles.append(_handle("s", Colour.INK, Colour.PAPER, name, size=5.5))
    return handles


def _handle(marker: str, colour: Colour, face: Colour, name: str, size: float = 7.0) -> Line2D:
    return Line2D(
        [], [], marker=marker, linestyle="none", color=colour, markerfacecolor=face, label=name,
        markersize=size,
    )  # fmt: skip


def _description(sizes: Sizes) -> str:
    front = sizes.of_all_leads.front
    name = _AXIS_NAMES[sizes.by]
    return (
        f"Validation macro AUROC of {sizes.n_trials} trials against the {name} of their "
        f"students, a panel for each lead. Over all leads: from {PAGE.score(front[0].macro_auroc)} "
        f"at {front[0].cost:,.4g} to {PAGE.score(front[-1].macro_auroc)} at "
        f"{front[-1].cost:,.4g} {name}."
    )
