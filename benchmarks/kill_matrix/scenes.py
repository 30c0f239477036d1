"""What is killed: commands on a small study, what they begin with, and what must come out.

Everything is real: data are made, networks trained, the test split opened. Numbers are compared bit
by bit, as one trial runs at a time and in float32.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_results import read_finals
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.storage.location import Location

STUDY: Mapping[str, Any] = {
    "name": "killed",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 120, "seed": 3, "duration_s": 4.0},
        "sampling_rate_hz": 50,
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5], "val": [6, 7], "test": [8, 9, 10]},
    },
    "view": {"crop_s": 2.0, "grid_s": 1.0, "stride_s": 1.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 3, "batch_size": 16},
    "student": {"epochs": 3},
    "resources": {"precision": "float32", "max_concurrent_trials": 1},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 16,
        "n_negatives": 8,
        "kd_weight": {"low": 0.1, "high": 10.0, "log": True},
    },
    "search": {
        "leads": ["I", "V2"],
        "n_trials": 6,
        "n_startup_trials": 2,
        "baselines": ["student_alone"],
        "pruner": {"kind": "successive_halving", "min_epochs": 1, "reduction_factor": 2},
    },
    "finals": {"n_seeds": 2, "baselines": ["student_alone"]},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """One command, from its start to its end."""

    words: tuple[str, ...]
    """After `mvkt`; FOLDER stands for the folder of the run."""
    again: tuple[str, ...]
    """What is added to go on after a kill."""
    needs: tuple[str, ...]
    """Commands that have ended well before, in order."""
    facts: Callable[[Location], Any]
    """What must be the same, as plain values; of the folder of the run."""
    study: Mapping[str, Any]
    is_in_store: bool = False
    """What it writes is in an object store, below STORE; what it needs, too."""
    ends_at: str = ""
    """It is killed before its first write of this kind: what follows is other scenes' doing."""
    n_nodes: int = 0
    """Of a cluster that is there before it, at ADDRESS, and is not its own; the head has no CPU."""

    def begin(self, base: Path, folder: Path) -> None:
        """Make the folder of a run from what was made before."""
        if base.exists():
            shutil.copytree(base, folder)
        else:
            folder.mkdir(parents=True)
        (folder / "study.yaml").write_text(yaml.safe_dump(dict(self.study), sort_keys=False))

    def line(self, folder: Path, store: Location | None, address: str = "") -> list[str]:
        """Return the words with the folder, the place in the store and the cluster in them."""
        stands_for = {"FOLDER": str(folder), "STORE": str(store), "ADDRESS": address}
        words = list(self.words)
        for name, value in stands_for.items():
            words = [word.replace(name, value) for word in words]
        return words


def trials_of(folder: Location) -> list[Any]:
    """Return every trial of the search: what it is, what it reported, and how it ended."""
    study = StudyFolder(folder / "out")
    with reading(study) as database:
        return [_row(record) for record in Ledger.open(database, str(STUDY["name"])).records]


def _row(record: TrialRecord) -> dict[str, Any]:
    result = record.result
    return {
        "trial": record.trial.to_json(),
        "values": dict(record.values),
        "state": record.state.value,
        "macro_auroc": record.macro_auroc,
        "epochs": None if result is None else result.epochs,
        "per_class": None if result is None else dict(result.per_class_auroc),
    }


def searched(folder: Location) -> Any:
    """Return the trials and what the report says of them."""
    return {"trials": trials_of(folder), "report": _report(folder)}


def finalized(folder: Location) -> Any:
    """Return the trials, what was examined, how often the test split was opened, and the report."""
    study = StudyFolder(folder / "out")
    name = str(STUDY["name"])
    with reading(study) as database, FinalsLedger.open_all(database, name) as ledgers:
        finals = read_finals(study, ledgers)
        openings = [ledger.opening is not None for ledger in ledgers]
        trained = [_row(record) for ledger in ledgers for record in ledger.records]
    assert finals is not None
    scores = {"/".join(key): values.tolist() for key, values in finals.test.scores.items()}
    return {
        "trials": trials_of(folder),
        "finals": trained,
        "openings": openings,
        "scores": scores,
        "report": _report(folder),
    }


_TIMES = ("made_at", "cost", "provenance", "study_summary", "finals", "finals_begun", "test_split")
"""Parts of a report that tell when and how long."""


def _report(folder: Location) -> Any:
    value = json.loads((folder / "out" / "report" / "report.json").read_bytes())
    return {key: part for key, part in value.items() if key not in _TIMES}


def files_of(name: str) -> Callable[[Location], Any]:
    """Return a function that gives the hashes in the manifest of an artifact."""

    def hashes(folder: Location) -> Any:
        manifest = json.loads((folder / name / "manifest.json").read_bytes())
        return {file: entry["sha256"] for file, entry in manifest["files"].items()}

    return hashes


_SEARCH = ("search", "FOLDER/study.yaml", "--out", "FOLDER/out", "-q")
_SEARCH_IN_STORE = ("search", "FOLDER/study.yaml", "--out", "STORE/out", "-q")
_HERE = "--in-process"
_INGEST = (
    "ingest", "synthetic", "-", "FOLDER/shards", "--rate", "50", _HERE,
    "--option", "n_recordings=120", "--option", "seed=3", "--option", "duration_s=4.0",
)  # fmt: skip
_TEACHER = (
    "train-teacher", "FOLDER/study.yaml", "--data", "FOLDER/shards", "--out", "FOLDER/teacher",
    _HERE,
)  # fmt: skip
_CACHE = (
    "cache", "FOLDER/study.yaml", "--data", "FOLDER/shards", "--teacher", "FOLDER/teacher",
    "--out", "FOLDER/knowledge", _HERE,
)  # fmt: skip


def _scene(
    words: Sequence[str],
    facts: Callable[[Location], Any],
    *,
    again: Sequence[str] = ("--resume",),
    needs: Sequence[str] = (),
    resources: Mapping[str, Any] | None = None,
    **more: Any,
) -> Scene:
    study = {**STUDY, "resources": {**STUDY["resources"], **(resources or {})}}
    return Scene(
        words=tuple(words),
        again=tuple(again),
        needs=tuple(needs),
        facts=facts,
        study=study,
        **more,
    )


def _on_ray(*words: str, **more: Any) -> Scene:
    """Begin where the trials begin: the stages before them are killed without Ray."""
    return _scene((*_SEARCH, "--resume", *words), searched, again=(), needs=["stages"], **more)


SCENES: Mapping[str, Scene] = {
    "ingest": _scene(_INGEST, files_of("shards")),
    "train-teacher": _scene(_TEACHER, files_of("teacher"), needs=["ingest"]),
    "cache": _scene(_CACHE, files_of("knowledge"), needs=["ingest", "train-teacher"]),
    "search": _scene((*_SEARCH, _HERE), searched),
    "finalize": _scene(
        ("finalize", "FOLDER/out", "-q", _HERE), finalized, again=(), needs=["search"]
    ),
    "report": _scene(
        ("report", "FOLDER/out", "-q"), finalized, again=(), needs=["search", "finalize"]
    ),
    "search in a store": _scene((*_SEARCH_IN_STORE, _HERE), searched, is_in_store=True),
    "finalize in a store": _scene(
        ("finalize", "STORE/out", "-q", _HERE),
        finalized,
        again=(),
        needs=["search in a store"],
        is_in_store=True,
    ),
    "stages": _scene((*_SEARCH, _HERE), searched, ends_at="checkpoint"),
    "search on Ray": _on_ray(),
    "search on three nodes": _on_ray("--address", "ADDRESS", n_nodes=3),
    "search on two ranks": _on_ray(
        resources={"trial": {"workers": 2, "cpus_per_worker": 0.5}},
    ),
}
