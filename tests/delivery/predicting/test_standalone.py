"""The file that travels with a model runs where there is nothing but numpy and onnxruntime."""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mvkt_ray.delivery.predicting import prepared_signal, standalone
from mvkt_ray.delivery.predicting.answer_rows import AnswerRows
from mvkt_ray.delivery.predicting.found_records import find_records
from mvkt_ray.delivery.predicting.graph_session import GraphSession
from mvkt_ray.delivery.predicting.open_model import read_model
from mvkt_ray.delivery.predicting.predict_recordings import predict_recordings
from mvkt_ray.delivery.predicting.recording_reader import RecordingReader
from mvkt_ray.storage.location import Location
from tests.delivery.predicting.made_up_model import write_model
from tests.delivery.predicting.written_recordings import signal_of

WANTED = ("numpy", "onnxruntime")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standalone") / "model"
    write_model(folder, leads=("I", "aVF"))
    return folder


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links to the two packages and what they ask for, and nothing else."""
    folder = tmp_path_factory.mktemp("packages")
    for name in needed(WANTED):
        installed = distribution(name)
        for file in installed.files or ():
            top = file.parts[0]
            link = folder / top
            if top not in ("..", "__pycache__") and not link.exists():
                link.symlink_to(Path(str(installed.locate_file(top))))
    return folder


def needed(names: Sequence[str]) -> set[str]:
    """Return the distributions and all that they ask for, as far as it is installed."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        with contextlib.suppress(PackageNotFoundError):  # asked for on other systems only
            asked = [each for each in requires(name) or () if "extra ==" not in each]
            left += [re.split(r"[^\w.-]", each)[0] for each in asked]
            found.add(name)
    return found


def run(packages: Path, program: Path, *args: object) -> subprocess.CompletedProcess[str]:
    """Run it isolated, without site-packages: only the standard library and `packages`."""
    start = f"import sys, runpy; sys.path.append({str(packages)!r}); sys.argv = sys.argv[1:]; "
    line = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"{start}runpy.run_path(sys.argv[0], run_name='__main__')",
    ]
    words = [str(program), *map(str, args)]
    return subprocess.run([*line, *words], capture_output=True, text=True)


def test_the_environment_has_nothing_else(packages: Path, tmp_path: Path) -> None:
    program = tmp_path / "probe.py"
    program.write_text(
        "import importlib.util as u\n"
        "names = ['numpy', 'onnxruntime', 'mvkt_ray', 'torch', 'scipy', 'pandas', 'pyarrow']\n"
        "print([name for name in names if u.find_spec(name)])\n"
    )
    assert run(packages, program).stdout == "['numpy', 'onnxruntime']\n"


def write_csv(path: Path, n_samples: int) -> Path:
    rows = zip(signal_of(1, n_samples), signal_of(2, n_samples), strict=True)
    path.write_text("time,AVF,i\n" + "".join(f"0,{a:.4f},{b:.4f}\n" for a, b in rows))
    return path


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("n_samples", [130, 250, 1000, 10_013])
def test_it_gives_what_mvkt_predict_gives(
    model: Path, packages: Path, tmp_path: Path, n_samples: int, int8: bool
) -> None:
    path = write_csv(tmp_path / "ecg.csv", n_samples)
    done = run(packages, model / "predict.py", path, "--json", *(["--int8"] if int8 else []))
    assert done.returncode == 0, done.stderr
    opened, graph = read_model(Location.parse(model), int8=int8)
    reader = RecordingReader(leads=opened.leads, rate_hz=opened.sampling_rate_hz)
    session = GraphSession(graph, opened)
    (answer,) = predict_recordings(opened, session, find_records([str(path)]), reader)
    expected = AnswerRows(opened, "f1").value(answer)
    del expected["remark"]
    for kind in ("probabilities", "calibrated"):
        expected[kind] = pytest.approx(expected[kind], abs=2e-6)
    assert json.loads(done.stdout) == expected


def test_it_writes_a_table_for_people(model: Path, packages: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "ecg.csv", 1000)
    done = run(packages, model / "predict.py", path, "--rate", 100)
    header, first, second = done.stdout.splitlines()
    assert header.split() == ["class", "probability", "calibrated", "decision"]
    assert first.split()[0] == "MI"
    assert second.endswith("no threshold")


@pytest.mark.parametrize(
    ("text", "args", "part"),
    [
        ("I,aVF\n" + "0.1,0.2\n0.3,0.1\n" * 100, ["--rate", "500"], "the model takes 100 Hz"),
        ("I,II\n1,2\n", [], "has no lead aVF: it names ['I', 'II']"),
        ("I,aVF,avf\n1,2,3\n", [], "names lead avf twice"),
        ("1,2\n3,4\n", [], "must name the leads"),
        ("I,aVF\n1,x\n", [], "cannot be read: could not convert string 'x'"),
        ("", [], "first line is empty"),
        ("I,aVF\n", [], "has no samples"),
        ("I,aVF\n" + "0.1,1e99\n0.3,0.1\n" * 100, [], "not numbers"),
        ("I,aVF\n" + "0.1,0.2\n" * 10, [], "lasts 0.1 s"),
        ("I,aVF\n" + "0.1,0.2\n" * 200, [], "a lead is constant"),
        ("I,aVF\n" + "0.1,nan\n0.3,0.1\n" * 100, [], "not numbers"),
        ("I,aVF\n" + "100,200\n-300,-100\n" * 100, [], "not in millivolts"),
        (None, [], "No such file"),
    ],
)
def test_wrong_input_is_a_sentence(
    model: Path, packages: Path, tmp_path: Path, text: str | None, args: list[str], part: str
) -> None:
    path = tmp_path / "ecg.csv"
    if text is not None:
        path.write_text(text)
    done = run(packages, model / "predict.py", path, *args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    assert part in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_without_8_bits_says_so(packages: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model", with_int8=False, leads=("I", "aVF"))
    path = write_csv(tmp_path / "ecg.csv", 1000)
    done = run(packages, tmp_path / "model" / "predict.py", path, "--int8")
    assert done.returncode == 2
    assert "leave --int8 out" in done.stderr


@pytest.mark.parametrize("name", ["model.json", "model.onnx"])
def test_a_damaged_model_is_a_sentence(packages: Path, tmp_path: Path, name: str) -> None:
    write_model(tmp_path / "model", leads=("I", "aVF"))
    (tmp_path / "model" / name).write_bytes(b"damaged")
    path = write_csv(tmp_path / "ecg.csv", 1000)
    done = run(packages, tmp_path / "model" / "predict.py", path)
    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["SHORTEST_S", "LARGEST_MV", "SMALLEST_MV"])
def test_it_has_the_bounds_of_the_package(name: str) -> None:
    own: ModuleType = standalone
    assert getattr(own, name) == getattr(prepared_signal, name)


def test_windows_begin_where_those_of_the_package_do() -> None:
    for n_samples in (1, 249, 250, 251, 375, 376, 1000, 10_013):
        starts = standalone.window_starts(n_samples, {"window_samples": 250, "stride_samples": 125})
        room = max(n_samples - 250, 0)
        assert starts[-1] == room
        assert (np.diff(starts) > 0).all()
        assert (np.diff(starts) <= 125).all()
