"""Runs an ONNX graph with onnxruntime, an optional dependency.

Shapes: W windows of a batch, L leads, S samples, C classes.
"""

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.predicting.model_file import INPUT_NAME, OUTPUT_NAME, ModelFile
from mvkt_ray.errors import ArtifactError, ConfigError
from mvkt_ray.phrasing import one_line

_ERRORS_ONLY = 3
"""onnxruntime's severity level for errors; its warnings concern the export, not the prediction."""


class GraphSession:
    """An ONNX graph that is ready to run on the CPU.

    Raises:
        ConfigError: onnxruntime is not installed.
        ArtifactError: The graph cannot be opened, or is not what `model.json` says.
    """

    def __init__(self, graph: bytes, model: ModelFile, *, n_threads: int = 1) -> None:
        runtime = _onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = runtime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common class
            raise ArtifactError(
                f"the graph of the model {model.name!r} cannot be opened by onnxruntime "
                f"{runtime.__version__} ({one_line(error)}). Update onnxruntime, or export the "
                "model again."
            ) from error
        self._expect_names(model)

    def _expect_names(self, model: ModelFile) -> None:
        inputs = {each.name: each.shape for each in self._session.get_inputs()}
        outputs = {each.name: each.shape for each in self._session.get_outputs()}
        n_leads = inputs.get(INPUT_NAME, [None, None])[1]
        n_classes = outputs.get(OUTPUT_NAME, [None, None])[1]
        if len(inputs) != 1 or (n_leads, n_classes) != (len(model.leads), len(model.classes)):
            raise ArtifactError(
                f"the graph of the model {model.name!r} takes {inputs} and gives {outputs}, but "
                f"model.json says {len(model.leads)} leads as {INPUT_NAME!r} and "
                f"{len(model.classes)} classes as {OUTPUT_NAME!r}. Export the model again."
            )

    def probabilities(self, signal_WLS: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each class in each window, float32 `[W, C]`.

        Args:
            signal_WLS: Windows of the model's leads in mV, float32.
        """
        [probabilities_WC] = self._session.run([OUTPUT_NAME], {INPUT_NAME: signal_WLS})
        return probabilities_WC


def _onnxruntime() -> Any:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ConfigError(
            f"mvkt predict runs models by onnxruntime, which is not installed ({error}). Install "
            "it by pip install 'mvkt-ray[predict]'."
        ) from None
