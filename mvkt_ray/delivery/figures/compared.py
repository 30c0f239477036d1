"""Models with their predictions, and the frame of figures with one panel per class.

Shapes: R seeds, N recordings of a split, C classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mvkt_ray.delivery.figures.drawing import (
    WIDTH,
    Style,
    drawing,
    grid_of,
    lowest_panels,
    panels,
    put_legend,
    to_svg,
)

_N_COLUMNS = 3
_PANEL_HEIGHT = 268.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Model:
    """Predictions of one model for every recording of a split, by seed."""

    style: Style
    scores_RNC: NDArray[np.floating]
    """Probabilities; a missing seed has no row instead of NaN."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Comparison:
    """Models of one condition, compared on the same recordings."""

    condition: str
    split: str
    """`test` or `validation`, for the captions."""
    classes: tuple[str, ...]
    labels_NC: NDArray[np.floating]
    models: tuple[Model, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """Texts of a figure."""

    name: str
    """Id of the figure, unique in the page."""
    title: str
    description: str
    x: str
    y: str
    """Label of the y axis; `x` is the label of the x axis."""


def draw_classes(
    comparison: Comparison,
    shown: Sequence[int],
    draw_panel: Callable[[Axes, Comparison, int], None],
    texts: Texts,
) -> str:
    """Return one panel per class as SVG; an empty string without a class or a model.

    Args:
        comparison: Models to compare.
        shown: Indices of the classes.
        draw_panel: Function that draws a class, by its index, into axes.
        texts: Texts of the figure.
    """
    if not shown or not comparison.models:
        return ""
    n_rows, _ = grid_of(len(shown), _N_COLUMNS)
    with drawing(WIDTH, _PANEL_HEIGHT * n_rows + 50) as figure:
        all_axes = panels(figure, len(shown), _N_COLUMNS, sharex=True, sharey=True)
        for axes, column in zip(all_axes, shown, strict=True):
            draw_panel(axes, comparison, column)
        for axes in all_axes[::_N_COLUMNS]:
            axes.set_ylabel(texts.y)
        for axes in lowest_panels(all_axes, _N_COLUMNS):
            axes.set_xlabel(texts.x)
        put_legend(figure, all_axes, all_axes[0].get_legend_handles_labels()[0])
        return to_svg(figure, texts.name, texts.title, texts.description)
