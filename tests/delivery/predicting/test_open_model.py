import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mvkt_ray.delivery.predicting.graph_session import GraphSession
from mvkt_ray.delivery.predicting.open_model import read_model
from mvkt_ray.errors import ArtifactError, ConfigError
from mvkt_ray.storage.artifacts import build_folder, publish
from mvkt_ray.storage.location import Location
from tests.delivery.predicting.made_up_model import graph_of, numpy_probabilities, write_model
from tests.delivery.predicting.model_values import model_file
from tests.delivery.predicting.written_recordings import signal_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, which nobody changes."""
    folder = tmp_path_factory.mktemp("made") / "model"
    write_model(folder)
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


def test_a_model_is_read_with_the_graph_that_is_asked_for(made: Path) -> None:
    model, graph = read_model(Location.parse(made))
    assert model == model_file()
    assert graph == (made / "model.onnx").read_bytes()
    assert read_model(Location.parse(made), int8=True)[1] == (made / "model.int8.onnx").read_bytes()


@pytest.mark.parametrize("int8", [False, True])
def test_both_graphs_answer_what_the_network_does(made: Path, int8: bool) -> None:
    model, graph = read_model(Location.parse(made), int8=int8)
    signal_WLS = np.stack([signal_of(n, 250) for n in range(9)])[:, None].astype(np.float32)
    found_WC = GraphSession(graph, model).probabilities(signal_WLS)
    expected_WC = numpy_probabilities(model, signal_WLS)
    np.testing.assert_allclose(found_WC, expected_WC, atol=0.05 if int8 else 1e-6)


def test_other_files_of_a_model_may_be_edited(copy: Path) -> None:
    (copy / "predict.py").write_text("# mine")
    assert read_model(Location.parse(copy))[0] == model_file()


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda folder: flip_a_byte(folder / "model.onnx"), "model.onnx has hash"),
        (lambda folder: flip_a_byte(folder / "model.json"), "model.json has hash"),
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "is no finished model"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "it is not JSON"),
    ],
)
def test_a_damaged_model_is_refused(copy: Path, spoil: Callable[[Path], Any], part: str) -> None:
    spoil(copy)
    with pytest.raises(ArtifactError, match=part):
        read_model(Location.parse(copy))


def test_a_model_without_8_bits_says_so(tmp_path: Path) -> None:
    write_model(tmp_path / "model", with_int8=False)
    with pytest.raises(ArtifactError, match="exported without an int8 graph"):
        read_model(Location.parse(tmp_path / "model"), int8=True)


def published(path: Path, model_json: bytes, kind: str = "model") -> Location:
    location = Location.parse(path)
    with build_folder(location) as folder:
        (folder / "model.json").write_bytes(model_json)
        onnx.save(graph_of(model_file()), folder / "model.onnx")
    publish(location, kind=kind, config={}, inputs={})
    return location


def test_another_kind_or_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is a teacher, not a model"):
        read_model(published(tmp_path / "a", model_file().to_json(), "teacher"))
    value = json.loads(model_file().to_json())
    newer = json.dumps({**value, "schema_version": 2}).encode()
    with pytest.raises(ArtifactError, match="schema version 2, but this mvkt-ray reads 1"):
        read_model(published(tmp_path / "b", newer))
    lacking = json.dumps({key: value[key] for key in value if key != "leads"}).encode()
    with pytest.raises(ArtifactError, match="it has no 'leads'"):
        read_model(published(tmp_path / "c", lacking))


@pytest.mark.parametrize("changes", [{"leads": ("I", "V5")}, {"classes": model_file().classes[:1]}])
def test_a_graph_of_other_leads_or_classes_is_refused(changes: dict[str, Any]) -> None:
    graph = graph_of(model_file()).SerializeToString()
    with pytest.raises(ArtifactError, match="Export the model again"):
        GraphSession(graph, model_file(**changes))


def test_a_graph_that_is_none_is_refused() -> None:
    with pytest.raises(ArtifactError, match="cannot be opened by onnxruntime"):
        GraphSession(b"no graph", model_file())


def test_without_onnxruntime_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'mvkt-ray\[predict\]'"):
        GraphSession(b"", model_file())
