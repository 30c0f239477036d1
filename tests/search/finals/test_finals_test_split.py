"""Until `mvkt finalize` opens it, nothing can read the test split. These tests try."""

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grimp
import numpy as np
import pyarrow as pa
import pytest

from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.data.held_out import open_test_split
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.loader import EvalLoader, GridLoader, TrainLoader
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.delivery.report.report_json import plain_report
from mvkt_ray.delivery.write_report import build_report
from mvkt_ray.distill.knowledge import open_knowledge
from mvkt_ray.errors import TrialError
from mvkt_ray.records import Trial
from mvkt_ray.search.finals.finals_outlook import FinalsRequest, finals_outlook
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.finals.run_finals import run_finals
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.ledger_database import driving
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.pipeline import trial_inputs
from mvkt_ray.search.stages import prepare
from mvkt_ray.storage.artifacts import publish
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import run_trial
from mvkt_ray.training.teacher import open_teacher
from tests.planned_search import plan_and_run

STUDY: dict[str, Any] = {
    "name": "closed",
    "data": {
        "source": "synthetic",
        "sampling_rate_hz": 50,
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5], "val": [6, 7], "test": [8, 9, 10]},
    },
    "view": {"crop_s": 2.0, "grid_s": 1.0, "stride_s": 1.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 8},
    "student": {"epochs": 2},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 8,
        "n_negatives": 8,
        "kd_weight": {"low": 0.1, "high": 10.0, "log": True},
    },
    "search": {"leads": ["I", "V2"], "n_trials": 4, "baselines": ["student_alone"]},
    "finals": {"n_seeds": 1, "baselines": ["student_alone"]},
}
# Else each of two studies that are compared measures a precision, and may come to another one.
CONFIG = study_from_mapping({**STUDY, "resources": {"precision": "float32"}}, "closed")
OPENS_IT = "mvkt_ray.data.held_out"


class Nobody:
    """A listener that hears nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def last_training_fails(trial: Trial, inputs: Any, report: Any) -> Any:
    """Train, but for one: finals then stop before they open the test split."""
    if trial.number == 3:
        raise ValueError("kept from its end")
    return run_trial(trial, inputs, report)


def study_on(shards: Location, root: Path) -> StudyFolder:
    """A search, and the trainings of its finals, on some shards."""
    folder = StudyFolder(Location.parse(root))
    listener: Any = Nobody()
    plan_and_run(CONFIG, folder, InProcess(), listener, data=shards).close()
    with (
        driving(folder) as database,
        finals_outlook(folder, CONFIG, FinalsRequest(), database) as outlook,
        pytest.raises(TrialError, match="The test split stays closed"),
    ):
        run_finals(outlook, InProcess(run_trial=last_training_fails), listener)
    return folder


def with_other_test_recordings(shards: Shards, out: Location) -> Location:
    """Copy shards; of every test recording replace signals, labels, age and sex."""
    generator = np.random.default_rng(0)
    partial = out.parent / f"{out.name}.partial"
    shutil.copytree(shards.location.local_path, partial.local_path)
    for path in sorted(partial.local_path.glob("recordings/*.arrow")):
        with pa.ipc.open_file(pa.BufferReader(path.read_bytes())) as reader:
            table = reader.read_all()
        columns: dict[str, Any] = {name: table[name].to_pylist() for name in table.column_names}
        for row in np.flatnonzero(np.isin(columns["fold"], CONFIG.data.folds.test)):
            n_samples = columns["n_samples"][row]
            for lead in shards.leads:
                columns[lead][row] = generator.integers(-3000, 3000, n_samples).tolist()
            columns["codes"][row] = [other_code(columns["codes"][row], shards)]
            columns["likelihoods"][row] = [100.0]
            columns["age"][row], columns["sex"][row] = 1.0, "other"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=table.schema))
    (partial / "manifest.json").local_path.unlink()
    before = shards.manifest
    publish(
        out,
        kind=before.kind,
        config=before.config,
        inputs=before.inputs,
        n_rows={name: entry.n_rows for name, entry in before.files.items() if entry.n_rows},
        counts=before.counts,
        details=before.details,
    )
    return out


def other_code(codes: list[str], shards: Shards) -> str:
    """A code of another class than any of these, so that the recording stays in the split."""
    return next(code for code in shards.task("synthetic").class_of_code if code not in codes)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    location = tmp_path_factory.mktemp("data") / "shards"
    source = Synthetic(n_recordings=60, duration_s=4.0)
    ingest(source, str(location), IngestSettings(sampling_rate_hz=50, rows_per_shard=25))
    return open_shards(str(location))


@pytest.fixture(scope="module")
def folder(shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return study_on(shards.location, tmp_path_factory.mktemp("study") / "study")


def test_only_the_examination_imports_what_opens_it_and_nothing_that_trains_comes_near() -> None:
    graph = grimp.build_graph("mvkt_ray", cache_dir=None, exclude_type_checking_imports=True)
    assert graph.find_modules_that_directly_import(OPENS_IT) == {"mvkt_ray.search.finals.examine"}
    reach_it = graph.find_downstream_modules(OPENS_IT)
    above = ("mvkt_ray.cli", "mvkt_ray.__main", "mvkt_ray.interface.calls")
    below = {name for name in reach_it if not name.startswith(above)}
    assert below == {
        "mvkt_ray.search.finals.examine",
        "mvkt_ray.search.finals.run_finals",
        "mvkt_ray.interface.finals_run",
        "mvkt_ray.interface.budget_run",
    }
    source = Path(sys.modules["mvkt_ray"].__file__ or "").parent
    naming = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if "open_test_split" in path.read_text(encoding="utf-8")
    }
    assert naming == {"data/held_out.py", "search/finals/examine.py"}


def test_the_import_contract_of_the_project_says_so_and_notices_a_breach(tmp_path: Path) -> None:
    """Run the contract on a copy in which a trial imports what opens the test split."""
    root = Path(sys.modules["mvkt_ray"].__file__ or "").parents[1]
    lint = Path(sys.executable).with_name("lint-imports")
    if not (root / "pyproject.toml").exists() or not lint.exists():
        pytest.skip("not a checkout of the project, or import-linter is not installed")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "mvkt_ray", tmp_path / "mvkt_ray", ignore=ignored)
    shutil.copy(root / "pyproject.toml", tmp_path)
    student = tmp_path / "mvkt_ray" / "training" / "student.py"
    line = "from mvkt_ray.storage.location import Location\n"
    text = student.read_text()
    assert text.count(line) == 1
    student.write_text(
        text.replace(line, f"from mvkt_ray.data.held_out import open_test_split\n{line}")
    )
    done = subprocess.run(
        [str(lint), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "The test split is opened by the examination alone BROKEN" in done.stdout
    assert "Nothing that trains, chooses or reports comes near the test split BROKEN" in done.stdout


def test_other_signals_and_labels_of_the_test_recordings_change_no_bit_of_anything(
    shards: Shards, folder: StudyFolder, tmp_path: Path
) -> None:
    tampered = with_other_test_recordings(shards, Location.parse(tmp_path / "shards"))
    other = open_shards(tampered)
    is_test = np.isin(shards.folds(), CONFIG.data.folds.test)
    task = shards.task("synthetic")
    assert is_test.sum() > 10
    assert (shards.labels(task)[is_test] != other.labels(task)[is_test]).any(1).all()
    for row in range(shards.n_recordings):
        same = np.array_equal(shards.recording(row).signal_mv, other.recording(row).signal_mv)
        assert same is not bool(is_test[row])

    again = study_on(tampered, tmp_path / "study")
    names = sorted(
        path.relative_to(folder.root.local_path).as_posix()
        for path in folder.root.local_path.rglob("*")
        if path.suffix in (".safetensors", ".arrow") and "shards" not in path.parts
    )
    assert "teacher/teacher.safetensors" in names
    assert "knowledge/crops.arrow" in names
    assert [f"trials/0000{n}/student.safetensors" for n in range(4)] == [
        name for name in names if name.startswith("trials/") and name.endswith("safetensors")
    ]
    assert "trials/00003/validation.arrow" in names
    assert "finals/01/trials/00002/student.safetensors" in names
    assert not [name for name in names if "test" in name]
    for name in names:
        ours, theirs = (root.root / name for root in (folder, again))
        assert ours.read_bytes() == theirs.read_bytes(), name
    assert numbers(plain_report(build_report(folder))) == numbers(plain_report(build_report(again)))


def numbers(report: Mapping[str, Any]) -> dict[str, Any]:
    """All of a report but where and when, how long, and the fingerprints of what was read."""
    gone = {"cost", "provenance", "made_at", "shards"}

    def kept(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key: kept(item)
                for key, item in value.items()  # pyright: ignore[reportUnknownVariableType]
                if key not in gone and not str(key).endswith(("_at", "wall_s", "cpu_s"))
            }
        return [kept(item) for item in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]

    assert report["leads"]
    return kept(report)


def test_no_test_recording_can_be_found_in_what_a_trial_is_given_or_its_loaders_show(
    shards: Shards, folder: StudyFolder
) -> None:
    is_test = np.isin(shards.folds(), CONFIG.data.folds.test)
    forbidden = {*shards.record_ids()[is_test], *shards.patient_ids()[is_test]}
    prepared = prepare(CONFIG, shards.location)
    inputs, splits, view = (
        trial_inputs(CONFIG, folder, prepared, {}),
        prepared.splits,
        prepared.view,
    )
    assert inputs.teacher is not None
    assert inputs.knowledge is not None
    given: dict[str, Any] = {
        "inputs": inputs,
        "splits": splits,
        "teacher": open_teacher(inputs.teacher, shards=shards),
        "knowledge": open_knowledge(inputs.knowledge, shards=shards, split=splits.train),
    }
    for split in (splits.train, splits.val):
        given[f"train loader of {split.name}"] = TrainLoader(
            shards, split, view, batch_size=8, seed=0
        )
        given[f"windows of {split.name}"] = EvalLoader(shards, split, view, batch_size=8)
        given[f"grid of {split.name}"] = GridLoader(shards, split.rows, view, batch_size=8)
        given[f"ids of {split.name}"] = [split.record_ids, split.patient_ids]
        assert not is_test[split.rows].any()
    for name, value in given.items():
        texts = set(texts_in(value))
        assert texts, name
        assert not texts & forbidden, name

    n_test = splits.n_test
    opening = Opening.now(
        number=1,
        finals=1,
        reason="",
        n_recordings=n_test,
        shards=shards,
        task=prepared.task,
        folds=CONFIG.data.folds,
        min_likelihood=0.0,
    )
    # The walk would have found them, had they been there.
    test = open_test_split(shards, prepared.task, CONFIG.data.folds, 0.0, opening)
    found = set(
        texts_in({"hidden": [EvalLoader(shards, test, view, batch_size=8), test.record_ids]})
    )
    assert len(found & forbidden) >= n_test


def texts_in(root: Any) -> Iterator[str]:
    """Yield every text that can be reached from an object, but by opening files anew."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, np.ndarray):
            if value.dtype.kind in "OU":
                yield from (str(item) for item in value.ravel())
        elif id(value) not in seen and not isinstance(value, int | float | bytes | type):
            seen.add(id(value))
            waiting.extend(inside(value))


def inside(value: Any) -> list[Any]:
    """What an object holds."""
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    if type(value).__module__.startswith("mvkt_ray"):
        return list(vars(value).values())
    return []
