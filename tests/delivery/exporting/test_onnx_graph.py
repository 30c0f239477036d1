"""A student as an ONNX graph: the same numbers as torch, for any batch and any length."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mvkt_ray.delivery.exporting.millivolt_network import MillivoltNetwork
from mvkt_ray.delivery.exporting.onnx_graph import write_onnx
from mvkt_ray.models.network import Backbone, Network
from mvkt_ray.models.networks import build_network

WINDOW = 100
MEAN_MV, STD_MV = 0.013, 0.21


def trained(name: str, n_leads: int) -> Network:
    """A network whose batch normalisation has seen something, as after training."""
    torch.manual_seed(0)
    network = build_network(name, n_leads, 3)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, n_leads, WINDOW) * 2 + 0.5)
    return network.eval()


@pytest.fixture(scope="module", params=[("sepconv1d_tiny", 2), ("xresnet1d18", 1)])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Network, int, Path]:
    name, n_leads = request.param
    network = trained(name, n_leads)
    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    model = MillivoltNetwork(network, mean_mv=MEAN_MV, std_mv=STD_MV).eval()
    assert write_onnx(model, file, n_leads=n_leads, window_samples=WINDOW)
    return network, n_leads, file


@settings(max_examples=25, deadline=None)
@given(batch=st.integers(1, 9), extra=st.integers(0, 333), seed=st.integers(0, 99))
def test_probabilities_are_those_of_the_scaled_signal_in_torch(
    exported: tuple[Network, int, Path], batch: int, extra: int, seed: int
) -> None:
    network, n_leads, file = exported
    rng = np.random.default_rng(seed)
    signal_mv = rng.normal(0, 0.5, (batch, n_leads, WINDOW + extra)).astype(np.float32)
    with torch.no_grad():
        right = torch.sigmoid(network((torch.from_numpy(signal_mv) - MEAN_MV) / STD_MV)[0])
    (said,) = onnxruntime.InferenceSession(str(file)).run(None, {"signal_mv": signal_mv})
    assert np.asarray(said) == pytest.approx(right.numpy(), abs=1e-5)


def test_a_file_tells_nothing_of_the_machine_that_wrote_it(
    exported: tuple[Network, int, Path],
) -> None:
    content = exported[2].read_bytes()
    for trace in (b"mvkt_ray", b"site-packages", b".py", str(Path.home()).encode()):
        assert trace not in content


def test_axes_have_names_and_types_as_the_model_file_says(
    exported: tuple[Network, int, Path],
) -> None:
    graph = onnx.load(exported[2]).graph
    assert [each.name for each in graph.input] == ["signal_mv"]
    assert [each.name for each in graph.output] == ["probabilities"]
    batch, leads, samples = graph.input[0].type.tensor_type.shape.dim
    assert (batch.dim_param, leads.dim_value, samples.dim_param) == (
        "batch",
        exported[1],
        "samples",
    )


class OnlyOneLength(nn.Module):
    """Layers whose weights are of one length of signal."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WINDOW, 4))

    def forward(self, features_BF1T: Tensor) -> Tensor:
        return (features_BF1T @ self.weight).expand(-1, 2, -1, -1)


def test_a_network_for_one_length_is_written_for_that_length(tmp_path: Path) -> None:
    network = Network(Backbone(OnlyOneLength(), n_channels=2), 3).eval()
    model = MillivoltNetwork(network, mean_mv=0.0, std_mv=1.0).eval()
    file = tmp_path / "model.onnx"
    assert not write_onnx(model, file, n_leads=1, window_samples=WINDOW)
    signal_mv = np.ones((5, 1, WINDOW), dtype=np.float32)
    (said,) = onnxruntime.InferenceSession(str(file)).run(None, {"signal_mv": signal_mv})
    with torch.no_grad():
        assert np.asarray(said) == pytest.approx(
            model(torch.from_numpy(signal_mv)).numpy(), abs=1e-5
        )
