"""One tiny dataset and one study with its finals, made once by the functions that are tested."""

from pathlib import Path
from typing import Any

import pytest

import mvkt_ray as mvkt
from tests.images import skip_images

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": "synthetic",
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
    },
    "view": {"crop_s": 1.0, "grid_s": 3.0, "stride_s": 5.0},
    "teacher": {"network": "sepconv1d_small", "epochs": 2, "batch_size": 32},
    "student": {"epochs": 2},
    "resources": {"precision": "float32"},
    "space": {
        "student": "sepconv1d_small",
        "batch_size": 32,
        "n_negatives": 8,
        "learning_rate": {"low": 0.003, "high": 0.03, "log": True},
    },
    "search": {"leads": ["II", "V1"], "n_trials": 6, "pruner": {"kind": "none"}},
    "finals": {"n_seeds": 2, "baselines": ["student_alone"]},
}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what is made once; nobody writes into it later."""
    return tmp_path_factory.mktemp("once")


@pytest.fixture(scope="session")
def shards_dir(home: Path) -> Path:
    mvkt.ingest(
        "synthetic",
        out=home / "shards",
        options={"n_recordings": 120, "duration_s": 5},
        rows_per_shard=64,
        in_process=True,
        progress=False,
    )
    return home / "shards"


@pytest.fixture(scope="session")
def tiny_config() -> mvkt.StudyConfig:
    return mvkt.read_study(TINY)


@pytest.fixture(scope="session")
def searched(home: Path, shards_dir: Path, tiny_config: mvkt.StudyConfig) -> mvkt.Study:
    """The study before its finals, as it was then."""
    with pytest.MonkeyPatch.context() as patch:
        skip_images(patch)
        return mvkt.search(
            tiny_config, data=shards_dir, out=home / "study", in_process=True, progress=False
        )


@pytest.fixture(scope="session")
def finished(searched: mvkt.Study) -> mvkt.Study:
    """The same after its finals."""
    return mvkt.finalize(searched, in_process=True, progress=False)


@pytest.fixture(scope="session")
def study_dir(finished: mvkt.Study) -> Path:
    return Path(finished.path)
