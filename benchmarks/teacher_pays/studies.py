"""Studies that are run by `mvkt` as a user would, and read when their finals are over."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_results import FinalsResults, read_finals
from mvkt_ray.search.ledger.ledger_database import reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.statistics.gains import Difference, paired_differences
from mvkt_ray.statistics.resampling import bootstrap_auroc, draw_patients
from mvkt_ray.storage.location import Location

FIDELITY = Path(__file__).parents[2] / "search_spaces" / "fidelity.yaml"


def mvkt(*words: str) -> None:
    """Run a command.

    Raises:
        subprocess.CalledProcessError: It did not succeed; it has said why.
    """
    subprocess.run([sys.executable, "-m", "mvkt_ray", *words], check=True)


def write_study(file: Path, value: Mapping[str, Any]) -> Path:
    """Write a study file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(dict(value), sort_keys=False))
    return file


def search(study: Path, out: Path, data: str, folds: str, runner: Sequence[str]) -> None:
    """Make what is missing of shards, teacher, knowledge and trials."""
    resume = ["--resume"] if out.exists() else []
    mvkt(
        "search", str(study), "--data", data, "--folds", folds, "--out", str(out), "-q",
        *runner, *resume,
    )  # fmt: skip


def finals_of(out: Path) -> FinalsResults | None:
    """Read the finals of a study; None before they are examined."""
    folder = StudyFolder(Location.parse(out))
    if not folder.study_file.exists():
        return None
    name = folder.read_config().name
    with reading(folder) as database, FinalsLedger.open_all(database, name) as ledgers:
        return read_finals(folder, ledgers)


def finalize(out: Path, runner: Sequence[str]) -> None:
    """Train and examine, unless that is over."""
    if finals_of(out) is None:
        mvkt("finalize", str(out), "-q", *runner)


def gain(
    labels_NC: NDArray[Any],
    patients_N: NDArray[Any],
    contender_RNC: NDArray[Any],
    reference_RNC: NDArray[Any],
) -> Difference:
    """Compare two contenders over the same recordings and seeds, by macro AUROC."""
    scores = np.stack([contender_RNC, reference_RNC])
    areas = bootstrap_auroc(labels_NC, scores, draw_patients(patients_N))
    [found] = paired_differences(areas.macro_K, areas.macro_BK, [(0, 1)], seeds_KR=areas.macro_KR)
    return found
