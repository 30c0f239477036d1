"""A student as an ONNX graph: from millivolts to probabilities, scaling and sigmoid inside.

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
    """Write a model as ONNX; batches of any size, and windows of any length if it can.

    Args:
        model: In evaluation mode, on the CPU.
        path: Of the file.
        n_leads: Of its input.
        window_samples: The length that it was trained on; it takes this length and longer ones.

    Returns:
        Whether the length is free. A network whose graph holds for one length only is written for
        `window_samples`.

    Raises:
        ConfigError: It does what ONNX, or its exporter, does not know.
    """
    # Two of each: an axis of length one would be taken for a constant.
    example_BLS = torch.zeros(2, n_leads, window_samples)
    axes = {
        0: torch.export.Dim("batch", min=1),
        2: torch.export.Dim("samples", min=window_samples),
    }
    with _quiet():
        # Where the length is none that may change, the exporter writes the one of the example.
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
            # Ours can all be written; a plug-in's network may do what ONNX does not know.
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
    """Take out of a file what only its makers need, check what is left, and return it.

    Exporters note where in their source each node is from, with the paths of this machine; and
    operator sets of which nothing is used, which some runtimes refuse.
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
    """Keep the exporter's progress, and its remarks about packages it does without, to itself."""
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
