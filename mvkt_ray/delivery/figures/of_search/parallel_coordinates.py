"""Parallel coordinates: each complete trial as a line through its hyper-parameters to its score.

Reads: the study's records.
"""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mvkt_ray.delivery.figures.drawing import STEPS, WIDTH, Colour, drawing, thin, to_svg
from mvkt_ray.delivery.figures.of_search.centred import (
    CentredTrial,
    drawn_names,
    step_of,
)
from mvkt_ray.delivery.figures.of_search.slices import is_number, spans_decades
from mvkt_ray.delivery.wording import parameter_name
from mvkt_ray.phrasing import PAGE, listing

N_TRIALS = 300
"""Most lines, the best trial's included; more are not distinguishable."""
_WIDTHS = (0.7, 0.8, 1.0, 1.4, 2.2)


class _Scale:
    """One vertical axis: maps a value to a height from 0 to 1, and has tick labels."""

    def __init__(self, trials: Sequence[CentredTrial], name: str) -> None:
        self.name = name
        values = [trial.drawn[name] for trial in trials]
        self.choices: list[str] = []
        self.log = False
        if is_number(trials, name):
            numbers = [float(value) for value in values]
            self.log = spans_decades(numbers)
            self.low, self.high = min(numbers), max(numbers)
        else:
            self.choices = sorted({str(value) for value in values})

    def height(self, value: object) -> float:
        if self.choices:
            return (self.choices.index(str(value)) + 0.5) / len(self.choices)
        number = float(value)  # type: ignore[arg-type]
        low, high = self.low, self.high
        if self.log:
            number, low, high = math.log(number), math.log(low), math.log(high)
        return 0.5 if high == low else (number - low) / (high - low)

    def labels(self) -> list[tuple[float, str]]:
        if self.choices:
            return [(self.height(choice), choice) for choice in self.choices]
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return [(self.height(value), f"{value:.2g}") for value in (self.low, middle, self.high)]


def draw_parallel(trials: Sequence[CentredTrial]) -> str:
    """Return the complete trials as SVG; an empty string for fewer than two hyper-parameters."""
    complete = [trial for trial in trials if not trial.was_pruned]
    names = [name for name in drawn_names(complete) if all(name in t.drawn for t in complete)]
    if len(names) < 2 or not complete:
        return ""
    scales = [_Scale(complete, name) for name in names]
    differences = [trial.difference for trial in complete]
    low, high = min(differences), max(differences)
    ordered = sorted(complete, key=lambda trial: trial.difference)
    ordered = [ordered[index] for index in thin(range(len(ordered)), N_TRIALS)]
    with drawing(WIDTH, 360) as figure:
        axes = figure.subplots()
        for trial in ordered:
            step = step_of(trial.difference, differences)
            heights = [scale.height(trial.drawn[scale.name]) for scale in scales]
            heights.append((trial.difference - low) / (high - low) if high > low else 0.5)
            axes.plot(range(len(heights)), heights, color=STEPS[step], linewidth=_WIDTHS[step])
        for position, scale in enumerate(scales):
            _draw_axis(axes, position, parameter_name(scale.name), scale.labels())
        ends = [(0.0, PAGE.signed(low)), (1.0, PAGE.signed(high))]
        _draw_axis(axes, len(scales), "score minus\nlead's median", ends)
        axes.set(xlim=(-0.25, len(scales) + 0.45), ylim=(-0.04, 1.04))
        axes.set_axis_off()
        figure.legend(handles=_legend(), loc="outside lower center", ncols=5)
        description = (
            f"{len(ordered)} complete trials as lines through "
            f"{listing([parameter_name(name) for name in names])} to their validation macro AUROC "
            "minus the median of the lead."
        )
        return to_svg(figure, "parallel", "Parallel coordinates", description)


def _draw_axis(axes: Axes, position: int, name: str, labels: Sequence[tuple[float, str]]) -> None:
    axes.plot((position, position), (0, 1), color=Colour.INK, linewidth=1.1)
    axes.text(position, 1.06, name.replace(" ", "\n", 1) if "\n" not in name else name,
              ha="center", va="bottom", fontsize=11, fontweight="bold")  # fmt: skip
    for height, text in labels:
        axes.plot(
            (position - 0.03, position + 0.03), (height, height), color=Colour.INK, linewidth=1.1
        )
        axes.text(
            position + 0.05, height, text, va="center", fontsize=10.5,
            bbox={"facecolor": Colour.PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip


def _legend() -> list[Line2D]:
    names = ("lowest fifth", "second", "third", "fourth", "highest fifth")
    return [
        Line2D([], [], color=colour, linewidth=width, label=name)
        for colour, width, name in zip(STEPS, _WIDTHS, names, strict=True)
    ]
