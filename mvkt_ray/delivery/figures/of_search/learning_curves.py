"""Learning curves per lead: complete trials, pruned trials, and the best trial.

Reads: the study's records.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mvkt_ray.delivery.facts.study_summary import validated_epochs
from mvkt_ray.delivery.figures.drawing import (
    ALONE_STYLE,
    WIDTH,
    Colour,
    drawing,
    grid_of,
    label,
    panels,
    thin,
    to_svg,
)
from mvkt_ray.delivery.sentences.captions import epochs_of_curves
from mvkt_ray.records import Arm, TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord

_N_COLUMNS = 4
_PANEL_HEIGHT = 165.0
_N_POINTS = 60
"""Most points per curve."""
N_CURVES = 100
"""Most curves per lead, beside its best; more are not distinguishable."""


def draw_learning_curves(records: Sequence[TrialRecord], conditions: Sequence[str]) -> str:
    """Return one panel per condition in the given order as SVG; an empty string without epochs."""
    shown = [name for name in conditions if any(r.condition == name and r.values for r in records)]
    if not shown:
        return ""
    n_rows, _ = grid_of(len(shown), _N_COLUMNS)
    with drawing(WIDTH, _PANEL_HEIGHT * n_rows + 60) as figure:
        all_axes = panels(figure, len(shown), _N_COLUMNS, sharex=True, sharey=True)
        for axes, condition in zip(all_axes, shown, strict=True):
            _draw_panel(axes, [r for r in records if r.condition == condition and r.values])
            axes.set_title(label(condition, 22))
        _set_limits(all_axes[0], [r for r in records if r.values])
        for axes in all_axes[-_N_COLUMNS:]:
            axes.set_xlabel("epoch")
        figure.supylabel("validation macro AUROC", fontsize=12, color=Colour.INK)
        figure.legend(handles=_legend(records), loc="outside lower center", ncols=4)
        n_pruned = sum(record.state is TrialState.PRUNED for record in records)
        description = (
            f"Validation macro AUROC {epochs_of_curves(validated_epochs(records))}. One panel per "
            f"lead, {len(records)} trials. "
            + (f"Pruning cut {n_pruned} of them; a cross marks where." if n_pruned else "")
        )
        return to_svg(figure, "learning-curves", "Learning curves", description)


def _draw_panel(axes: Axes, records: Sequence[TrialRecord]) -> None:
    searched = [r for r in records if r.trial.arm is Arm.SEARCH]
    complete = [r for r in searched if r.macro_auroc is not None]
    best = max(complete, key=lambda r: r.macro_auroc or 0.0, default=None)
    for record in [searched[index] for index in thin(range(len(searched)), N_CURVES)]:
        if record is not best:
            _draw_curve(axes, record, Colour.MUTED, 0.9, "-", 0.75)
        if record.state is TrialState.PRUNED:
            epoch = record.last_scored_epoch
            axes.plot(epoch, record.values[epoch], "x", color=Colour.OTHER, markersize=5)
    for record in records:
        if record.trial.arm is Arm.STUDENT_ALONE:
            _draw_curve(axes, record, ALONE_STYLE.colour, 1.5, ALONE_STYLE.line, 1.0)
    if best is not None:
        _draw_curve(axes, best, Colour.DISTILLED, 2.2, "-", 1.0)


def _draw_curve(
    axes: Axes, record: TrialRecord, colour: Colour, width: float, line: object, alpha: float
) -> None:
    epochs = sorted(record.values)
    kept = [epochs[index] for index in thin(epochs, _N_POINTS)]
    values = [record.values[epoch] for epoch in kept]
    # With skipped epochs, markers distinguish measured points from connecting lines.
    marker = "." if len(epochs) < record.last_epoch else ""
    axes.plot(
        kept, values, color=colour, linewidth=width, linestyle=line, alpha=alpha, marker=marker
    )


def _set_limits(axes: Axes, records: Sequence[TrialRecord]) -> None:
    """Cut off the lowest twentieth of the values: first epochs may be near 0.5."""
    values = sorted(value for record in records for value in record.values.values())
    low, high = values[len(values) // 20], values[-1]
    room = max(0.02, 0.06 * (high - low))
    axes.set_ylim(low - room, high + room)


def _legend(records: Sequence[TrialRecord]) -> list[Line2D]:
    """Return entries for the kinds of curves that exist."""
    searched = [record for record in records if record.trial.arm is Arm.SEARCH]
    handles: list[Line2D] = []
    if any(record.macro_auroc is not None for record in searched):
        handles.append(
            Line2D([], [], color=Colour.DISTILLED, linewidth=2.2, label="best complete trial")
        )
    if any(record.trial.arm is Arm.STUDENT_ALONE for record in records):
        line = ALONE_STYLE.line
        handles.append(
            Line2D([], [], color=ALONE_STYLE.colour, linestyle=line, label="student alone")
        )
    if searched:
        handles.append(Line2D([], [], color=Colour.MUTED, linewidth=0.9, label="other trials"))
    if any(record.state is TrialState.PRUNED for record in searched):
        handles.append(
            Line2D([], [], color=Colour.OTHER, marker="x", linestyle="none", label="cut by pruning")
        )
    return handles
