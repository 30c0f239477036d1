"""A graph that is run from its file alone, in another process."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mvkt_ray.delivery.exporting import measured_run
from mvkt_ray.delivery.exporting.measured_run import measure
from mvkt_ray.delivery.exporting.millivolt_network import MillivoltNetwork
from mvkt_ray.delivery.exporting.onnx_graph import write_onnx
from mvkt_ray.errors import ArtifactError
from mvkt_ray.models.networks import build_network


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[MillivoltNetwork, Path]:
    torch.manual_seed(0)
    model = MillivoltNetwork(build_network("sepconv1d_tiny", 1, 3), mean_mv=0.0, std_mv=0.2).eval()
    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    write_onnx(model, file, n_leads=1, window_samples=100)
    return model, file


def test_another_process_says_the_same_and_what_it_took(
    graph: tuple[MillivoltNetwork, Path],
) -> None:
    model, file = graph
    windows = np.random.default_rng(0).normal(0, 0.3, (7, 1, 100)).astype(np.float32)
    run = measure(file, windows)
    with torch.no_grad():
        assert run.probabilities_WC == pytest.approx(model(torch.from_numpy(windows)), abs=1e-5)
    assert run.median_ms > 0
    assert run.peak_bytes is not None
    assert run.own_bytes is not None
    assert 0 < run.own_bytes < run.peak_bytes


def test_a_file_that_cannot_be_run_alone_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match=r"model\.onnx was written, but cannot be run"):
        measure(file, np.zeros((1, 1, 100), dtype=np.float32))


def test_a_run_that_does_not_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_run, "ENDS_WITHIN_S", 0.0)
    with pytest.raises(ArtifactError, match=r"model\.onnx was written, but .* not ended"):
        measure(tmp_path / "model.onnx", np.zeros((1, 1, 100), dtype=np.float32))
