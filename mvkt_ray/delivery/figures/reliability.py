"""Reliability curves: the share of recordings with a class against the predicted probability.

Bins hold equally many recordings, so that rare high probabilities do not make empty bins. The
expected calibration error is the mean gap of these bins (Nixon et al., Measuring Calibration in
Deep Learning, 2019: adaptive bins), and the Brier score the mean square of probability minus label.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mvkt_ray.delivery.figures.compared import Comparison, Texts, draw_classes
from mvkt_ray.delivery.figures.drawing import Colour, label

_N_BINS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationScores:
    """Calibration of a model's probabilities for one class; means over seeds."""

    model: str
    class_name: str
    expected_calibration_error: float
    brier: float
    prevalence: float


def calibration_scores(comparison: Comparison) -> list[CalibrationScores]:
    """Return the scores of every class and model, class by class."""
    rows: list[CalibrationScores] = []
    for column, class_name in enumerate(comparison.classes):
        labels_N = comparison.labels_NC[:, column]
        for model in comparison.models:
            scores_RN = model.scores_RNC[:, :, column]
            rows.append(
                CalibrationScores(
                    model=model.style.name,
                    class_name=class_name,
                    expected_calibration_error=float(
                        np.mean([_calibration_error(labels_N, s) for s in scores_RN])
                    ),
                    brier=float(((scores_RN - labels_N) ** 2).mean()),
                    prevalence=float(labels_N.mean()),
                )
            )
    return rows


def draw_reliability(comparison: Comparison, name: str) -> str:
    """Return one panel per class with positives, seeds pooled, as SVG; an empty string for none."""
    shown = [
        column
        for column in range(len(comparison.classes))
        if comparison.labels_NC[:, column].sum() > 0
    ]
    texts = Texts(
        name=name,
        title=f"Reliability curves, lead {comparison.condition}",
        description="Share of recordings with the class against the predicted probability, in "
        f"bins of equally many recordings of the {comparison.split} split; the diagonal is "
        "perfect.",
        x="predicted probability",
        y="share with the class",
    )
    return draw_classes(comparison, shown, _draw_panel, texts)


def _draw_panel(axes: Axes, comparison: Comparison, column: int) -> None:
    axes.plot((0, 1), (0, 1), color=Colour.MUTED, linewidth=1.0)
    for model in comparison.models:
        scores_RN = model.scores_RNC[:, :, column]
        labels_RN = np.broadcast_to(comparison.labels_NC[:, column], scores_RN.shape)
        predicted, observed, _ = equal_bins(labels_RN.ravel(), scores_RN.ravel())
        style = model.style
        axes.plot(
            predicted, observed, color=style.colour, linestyle=style.line, marker=style.marker,
            markersize=5, linewidth=1.4, label=style.name,
        )  # fmt: skip
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_title(label(comparison.classes[column], 22))


def equal_bins(
    labels_N: NDArray[np.floating], scores_N: NDArray[np.floating], n_bins: int = _N_BINS
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.integer]]:
    """Return mean score, mean label and size of bins of equally many scores, `[n_bins]` each.

    The lowest bin is the first; empty bins are omitted.
    """
    order = np.argsort(scores_N, kind="stable")
    parts = [part for part in np.array_split(order, n_bins) if len(part)]
    predicted = np.array([scores_N[part].mean() for part in parts])
    observed = np.array([labels_N[part].mean() for part in parts])
    return predicted, observed, np.array([len(part) for part in parts])


def _calibration_error(labels_N: NDArray[np.floating], scores_N: NDArray[np.floating]) -> float:
    predicted, observed, counts = equal_bins(labels_N, scores_N)
    return float(np.average(np.abs(predicted - observed), weights=counts))
