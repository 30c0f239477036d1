"""A made-up model as an artifact: a small network with fixed weights, in floats and in 8 bits.

With `numpy_probabilities`, the same network in numpy, so that nobody need believe onnxruntime.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from mvkt_ray.delivery.predicting.model_file import (
    INPUT_NAME,
    INT8_NAME,
    MODEL_KIND,
    MODEL_NAME,
    ONNX_NAME,
    OUTPUT_NAME,
    PREDICT_NAME,
    ModelFile,
)
from mvkt_ray.storage.artifacts import build_folder, publish
from mvkt_ray.storage.location import Location
from tests.delivery.predicting.model_values import model_file

_N_FILTERS, _TAPS = 6, 9


def write_model(path: Path, *, with_int8: bool = True, **changes: Any) -> ModelFile:
    """Publish a model there; `changes` are fields of `model.json`."""
    model = model_file(**changes)
    location = Location.parse(path)
    with build_folder(location) as folder:
        onnx.save(graph_of(model), folder / ONNX_NAME)
        if with_int8:
            quantize_dynamic(folder / ONNX_NAME, folder / INT8_NAME, weight_type=QuantType.QUInt8)
        (folder / MODEL_NAME).write_bytes(model.to_json())
        (folder / PREDICT_NAME).write_bytes(STANDALONE.read_bytes())
    publish(location, kind=MODEL_KIND, config={"model": model.name}, inputs={})
    return model


STANDALONE = Path(__file__).parents[3] / "mvkt_ray/delivery/predicting/standalone.py"


def graph_of(model: ModelFile) -> onnx.ModelProto:
    """Scale, convolve, rectify, take the maximum over time, combine, sigmoid."""
    filters, mix, offset = _weights(model)
    constants = {
        "mean": np.float32(model.mean_mv),
        "std": np.float32(model.std_mv),
        "filters": filters,
        "mix": mix,
        "offset": offset,
    }
    nodes = [
        helper.make_node("Sub", [INPUT_NAME, "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "filters"], ["filtered"], kernel_shape=[_TAPS]),
        helper.make_node("Relu", ["filtered"], ["rectified"]),
        helper.make_node("GlobalMaxPool", ["rectified"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("MatMul", ["features", "mix"], ["mixed"]),
        helper.make_node("Add", ["mixed", "offset"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], [OUTPUT_NAME]),
    ]
    shape_in = ["batch", len(model.leads), "samples"]
    graph = helper.make_graph(
        nodes,
        "made_up",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, shape_in)],
        [
            helper.make_tensor_value_info(
                OUTPUT_NAME, TensorProto.FLOAT, ["batch", len(model.classes)]
            )
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opset = helper.make_opsetid("", 18)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)


def numpy_probabilities(model: ModelFile, signal_WLS: NDArray[Any]) -> NDArray[np.float64]:
    """Return what the graph answers, `[W, C]`, computed in float64."""
    filters, mix, offset = _weights(model)
    scaled = (signal_WLS.astype(np.float64) - model.mean_mv) / model.std_mv
    filtered = np.einsum("wlst,flt->wfs", sliding_window_view(scaled, _TAPS, axis=2), filters)
    logits = np.maximum(filtered, 0).max(axis=2) @ mix + offset
    return 1 / (1 + np.exp(-logits))


def _weights(model: ModelFile) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return filters `[F, L, taps]`, their mix `[F, C]` and its offset `[C]`; float32."""
    random = np.random.default_rng(7)
    filters = random.normal(size=(_N_FILTERS, len(model.leads), _TAPS)) / _TAPS
    mix = random.normal(size=(_N_FILTERS, len(model.classes)))
    offset = random.normal(size=len(model.classes))
    return filters.astype(np.float32), mix.astype(np.float32), offset.astype(np.float32)
