"""One tiny dataset, one teacher and one finished study, made through the command line itself."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mvkt_ray.cli import app

TINY_STUDY: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": "synthetic",
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
    },
    "view": {"crop_s": 1.0, "grid_s": 3.0, "stride_s": 5.0},
    "teacher": {"network": "sepconv1d_small", "epochs": 2, "batch_size": 32},
    "student": {"epochs": 2},
    # Else each study measures it, and two that are compared could come to different ones.
    "resources": {"precision": "float32"},
    "space": {
        "student": "sepconv1d_small",
        "batch_size": 32,
        "n_negatives": 8,
        "learning_rate": {"low": 0.003, "high": 0.03, "log": True},
    },
    "search": {"leads": ["II", "V1"], "n_trials": 6, "pruner": {"kind": "none"}},
}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it wrote."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    def expect_wrong_input(self, *parts: str) -> None:
        """One paragraph on stderr, exit code 2, and in it what helps."""
        assert self.exit_code == 2, self.stderr
        assert "Traceback" not in self.stderr + self.stdout
        (paragraph,) = [line for line in self.stderr.splitlines() if line.startswith("Error: ")]
        for part in parts:
            assert part in paragraph


Mvkt = Callable[..., Done]


def invoke(*args: object) -> Done:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    return Done(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def mvkt() -> Mvkt:
    """Run a command line in this process."""
    return invoke


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Write the tiny study with some keys of its sections changed."""

    def write(changes: Mapping[str, Any]) -> Path:
        study = dict(TINY_STUDY)
        for key, value in changes.items():
            own = study.get(key)
            both = isinstance(own, dict) and isinstance(value, Mapping)
            study[key] = {**own, **value} if both else value  # pyright: ignore[reportGeneralTypeIssues]
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(study))
        return path

    return write


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what is made once; nobody writes into it later."""
    folder = tmp_path_factory.mktemp("once")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY_STUDY))
    return folder


@pytest.fixture(scope="session")
def shards(home: Path) -> Path:
    out = home / "shards"
    done = invoke(
        *("ingest", "synthetic", "-", out, "--in-process", "--rows-per-shard", 64),
        *("--option", "n_recordings=120", "--option", "duration_s=5"),
    )
    assert done.exit_code == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def study_dir(home: Path, shards: Path) -> Path:
    """A finished study of six trials; its teacher and knowledge are in it."""
    out = home / "study"
    line = ("search", home / "tiny.yaml", "--data", shards, "--out", out, "--in-process")
    done = invoke(*line, "--quiet")
    assert done.exit_code == 0, done.stderr
    return out
