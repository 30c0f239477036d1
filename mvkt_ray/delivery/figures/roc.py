"""ROC curves of one lead's models, one panel per class.

Curves of several seeds are averaged vertically, their range is a band (Fawcett, An introduction to
ROC analysis, Pattern Recognition Letters 2006, section 7).

Shapes: R seeds, N recordings, C classes, G points of the grid.
"""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mvkt_ray.delivery.figures.compared import Comparison, Model, Texts, draw_classes
from mvkt_ray.delivery.figures.drawing import Colour, label
from mvkt_ray.phrasing import PAGE
from mvkt_ray.statistics.scores import auroc_per_class

_GRID = np.linspace(0.0, 1.0, 101) ** 1.5
"""False positive rates `[G]`, denser near 0, as curves are steep there."""


def draw_roc(comparison: Comparison, name: str) -> str:
    """Return one panel per class with positives and negatives as SVG; an empty string for none."""
    shown = _with_a_curve(comparison)
    texts = Texts(
        name=name,
        title=f"ROC curves, lead {comparison.condition}",
        description=f"Sensitivity against 1 - specificity on the {comparison.split} split, one "
        f"panel for each of {len(shown)} classes, for "
        f"{', '.join(model.style.name for model in comparison.models)}.",
        x="1 \N{MINUS SIGN} specificity",
        y="sensitivity",
    )
    return draw_classes(comparison, shown, _draw_panel, texts)


def classes_without_curve(comparison: Comparison) -> list[str]:
    """Return the classes that no recording has, or all recordings."""
    drawn = _with_a_curve(comparison)
    return [name for column, name in enumerate(comparison.classes) if column not in drawn]


def _with_a_curve(comparison: Comparison) -> list[int]:
    labels_NC = comparison.labels_NC
    n_positive_C = labels_NC.sum(axis=0)
    return [c for c, n in enumerate(n_positive_C) if 0 < n < len(labels_NC)]


def _draw_panel(axes: Axes, comparison: Comparison, column: int) -> None:
    positive_N = comparison.labels_NC[:, column] > 0
    axes.plot((0, 1), (0, 1), color=Colour.FAINT, linewidth=1.0)
    notes: list[tuple[Model, float]] = []
    for model in comparison.models:
        curves_RG = np.stack(
            [roc_on_grid(positive_N, scores_NC[:, column]) for scores_NC in model.scores_RNC]
        )
        areas = [area_under(positive_N, scores_NC[:, column]) for scores_NC in model.scores_RNC]
        style = model.style
        if len(curves_RG) > 1:
            axes.fill_between(
                _GRID, curves_RG.min(axis=0), curves_RG.max(axis=0), color=style.colour, alpha=0.18,
                linewidth=0,
            )  # fmt: skip
        axes.plot(
            _GRID,
            curves_RG.mean(axis=0),
            color=style.colour,
            linestyle=style.line,
            label=style.name,
        )
        notes.append((model, float(np.mean(areas))))
    for line, (model, area) in enumerate(reversed(notes)):
        axes.text(
            0.98, 0.05 + 0.085 * line, f"{model.style.name} {PAGE.score(area)}", ha="right",
            fontsize=11, color=model.style.colour, transform=axes.transAxes,
        )  # fmt: skip
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_title(f"{label(comparison.classes[column], 16)}  ({int(positive_N.sum())} positive)")


def roc_on_grid(positive_N: NDArray[np.bool_], scores_N: NDArray[np.floating]) -> NDArray:
    """Return the sensitivity at each false positive rate of the grid, `[G]`; ties make a slope."""
    order = np.argsort(-scores_N, kind="stable")
    positive_N, scores_N = positive_N[order], scores_N[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(scores_N)), len(scores_N) - 1)
    hits = np.cumsum(positive_N)[last_of_tie] / positive_N.sum()
    alarms = np.cumsum(~positive_N)[last_of_tie] / (~positive_N).sum()
    hits, alarms = np.append(0.0, hits), np.append(0.0, alarms)
    # A ROC curve steps upwards: the upper end of a vertical segment counts.
    top_of_step = np.append(np.flatnonzero(np.diff(alarms)), len(alarms) - 1)
    return np.interp(_GRID, alarms[top_of_step], hits[top_of_step])


def area_under(positive_N: NDArray[np.bool_], scores_N: NDArray[np.floating]) -> float:
    """Return the area under the ROC curve of one class, by the ranks of its positives."""
    return float(auroc_per_class(positive_N[:, None].astype(np.float32), scores_N[:, None])[0])
