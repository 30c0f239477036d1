"""Writes a student as an ONNX graph from millivolts to probabilities, with scaling and sigmoid.

Writes: ONNX files.

Shapes: B batch, L leads, S samples, C classes.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Generator
from pathlib import Path

import onnx
import torch

from mvkt_ray.delivery.exporting.millivolt_network import MillivoltNetwork
from mvkt_ray.delivery.predicting.model_file import INPUT_NAME, OUTPUT_NAME
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import shortly


def write_onnx(model: MillivoltNetwork, path: Path, *, n_leads: int, window_samples: int) -> bool:
    """Write a model as ONNX for batches of any size, and windows of any length if possible.

    Args:
        model: Model in evaluation mode, on the CPU.
        path: File to write.
        n_leads: Leads of its input.
        window_samples: Window length of its training, and least length of its input.

    Returns:
        Whether the length is free; else the graph accepts `window_samples` only.

    Raises:
        ConfigError: ONNX, or its exporter, does not support an operation of the network.
    """
    # A batch of two: the exporter would take an axis of length one for a constant.
    example_BLS = torch.zeros(2, n_leads, window_samples)
    axes = {
        0: torch.export.Dim("batch", min=1),
        2: torch.export.Dim("samples", min=window_samples),
    }
    with _quiet():
        # For a network of fixed length the exporter silently writes the example's length.
        try:
            program = torch.onnx.export(
                model,
                (example_BLS,),
                dynamo=True,
                dynamic_shapes={INPUT_NAME: axes},
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            # Our own networks are exportable; a plug-in's may have unsupported operations.
            cause = error.__cause__ or error
            raise ConfigError(
                f"the network cannot be written as ONNX ({shortly(cause)}). Its weights are in "
                "the trial's folder (`student.safetensors`). Build it from operations that "
                "torch's exporter supports, or choose a student with another network."
            ) from error
    assert program is not None
    program.save(path)
    graph = tidy_graph(path).graph
    *_, samples = graph.input[0].type.tensor_type.shape.dim
    return bool(samples.dim_param)


def tidy_graph(path: Path) -> onnx.ModelProto:
    """Remove the exporter's annotations from an ONNX file, check the rest, and return the model.

    Annotations contain source paths of this machine. Unused operator sets, which some runtimes
    refuse, are removed, too.
    """
    model = onnx.load(path)
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        noted.ClearField("metadata_props")
        noted.ClearField("doc_string")
    used = {node.domain for node in graph.node}
    kept = [each for each in model.opset_import if each.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return model


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Suppress the exporter's progress messages and warnings about optional packages."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
