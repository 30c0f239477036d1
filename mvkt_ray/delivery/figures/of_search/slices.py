"""Slices of the search space: score, centred per lead, against each hyper-parameter.

Reads: the study's records.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mvkt_ray.delivery.figures.drawing import (
    WIDTH,
    Colour,
    drawing,
    grid_of,
    panels,
    put_legend,
    to_svg,
    use_log_scale,
)
from mvkt_ray.delivery.figures.of_search.centred import CentredTrial, drawn_names
from mvkt_ray.delivery.wording import parameter_name

_N_COLUMNS = 3
_PANEL_HEIGHT = 200.0
_N_FOR_TREND = 8
"""Least number of complete trials for a trend."""


def draw_slices(trials: Sequence[CentredTrial]) -> str:
    """Return one panel per searched hyper-parameter as SVG; an empty string without any."""
    names = drawn_names(trials)
    if not names:
        return ""
    n_rows, _ = grid_of(len(names), _N_COLUMNS)
    with drawing(WIDTH, _PANEL_HEIGHT * n_rows + 50) as figure:
        all_axes = panels(figure, len(names), _N_COLUMNS, sharey=True)
        for axes, name in zip(all_axes, names, strict=True):
            draw_slice(axes, trials, name)
        set_difference_limits(all_axes[0], trials)
        figure.supylabel("macro AUROC minus lead's median", fontsize=12,
                         color=Colour.INK)  # fmt: skip
        put_legend(figure, all_axes, slice_legend(trials))
        description = (
            f"Validation macro AUROC minus the median of the lead, against each of {len(names)} "
            f"hyper-parameters, for {len(trials)} trials."
        )
        return to_svg(figure, "slices", "Slices of the search", description)


def draw_slice(axes: Axes, trials: Sequence[CentredTrial], name: str) -> None:
    """Draw the centred score against one hyper-parameter, with a trend or medians."""
    having = [trial for trial in trials if name in trial.drawn]
    axes.axhline(0, color=Colour.MUTED, linewidth=0.9)
    axes.set_xlabel(parameter_name(name))
    if is_number(having, name):
        values = {trial.number: float(trial.drawn[name]) for trial in having}
        if spans_decades(list(values.values())):
            use_log_scale(axes, "x", list(values.values()))
            axes.tick_params(axis="x", which="minor", length=2)
        _draw_trend(axes, having, values)
    else:
        choices = sorted({str(trial.drawn[name]) for trial in having})
        axes.set_xticks(range(len(choices)), choices)
        axes.set_xlim(-0.5, len(choices) - 0.5)
        axes.grid(axis="x", visible=False)
        values = {
            trial.number: choices.index(str(trial.drawn[name])) + _spread(position)
            for position, trial in enumerate(having)
        }
        for position, choice in enumerate(choices):
            own = [
                t.difference for t in having if str(t.drawn[name]) == choice and not t.was_pruned
            ]
            if own:
                middle = float(np.median(own))
                axes.plot((position - 0.3, position + 0.3), (middle, middle), color=Colour.INK)
    for pruned in (True, False):
        of_kind = [trial for trial in having if trial.was_pruned is pruned]
        axes.plot(
            [values[trial.number] for trial in of_kind], [trial.difference for trial in of_kind],
            "x" if pruned else "o", color=Colour.OTHER if pruned else Colour.DISTILLED,
            markersize=4.5 if pruned else 5, alpha=0.8, markeredgewidth=1.1 if pruned else 0,
        )  # fmt: skip


def slice_legend(trials: Sequence[CentredTrial]) -> list[Line2D]:
    """Return the legend of a slice; with pruned trials only if there are any."""
    handles = [
        Line2D([], [], color=Colour.DISTILLED, marker="o", linestyle="none", label="complete"),
        Line2D([], [], color=Colour.INK, label="trend (running median)"),
    ]
    if any(trial.was_pruned for trial in trials):
        label = "cut by pruning, at its last epoch"
        handles.insert(
            1, Line2D([], [], color=Colour.OTHER, marker="x", linestyle="none", label=label)
        )
    return handles


def set_difference_limits(axes: Axes, trials: Sequence[CentredTrial]) -> None:
    """Cut off the lowest twentieth of the differences, so that bad trials take no room."""
    differences = sorted(trial.difference for trial in trials)
    low, high = differences[len(differences) // 20], differences[-1]
    room = max(0.004, 0.08 * (high - low))
    axes.set_ylim(low - room, high + room)


def is_number(trials: Sequence[CentredTrial], name: str) -> bool:
    """Return whether every value of a hyper-parameter is a number."""
    values = [trial.drawn[name] for trial in trials if name in trial.drawn]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def spans_decades(values: Sequence[float]) -> bool:
    """Return whether values are shown on a logarithmic axis: positive, and over a wide range."""
    return min(values) > 0 and max(values) / min(values) > 5


def _draw_trend(axes: Axes, trials: Sequence[CentredTrial], values: dict[int, float]) -> None:
    complete = sorted(
        (t for t in trials if not t.was_pruned), key=lambda trial: values[trial.number]
    )
    if len(complete) < _N_FOR_TREND:
        return
    half = max(2, len(complete) // 6)
    x = np.array([values[trial.number] for trial in complete])
    y = np.array([trial.difference for trial in complete])
    middles = [
        float(np.median(y[max(0, at - half) : at + half + 1])) for at in range(len(complete))
    ]
    axes.plot(x, middles, color=Colour.INK, linewidth=1.8)


def _spread(position: int) -> float:
    """Return a deterministic shift, by the golden ratio, that separates points of one choice."""
    return ((position * 0.618034) % 1.0 - 0.5) * 0.5
