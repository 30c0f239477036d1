"""A whole package of somebody else's: installed by pip, searched with, exported, and missed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from mvkt_ray.cli import app
from mvkt_ray.data.sources import Source, open_source
from mvkt_ray.data.tasks import Task, plugin_task
from mvkt_ray.distill.both_say import Loss
from mvkt_ray.distill.plugged_loss import plugged_loss
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.testing import LossContract, NetworkContract, SourceContract, TaskContract
from tests.installed_plugins import EXAMPLE, EXAMPLE_PACKAGE, install_example

ROOT = Path(__file__).parents[2]

STUDY: dict[str, Any] = {
    "name": "extras",
    "data": {
        "source": "npy_folder",
        "task": "sick_or_not",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
    },
    "view": {"crop_s": 1.0, "grid_s": 3.0, "stride_s": 5.0},
    "teacher": {"network": "two_layers", "epochs": 1, "batch_size": 32},
    "student": {"epochs": 1},
    "resources": {"precision": "float32"},
    "space": {
        "student": "two_layers",
        "student_width": {"low": 4, "high": 8},
        "batch_size": 32,
        "clt_weight": 0.0,
        "plugin_loss": "logit_distance",
        "plugin_weight": {"low": 0.1, "high": 1.0, "log": True},
    },
    "search": {
        "leads": ["II"],
        "n_trials": 2,
        "baselines": ["student_alone"],
        "pruner": {"kind": "none"},
    },
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip has installed the example into; not on this process's path yet."""
    site = tmp_path_factory.mktemp("site")
    install_example(site, tmp_path_factory.mktemp("build"))
    return site


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(site)
    return site


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    synthetic = open_source("synthetic", "", {"n_recordings": 80, "duration_s": 3})
    for number, ref in enumerate(synthetic.references(100)):
        found = synthetic.read(ref)
        np.save(folder / f"P{number:03d}-{found.codes[0]}.npy", found.signal_mv)
    return folder


def mvkt(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def study(site: Path, recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with nothing but the example's parts, in a process of its own."""
    home = tmp_path_factory.mktemp("home")
    (home / "study.yaml").write_text(yaml.safe_dump(STUDY))
    words = ["search", "study.yaml", "--data", str(recordings), "--out", "study", "--in-process"]
    done = subprocess.run(
        [sys.executable, "-m", "mvkt_ray", *words, "--quiet"],
        capture_output=True,
        text=True,
        cwd=home,
        env={**os.environ, "PYTHONPATH": f"{site}:{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    return home / "study"


@pytest.mark.usefixtures("installed")
class TestTwoLayers(NetworkContract):
    @pytest.fixture
    def network_name(self) -> str:
        return "two_layers"


@pytest.mark.usefixtures("installed")
class TestLogitDistance(LossContract):
    @pytest.fixture
    def loss(self, installed: Path) -> Loss:
        return plugged_loss("logit_distance")


class TestSickOrNot(TaskContract):
    @pytest.fixture
    def task(self, installed: Path) -> Task:
        task = plugin_task("sick_or_not", ())
        assert task is not None
        assert task.origin == "ecg-extras 1.0"
        return task


class TestNpyFolder(SourceContract):
    @pytest.fixture
    def source(self, installed: Path, recordings: Path) -> Source:
        return open_source("npy_folder", str(recordings), {})


@pytest.mark.usefixtures("installed")
def test_a_search_is_made_of_it_and_everything_says_so(study: Path) -> None:
    folder = StudyFolder(Location.parse(study))
    assert folder.read_plugins() == EXAMPLE_PACKAGE
    _, opened = open_study(folder)
    alone, taught = opened.trials()
    opened.close()
    assert alone.trial.hyperparameters["plugin_weight"] == 0
    assert 0.1 <= float(taught.trial.hyperparameters["plugin_weight"]) <= 1
    assert 4 <= int(taught.trial.hyperparameters["student_width"]) <= 8
    shards = read_manifest(folder.shards, "shards")
    assert shards.config["source"]["plugin"] == "ecg-extras 1.0"
    teacher = read_manifest(folder.teacher, "teacher")
    assert teacher.config["plugin"] == "ecg-extras 1.0"
    assert teacher.config["task"]["origin"] == "ecg-extras 1.0"
    result = json.loads((study / "trials" / "00001" / "result.json").read_text())
    assert result["made_from"]["plugins"] == EXAMPLE_PACKAGE
    assert result["history"][-1]["metrics"]["losses"]["plugin"] > 0


@pytest.mark.usefixtures("installed")
def test_its_student_is_exported_as_any_other(study: Path, tmp_path: Path) -> None:
    done = mvkt("export", study, tmp_path / "model", "--from-search", "--quiet")
    assert done.exit_code == 0, done.stderr
    model = json.loads((tmp_path / "model" / "model.json").read_text())
    assert model["versions"]["ecg-extras"] == "1.0"


def test_another_version_of_it_goes_on_with_nothing(
    study: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(site, newer)
    [about] = newer.glob("*.dist-info/METADATA")
    about.write_text(about.read_text().replace("Version: 1.0", "Version: 1.1"))
    monkeypatch.syspath_prepend(newer)
    for words in (
        ("search", "--resume", "--out", study, "--in-process"),
        ("rerun", study, 1),
        ("export", study, tmp_path / "model", "--from-search"),
    ):
        done = mvkt(*words)
        assert done.exit_code == 2, done.stderr
        assert "started with other plug-ins: ecg-extras (was 1.0, is 1.1)" in done.stderr


def test_without_it_nothing_starts_and_it_is_said_what_is_missing(
    study: Path, tmp_path: Path
) -> None:
    for words in (("status", study), ("search", "--resume", "--out", study, "--in-process")):
        done = mvkt(*words)
        assert done.exit_code == 2
        assert "'logit_distance'" in done.stderr
        assert "`mvkt plugins` lists the installed ones" in done.stderr
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    begun = mvkt("search", tmp_path / "study.yaml", "--data", tmp_path, "--out", tmp_path / "new")
    assert begun.exit_code == 2
    assert "there is no source 'npy_folder'" in begun.stderr


def test_the_readme_shows_the_files_of_the_example_as_they_are() -> None:
    section = (ROOT / "README.md").read_text().partition("## Plug-ins")[2].partition("\n## ")[0]
    blocks = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)
    assert blocks, "the section shows no files"
    files = [(EXAMPLE / name).read_text() for name in ("pyproject.toml", "ecg_extras.py")]
    for block in blocks:
        assert any(block.strip() in text for text in files) or is_test_or_study(block), block


def is_test_or_study(block: str) -> bool:
    """Whether a block is what this very file runs: a subclass of a contract, or keys of `STUDY`."""
    if "Contract" in block:
        own = Path(__file__).read_text()
        return all(line.strip() in own for line in block.splitlines() if "class" in line)
    space = yaml.safe_load(block)["space"]
    return all(STUDY["space"][name] == value for name, value in space.items())
