"""The graphs of a student, written and compared with it on every validation recording.

Reads: training crops and validation windows. Writes: `model.onnx`, `model.int8.onnx`.

Shapes: W windows, L leads, S samples, N recordings, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from mvkt_ray.data.views import View
from mvkt_ray.delivery.exporting.exported_windows import (
    Graph,
    calibration_crops,
    probabilities_of,
    windows_mv,
)
from mvkt_ray.delivery.exporting.int8_graph import write_int8
from mvkt_ray.delivery.exporting.millivolt_network import MillivoltNetwork
from mvkt_ray.delivery.exporting.onnx_graph import write_onnx
from mvkt_ray.delivery.predicting.model_file import INPUT_NAME, INT8_NAME, ONNX_NAME
from mvkt_ray.errors import ArtifactError
from mvkt_ray.phrasing import one_line
from mvkt_ray.search.stages import Prepared
from mvkt_ray.statistics.scores import auroc_per_class, macro_mean

TOLERANCE = 1e-4
"""Between probabilities of torch and of onnxruntime, on any recording and class."""

MOST_LOST = 0.005
"""Macro AUROC that the int8 graph may lose on validation."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CheckedGraphs:
    """Graphs that were written, and how they compare on the validation split."""

    takes_any_length: bool
    """Whether windows longer than the network was trained on may be given."""
    labels_NC: NDArray[np.float32]
    probabilities_NC: NDArray[np.float32]
    """Of the float32 graph."""
    largest_difference: float
    """Between it and torch."""
    macro_auroc: float
    int8_macro_auroc: float | None
    """None where there is none, not even a bad one."""
    int8_left_out: str | None
    """Why there is no int8 graph among the files; None: there is."""

    @property
    def int8_lost(self) -> float | None:
        """Macro AUROC that the int8 graph loses; below 0 where it gains."""
        at = self.int8_macro_auroc
        return None if at is None else self.macro_auroc - at


def write_checked_graphs(
    model: MillivoltNetwork, prepared: Prepared, view: View, folder: Path, *, seed: int
) -> CheckedGraphs:
    """Write both graphs into a folder; the int8 one only if it is good enough.

    Args:
        model: In evaluation mode, on the CPU.
        prepared: The recordings of its study.
        view: The model's.
        folder: Of the files.
        seed: Of the training crops that the int8 graph is calibrated on.

    Raises:
        ArtifactError: The graph says something else than torch.
    """
    onnx_file = folder / ONNX_NAME
    shards, val = prepared.shards, prepared.splits.val
    n_leads, n_samples = len(view.leads), view.crop_samples
    any_length = write_onnx(model, onnx_file, n_leads=n_leads, window_samples=n_samples)

    def in_torch(signal_BLS: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return model(torch.from_numpy(signal_BLS)).numpy()

    graph = open_graph(onnx_file)
    said = probabilities_of(graph, shards, val, view)
    right = probabilities_of(in_torch, shards, val, view)
    difference = float(np.abs(said - right).max())
    if any_length:
        longer = next(iter(windows_mv(shards, val, _half_as_long_again(view))))
        difference = max(difference, _difference(graph, in_torch, longer))
    if not difference <= TOLERANCE:
        raise ArtifactError(
            f"the ONNX graph and torch differ by {difference:.2g} on a validation recording, more "
            f"than {TOLERANCE:g}, so nothing is published. Please report this with the network's "
            "name and the versions of onnx, onnxruntime and torch."
        )
    crops = list(calibration_crops(shards, prepared.splits.train, view, seed))
    int8_file = folder / INT8_NAME
    int8_auroc, left_out = _try_int8(onnx_file, int8_file, crops, prepared, view)
    auroc = _macro_auroc(val.labels, said)
    if int8_auroc is not None and not auroc - int8_auroc <= MOST_LOST:
        left_out = (
            f"it loses {auroc - int8_auroc:.4f} macro AUROC on validation, more than {MOST_LOST:g}"
        )
    if left_out is not None:
        int8_file.unlink(missing_ok=True)
    return CheckedGraphs(
        takes_any_length=any_length,
        labels_NC=val.labels,
        probabilities_NC=said,
        largest_difference=difference,
        macro_auroc=auroc,
        int8_macro_auroc=int8_auroc,
        int8_left_out=left_out,
    )


def _half_as_long_again(view: View) -> View:
    return replace(view, crop_samples=view.crop_samples * 3 // 2)


def _difference(one: Graph, other: Graph, signal_BLS: NDArray[np.float32]) -> float:
    return float(np.abs(one(signal_BLS) - other(signal_BLS)).max())


def open_graph(file: Path) -> Graph:
    """Open a graph on the CPU."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def run(signal_BLS: NDArray[np.float32]) -> NDArray[np.float32]:
        (probabilities,) = session.run(None, {INPUT_NAME: signal_BLS})
        return np.asarray(probabilities)

    return run


def _try_int8(
    graph: Path, file: Path, crops: list[NDArray[np.float32]], prepared: Prepared, view: View
) -> tuple[float | None, str | None]:
    """Return what the int8 graph scores on validation, or why there is none."""
    try:
        write_int8(graph, file, crops)
        said = probabilities_of(open_graph(file), prepared.shards, prepared.splits.val, view)
    except Exception as error:
        # Whatever the quantiser cannot do: the float32 graph is whole without it.
        return None, f"it could not be made ({one_line(error)})"
    return _macro_auroc(prepared.splits.val.labels, said), None


def _macro_auroc(labels_NC: NDArray[np.float32], scores_NC: NDArray[np.float32]) -> float:
    return macro_mean(auroc_per_class(labels_NC, scores_NC)).value


def windows_of_10_s(view: View, sampling_rate_hz: int) -> int:
    """Return how many windows a recording of 10 s has."""
    return int(view.n_windows(10 * sampling_rate_hz))


def differences(graphs: CheckedGraphs, stored_NC: NDArray[np.float32]) -> Mapping[str, float]:
    """Compare the float32 graph with what the student said when its training was over."""
    return {
        "largest": float(np.abs(graphs.probabilities_NC - stored_NC).max()),
        "macro_auroc_then": _macro_auroc(graphs.labels_NC, stored_NC),
    }
