"""Score against distillation temperature and contrastive weight, the method's two main parameters.

Reads: the study's records.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mvkt_ray.delivery.figures.drawing import STEPS, WIDTH, Colour, drawing, to_svg, use_log_scale
from mvkt_ray.delivery.figures.of_search.centred import CentredTrial, drawn_names, step_of
from mvkt_ray.delivery.figures.of_search.slices import (
    draw_slice,
    is_number,
    set_difference_limits,
    slice_legend,
    spans_decades,
)
from mvkt_ray.delivery.wording import parameter_name

_DIALS = ("distill_temperature", "clt_weight")


def draw_two_dials(trials: Sequence[CentredTrial]) -> str:
    """Return panels of each parameter and of both as SVG; an empty string if none was searched."""
    dials = [name for name in _DIALS if name in drawn_names(trials) and is_number(trials, name)]
    if not dials:
        return ""
    both = len(dials) == len(_DIALS)
    with drawing(WIDTH, 320) as figure:
        all_axes = figure.subplots(1, len(dials) + both, squeeze=False)[0]
        for axes, name in zip(all_axes, dials, strict=False):
            draw_slice(axes, trials, name)
            set_difference_limits(axes, trials)
            axes.set_title(parameter_name(name))
        all_axes[0].set_ylabel("macro AUROC minus lead's median")
        if both:
            all_axes[1].tick_params(labelleft=False)
            _draw_together(all_axes[2], trials)
        legend = slice_legend(trials) + (_step_legend() if both else [])
        figure.legend(handles=legend, loc="outside lower center", ncols=3)
        description = (
            f"Validation macro AUROC minus the median of the lead against {' and '.join(dials)}, "
            f"for {len(trials)} trials."
        )
        return to_svg(figure, "two-dials", "Temperature and contrastive weight", description)


def _draw_together(axes: Axes, trials: Sequence[CentredTrial]) -> None:
    having = [t for t in trials if not t.was_pruned and all(name in t.drawn for name in _DIALS)]
    differences = [trial.difference for trial in having]
    for trial in sorted(having, key=lambda trial: trial.difference):
        step = step_of(trial.difference, differences)
        x, y = (float(trial.drawn[name]) for name in _DIALS)
        axes.plot(
            x, y, "o", color=STEPS[step], markersize=4 + 1.6 * step,
            markeredgecolor=Colour.PAPER, markeredgewidth=0.8,
        )  # fmt: skip
    for name, which in zip(_DIALS, "xy", strict=True):
        values = [float(trial.drawn[name]) for trial in having]
        if values and spans_decades(values):
            use_log_scale(axes, which, values)
    axes.set_title("both together")
    axes.set(xlabel=parameter_name(_DIALS[0]), ylabel=parameter_name(_DIALS[1]))


def _step_legend() -> list[Line2D]:
    ends = ((0, "lowest fifth of the trials"), (2, "middle fifth"), (4, "highest fifth"))
    return [
        Line2D([], [], marker="o", linestyle="none", color=STEPS[step], markersize=4 + 1.6 * step,
               label=label)
        for step, label in ends
    ]  # fmt: skip
