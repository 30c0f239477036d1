"""Quantises a graph to 8-bit integers: weights per channel, activations by calibration.

Static quantisation by onnxruntime: the scales are set from activations for training crops, so that
the device needs no measurement.

Reads and writes: one ONNX file each.
"""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from mvkt_ray.delivery.exporting.onnx_graph import tidy_graph
from mvkt_ray.delivery.predicting.model_file import INPUT_NAME


class _Crops(CalibrationDataReader):
    """Batches of crops for onnxruntime, one per call."""

    def __init__(self, crops: Iterable[NDArray[np.float32]]) -> None:
        self._crops: Iterator[NDArray[np.float32]] = iter(crops)

    # onnxruntime expects None at the end, although its annotation excludes it.
    def get_next(self) -> dict[str, Any] | None:  # type: ignore[override]
        crops_BLS = next(self._crops, None)
        return None if crops_BLS is None else {INPUT_NAME: crops_BLS}


def write_int8(graph: Path, path: Path, crops: Iterable[NDArray[np.float32]]) -> None:
    """Quantise a graph.

    Args:
        graph: ONNX file in float32.
        path: File to write.
        crops: Batches of training crops `[B, L, S]` in mV.
    """
    prepared = path.with_suffix(".prepared.onnx")
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        # Folds batch normalisation into convolutions, which are then quantised as one.
        quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(path),
            _Crops(crops),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        tidy_graph(path)
    finally:
        logging.disable(before)
        prepared.unlink(missing_ok=True)
