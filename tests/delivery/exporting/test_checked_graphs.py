"""Graphs are published only when they are the student; the int8 one only when it is good enough."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.data.loader import EvalLoader
from mvkt_ray.data.views import View
from mvkt_ray.delivery.exporting import checked_graphs
from mvkt_ray.delivery.exporting.checked_graphs import (
    CheckedGraphs,
    open_graph,
    windows_of_10_s,
    write_checked_graphs,
)
from mvkt_ray.delivery.exporting.exported_windows import calibration_crops, probabilities_of
from mvkt_ray.delivery.exporting.millivolt_network import MillivoltNetwork
from mvkt_ray.errors import ArtifactError
from mvkt_ray.models.networks import build_network
from mvkt_ray.search.stages import Prepared, prepare
from mvkt_ray.statistics.scores import auroc_per_class
from mvkt_ray.storage.location import Location
from mvkt_ray.training.process import current_device
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.validation import predict


@pytest.fixture(scope="module")
def prepared(recordings: Location, made_up_study_config: StudyConfig) -> Prepared:
    return prepare(made_up_study_config, recordings)


@pytest.fixture(scope="module")
def view(prepared: Prepared) -> View:
    return prepared.view.with_leads(["V5"])


def student(view: View, prepared: Prepared) -> MillivoltNetwork:
    torch.manual_seed(0)
    network = build_network("sepconv1d_tiny", 1, len(prepared.task.classes))
    crops = next(iter(calibration_crops(prepared.shards, prepared.splits.train, view, 0)))
    with torch.no_grad():
        network((torch.from_numpy(crops) - view.mean_mv) / view.std_mv)
    model = MillivoltNetwork(network, mean_mv=view.mean_mv, std_mv=view.std_mv)
    return model.eval()


def check(view: View, prepared: Prepared, folder: Path) -> CheckedGraphs:
    return write_checked_graphs(student(view, prepared), prepared, view, folder, seed=0)


def test_a_graph_says_what_evaluation_says_of_every_recording(
    prepared: Prepared, view: View, tmp_path: Path
) -> None:
    graphs = check(view, prepared, tmp_path)
    val = prepared.splits.val
    right = predict(
        student(view, prepared).network,
        EvalLoader(prepared.shards, val, view, batch_size=64),
        val.labels,
        device=current_device(),
        bf16=False,
        ranks=Ranks(),
    )
    assert graphs.probabilities_NC == pytest.approx(right.probabilities_NC, abs=1e-5)
    assert graphs.macro_auroc == np.nanmean(auroc_per_class(val.labels, graphs.probabilities_NC))
    assert graphs.largest_difference < 1e-5


def test_the_int8_graph_is_in_whole_numbers_and_scores_what_is_said(
    prepared: Prepared, view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A student that learned nothing may lose anything.
    monkeypatch.setattr(checked_graphs, "MOST_LOST", 1.0)
    graphs = check(view, prepared, tmp_path)
    assert graphs.int8_left_out is None
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model.int8.onnx", "model.onnx"]
    file = tmp_path / "model.int8.onnx"
    kinds = {each.data_type for each in onnx.load(file).graph.initializer}
    assert onnx.TensorProto.INT8 in kinds
    said = probabilities_of(open_graph(file), prepared.shards, prepared.splits.val, view)
    area = np.nanmean(auroc_per_class(prepared.splits.val.labels, said))
    assert graphs.int8_macro_auroc == pytest.approx(area, abs=1e-12)


def test_an_int8_graph_that_loses_too_much_is_left_out_with_the_reason(
    prepared: Prepared, view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_graphs, "MOST_LOST", -1.0)
    graphs = check(view, prepared, tmp_path)
    assert graphs.int8_left_out is not None
    assert "macro AUROC" in graphs.int8_left_out
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]


class OtherWhenExported(MillivoltNetwork):
    """What an exporter with a defect would make."""

    def forward(self, signal_mv: Tensor) -> Tensor:
        said = super().forward(signal_mv)
        return said * 0.99 if torch.compiler.is_exporting() else said


def test_a_graph_that_is_not_the_student_is_refused(
    prepared: Prepared, view: View, tmp_path: Path
) -> None:
    network = student(view, prepared).network
    wrong = OtherWhenExported(network, mean_mv=view.mean_mv, std_mv=view.std_mv).eval()
    with pytest.raises(ArtifactError, match="differ by"):
        write_checked_graphs(wrong, prepared, view, tmp_path, seed=0)


def test_a_recording_of_ten_seconds_has_as_many_windows_as_fit(view: View) -> None:
    short = replace(view, crop_samples=250, stride_samples=125)
    assert windows_of_10_s(short, 100) == 7
    assert windows_of_10_s(replace(short, crop_samples=1000), 100) == 1
