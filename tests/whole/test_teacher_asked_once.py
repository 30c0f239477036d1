"""However many trials a search has, the teacher runs as often: to be trained, and once per crop."""

from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.data.recording import LEADS
from mvkt_ray.distill.knowledge import KIND
from mvkt_ray.models.network import Network
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.listener import Listener
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from tests.planned_search import plan_and_run

CONFIG: dict[str, Any] = {
    "name": "asked",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 80, "seed": 3},
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
    },
    "view": {"crop_s": 2.5, "grid_s": 2.5, "stride_s": 2.5},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 16},
    "student": {"epochs": 1},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 16,
        "clt_weight": 0,
        "kd_weight": {"low": 0.1, "high": 10.0, "log": True},
    },
    "search": {"leads": ["I", "V2"], "baselines": [], "sampler": "random"},
}


def signals_of_the_teacher(folder: Path, n_trials: int) -> tuple[Counter[str], int]:
    """Run a search; return what the teacher saw, training and not, and the crops there are."""
    seen: Counter[str] = Counter()

    def count(module: nn.Module, inputs: tuple[Tensor, ...], _output: Any) -> None:
        if isinstance(module, Network) and inputs[0].shape[1] == len(LEADS):
            seen["training" if module.training else "asked"] += len(inputs[0])

    search = {**CONFIG["search"], "n_trials": n_trials}
    config = study_from_mapping({**CONFIG, "search": search}, "asked")
    study_folder = StudyFolder(Location.parse(folder))
    hook = register_module_forward_hook(count)
    try:
        study = plan_and_run(config, study_folder, InProcess(), Mock(spec=Listener))
    finally:
        hook.remove()
    assert len(study.trials()) == n_trials
    study.close()
    manifest = read_manifest(study_folder.knowledge, KIND)
    return seen, int(manifest.counts["n_crops"])


def test_more_trials_do_not_ask_the_teacher_more(tmp_path: Path) -> None:
    few, n_crops = signals_of_the_teacher(tmp_path / "few", 2)
    many, _ = signals_of_the_teacher(tmp_path / "many", 6)
    assert few == many
    # Beside the crops only the validation of the teacher itself, after its one epoch.
    n_windows = few["asked"] - n_crops
    assert 0 < n_windows < n_crops
