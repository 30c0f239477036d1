"""Writes the ONNX graphs of a student, and compares them with torch on all validation recordings.

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
"""Largest difference between probabilities of torch and onnxruntime on any recording and class."""

MOST_LOST = 0.005
"""Largest loss of macro AUROC of the int8 graph on validation."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CheckedGraphs:
    """Results of the written graphs on the validation split."""

    takes_any_length: bool
    """Whether the graphs accept windows longer than those of the training."""
    labels_NC: NDArray[np.float32]
    probabilities_NC: NDArray[np.float32]
    """Probabilities by the float32 graph."""
    largest_difference: float
    """Largest difference of a probability between the float32 graph and torch."""
    macro_auroc: float
    int8_macro_auroc: float | None
    """Macro AUROC of the int8 graph; None if quantisation failed."""
    int8_left_out: str | None
    """Reason for a missing int8 graph, else None."""

    @property
    def int8_lost(self) -> float | None:
        """Loss of macro AUROC of the int8 graph; negative for a gain."""
        at = self.int8_macro_auroc
        return None if at is None else self.macro_auroc - at


def write_checked_graphs(
    model: MillivoltNetwork, prepared: Prepared, view: View, folder: Path, *, seed: int
) -> CheckedGraphs:
    """Write both graphs into a folder; the int8 graph only if its loss is at most `MOST_LOST`.

    Args:
        model: Model in evaluation mode, on the CPU.
        prepared: Recordings of its study.
        view: View of the model.
        folder: Folder of the files.
        seed: Seed of the training crops for the calibration of the int8 graph.

    Raises:
        ArtifactError: The float32 graph and torch differ by more than `TOLERANCE`.
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
        # The claim of a free length is checked, too: with windows half as long again.
        longer = replace(view, crop_samples=n_samples * 3 // 2)
        signal_WLS = next(iter(windows_mv(shards, val, longer)))
        difference = max(difference, float(np.abs(graph(signal_WLS) - in_torch(signal_WLS)).max()))
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


def open_graph(file: Path) -> Graph:
    """Open an ONNX file with onnxruntime on the CPU."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def run(signal_BLS: NDArray[np.float32]) -> NDArray[np.float32]:
        (probabilities,) = session.run(None, {INPUT_NAME: signal_BLS})
        return np.asarray(probabilities)

    return run


def _try_int8(
    graph: Path, file: Path, crops: list[NDArray[np.float32]], prepared: Prepared, view: View
) -> tuple[float | None, str | None]:
    """Return the validation macro AUROC of the int8 graph, or the reason for its absence."""
    try:
        write_int8(graph, file, crops)
        said = probabilities_of(open_graph(file), prepared.shards, prepared.splits.val, view)
    except Exception as error:
        # The quantiser's errors have no common class; the float32 graph is complete without it.
        return None, f"it could not be made ({one_line(error)})"
    return _macro_auroc(prepared.splits.val.labels, said), None


def _macro_auroc(labels_NC: NDArray[np.float32], scores_NC: NDArray[np.float32]) -> float:
    return macro_mean(auroc_per_class(labels_NC, scores_NC)).value


def windows_of_10_s(view: View, sampling_rate_hz: int) -> int:
    """Return the number of windows of a 10 s recording."""
    return int(view.n_windows(10 * sampling_rate_hz))


def differences(graphs: CheckedGraphs, stored_NC: NDArray[np.float32]) -> Mapping[str, float]:
    """Compare the float32 graph with the student's stored validation predictions, `[N, C]`.

    Returns:
        `largest`, the largest difference of a probability; `macro_auroc_then`, the macro AUROC of
        the stored predictions.
    """
    return {
        "largest": float(np.abs(graphs.probabilities_NC - stored_NC).max()),
        "macro_auroc_then": _macro_auroc(graphs.labels_NC, stored_NC),
    }
