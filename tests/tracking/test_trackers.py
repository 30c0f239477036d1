"""What stands in MLflow, Weights & Biases and TensorBoard after a study, read by their own readers.

And that a tracker that fails or hangs neither stops nor changes a search.
"""

import json
import re
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, SearchConfig
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import (
    NOTHING_USED,
    Arm,
    Decision,
    EpochMetrics,
    Trial,
    TrialResult,
    TrialState,
)
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.study import Study
from mvkt_ray.tracking import tracked
from mvkt_ray.tracking.open import open_trackers
from mvkt_ray.tracking.tracked import StudyWithTrackers, Trackers
from mvkt_ray.tracking.tracker import TrackedStudy, Tracker, metric_keys
from tests.begun_study import begun_study

EPOCHS = 3
CLASSES = ("NORM", "AF [permanent]/..", "AF (permanent)/..", "../é%+: x")
FILES = {"study.yaml": b"name: tracked\n", "report.json": b"{}", "index.html": b"<p>lead</p>"}
CONFIG = StudyConfig(
    name="tracked",
    student=StudentConfig(epochs=EPOCHS),
    space={"learning_rate": ParameterConfig(low=1e-4, high=1e-2, log=True)},
    search=SearchConfig(leads=("I", "II"), n_trials=5, baselines=("student_alone",)),
)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a search waits a minute for trackers, which a loaded machine may exceed."""
    monkeypatch.setattr(tracked, "CLOSE_TIMEOUT_S", 250.0)


def open_study(folder: Path, *, resume: bool = False) -> Study:
    space = SearchSpace.from_config(CONFIG, ("I", "II"))
    url = f"sqlite:///{folder / 'ledger.db'}"
    return begun_study(CONFIG, space, LedgerDatabase(url), resume=resume, inputs={})


def value_at(number: int, epoch: int) -> float:
    return 0.5 + 0.05 * number + 0.01 * epoch


def report_epoch(study: StudyWithTrackers, trial: Trial, epoch: int) -> Decision:
    metrics = EpochMetrics(
        epoch=epoch,
        macro_auroc=value_at(trial.number, epoch),
        losses={"total": 1.0 / epoch, "kd": float("nan")},
        train_s=2.0,
    )
    return study.report(trial.number, metrics, NOTHING_USED)


def run(study: StudyWithTrackers) -> None:
    """Trials one after the other; the last of the five fails."""
    while (trial := study.ask()) is not None:
        last = 0
        for last in range(1, EPOCHS + 1):
            if report_epoch(study, trial, last) is Decision.PRUNE:
                break
        state = TrialState.COMPLETE if last == EPOCHS else TrialState.PRUNED
        reason = ""
        if trial.number == 4:
            state, reason = TrialState.FAILED, "DataError: no such lead"
        value = value_at(trial.number, last)
        result = TrialResult(
            number=trial.number,
            state=state,
            reason=reason,
            macro_auroc=value,
            per_class_auroc=dict.fromkeys(CLASSES, value),
            epochs=last,
        )
        study.tell(result, NOTHING_USED)


def track(texts: list[str], folder: Path) -> list[str]:
    """Run a study that is killed in the second epoch of its third trial, and go on with it."""
    about = TrackedStudy(name=CONFIG.name, where=str(folder), scratch=folder)
    study = open_study(folder)
    first = Trackers(open_trackers(texts), about)
    followed = first.follow(study)

    class KilledError(Exception):
        pass

    class Dying(StudyWithTrackers):
        def report(self, number: int, metrics: EpochMetrics, usage: Any) -> Decision:
            decision = super().report(number, metrics, usage)
            if (number, metrics.epoch) == (2, 2):
                raise KilledError
            return decision

    followed.__class__ = Dying
    with pytest.raises(KilledError):
        run(followed)
    notes = first.close({})
    study.close()
    study = open_study(folder, resume=True)
    second = Trackers(open_trackers(texts), about)
    run(second.follow(study))
    notes += second.close(FILES)
    study.close()
    return notes


@given(st.lists(st.text(max_size=300), unique=True, max_size=6))
@example(["AF", "af", "A/F", "A?F", "A_F", "", " ", "..", "x" * 300, "x" * 301])
def test_keys_of_classes_are_plain_short_and_different_in_any_case(names: list[str]) -> None:
    keys = metric_keys(names)
    assert list(keys) == names
    assert len({key.lower() for key in keys.values()}) == len(names)
    assert all(re.fullmatch(r"auroc_[A-Za-z0-9_ -]{0,110}", key) for key in keys.values())


def test_keys_of_plain_classes_are_their_names() -> None:
    assert metric_keys(["NORM", "MI"]) == {"NORM": "auroc_NORM", "MI": "auroc_MI"}


@pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")
def test_mlflow_holds_the_study_its_trials_their_epochs_and_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A store of files is the quickest to set up; MLflow 3 wants to be told that it is meant.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client_of = pytest.importorskip("mlflow.tracking").MlflowClient
    uri = f"file:{tmp_path / 'mlruns'}"
    assert track([f"mlflow={uri}"], tmp_path) == []
    client = client_of(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tracked")
    runs = {each.info.run_name: each for each in client.search_runs([experiment.experiment_id])}
    assert len(runs) == 6
    parent = runs["tracked"]
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} == set(FILES)
    assert parent.info.status == "FINISHED"
    for name, each in runs.items():
        if name == "tracked":
            continue
        assert each.data.tags["mlflow.parentRunId"] == parent.info.run_id
        number = int(name.split()[1])
        history = client.get_metric_history(each.info.run_id, "macro_auroc")
        steps = [metric.step for metric in history]
        assert steps == list(range(1, int(each.data.metrics["epochs"]) + 1))
        assert [metric.value for metric in history] == [value_at(number, step) for step in steps]
        assert float(each.data.params["learning_rate"]) > 0
        keys = {key for key in each.data.metrics if key.startswith("auroc_")}
        assert keys == set(metric_keys(CLASSES).values())
    assert {name for name in runs if "student_alone" in name} == {
        "trial 00000 I student_alone",
        "trial 00001 II student_alone",
    }
    assert runs["trial 00000 I student_alone"].data.params["lead"] == "I"
    [failed] = [each for name, each in runs.items() if name.startswith("trial 00004")]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["mvkt.reason"] == "DataError: no such lead"


def test_tensorboard_holds_the_curves_and_the_hyper_parameters(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert track([f"tensorboard={tmp_path / 'tb'}"], tmp_path) == []
    root = tmp_path / "tb" / "tracked"
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    assert [name.split()[1] for name in folders] == [f"{n:05d}" for n in range(5)]
    for number, name in enumerate(folders):
        read = events.EventAccumulator(str(root / name))
        read.Reload()
        curve = [(each.step, each.value) for each in read.Scalars("macro_auroc")]
        assert [step for step, _ in curve] == list(range(1, len(curve) + 1))
        assert [value for _, value in curve] == pytest.approx(
            [value_at(number, step) for step, _ in curve]
        )
        assert "loss_kd" not in read.Tags()["scalars"]
        assert read.PluginTagToContent("hparams")
    read = events.EventAccumulator(str(root))
    read.Reload()
    texts = {tag.removesuffix("/text_summary") for tag in read.Tags()["tensors"]}
    assert texts == {"study.yaml", "report.json"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_wandb_writes_a_run_for_each_trial_to_be_synced_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert track(["wandb=ecg"], tmp_path) == []
    # A run that is finished may not be in its file yet; wandb waits for it when a process ends.
    wandb.teardown()
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((tmp_path / "wandb").glob("offline-run-*/*.wandb")):
        facts = read_wandb(path)
        found.setdefault(facts["name"], []).append(facts)
    assert sorted(name.split()[1] for name in found if name != "tracked") == [
        f"{n:05d}" for n in range(5)
    ]
    for name, parts in found.items():
        assert {part["group"] for part in parts} == {"tracked"}
        assert len({part["id"] for part in parts}) == 1
        if name == "tracked":
            assert {part["kind"] for part in parts} == {"study"}
            assert set(FILES) <= {file for part in parts for file in part["files"]}
            continue
        number = int(name.split()[1])
        epochs = [pair for part in parts for pair in part["epochs"]]
        assert epochs == [(step, value_at(number, step)) for step in range(1, len(epochs) + 1)]
        assert parts[0]["config"]["lead"] in name
    [killed] = [parts for name, parts in found.items() if name.startswith("trial 00002")]
    assert [len(part["epochs"]) for part in killed] == [2, 1]


def level_db_log(content: bytes) -> Iterator[bytes]:
    """Records of LevelDB's log format, behind the 7 bytes that wandb puts in front."""
    block_size, header_size, full, last = 32768, 7, 1, 4
    at, parts = header_size, b""
    while at + header_size <= len(content):
        if block_size - at % block_size < header_size:
            at += block_size - at % block_size
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + header_size])
        at += header_size
        parts += content[at : at + length]
        at += length
        if kind in (full, last):
            yield parts
            parts = b""


def read_wandb(path: Path) -> dict[str, Any]:
    """Read a run's file as `wandb sync` does."""
    from wandb.proto import wandb_internal_pb2

    facts: dict[str, Any] = {"epochs": [], "files": [], "config": {}}
    for data in level_db_log(path.read_bytes()):
        record: Any = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            facts |= {
                "name": record.run.display_name,
                "group": record.run.run_group,
                "id": record.run.run_id,
                "kind": record.run.job_type,
            }
            for item in record.run.config.update:
                facts["config"][item.key] = json.loads(item.value_json)
        elif kind == "history":
            row = {
                item.key or ".".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            }
            if "macro_auroc" in row:
                facts["epochs"].append((row["_step"], row["macro_auroc"]))
        elif kind == "artifact":
            facts["files"] += [entry.path for entry in record.artifact.manifest.contents]
    return facts


@dataclass
class Fragile:
    """A tracker that remembers what it hears, and raises at one of its events."""

    breaks_at: str = ""
    heard: list[str] = field(default_factory=list[str])

    def _hear(self, event: str) -> None:
        self.heard.append(event)
        if event == self.breaks_at:
            raise OSError("the server is gone")

    def start_study(self, study: TrackedStudy) -> None:
        self._hear("start_study")

    def start_trial(self, trial: Trial) -> None:
        self._hear(f"start {trial.number}")

    def log_epoch(self, trial: Trial, metrics: EpochMetrics) -> None:
        self._hear(f"epoch {trial.number} {metrics.epoch}")

    def end_trial(self, trial: Trial, result: TrialResult) -> None:
        self._hear(f"end {trial.number}")

    def end_study(self, files: Mapping[str, bytes]) -> None:
        self._hear("end_study")


ABOUT = TrackedStudy(name="tracked", where="here", scratch=Path())


@pytest.mark.parametrize("breaks_at", ["start_study", "start 1", "epoch 1 2", "end 0", "end_study"])
def test_a_tracker_that_fails_is_switched_off_and_the_others_hear_all(
    tmp_path: Path, breaks_at: str
) -> None:
    bad, good = Fragile(breaks_at), Fragile()
    trackers = Trackers({"bad=x": bad, "good=y": good}, ABOUT)
    study = open_study(tmp_path)
    # Whoever runs the search opens its log before there is a study.
    assert good.heard == []
    run(trackers.follow(study))
    [note] = trackers.close({})
    assert note == "bad=x was switched off: OSError: the server is gone"
    assert bad.heard[-1] == breaks_at
    assert good.heard[0] == "start_study"
    assert good.heard[-1] == "end_study"
    ends = [event for event in good.heard if event.startswith("end ")]
    assert ends == [f"end {n}" for n in range(5)]
    assert [record.state.is_finished for record in study.trials()] == [True] * 5
    study.close()


def test_a_tracker_that_hangs_does_not_hold_the_search_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracked, "CLOSE_TIMEOUT_S", 0.01)
    may_go_on = threading.Event()

    class Hanging(Fragile):
        def start_study(self, study: TrackedStudy) -> None:
            may_go_on.wait()

    hanging: Tracker = Hanging()
    trackers = Trackers({"slow=x": hanging}, ABOUT)
    study = open_study(tmp_path)
    run(trackers.follow(study))  # all of it, while the tracker hears nothing
    [note] = trackers.close({})
    assert note.startswith("slow=x: still behind")
    may_go_on.set()
    study.close()


def test_what_was_reported_before_a_restart_is_not_told_again(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    trial = study.ask()
    assert trial is not None
    assert trial.arm is Arm.STUDENT_ALONE
    unscored = [EpochMetrics(epoch=epoch, macro_auroc=None) for epoch in (2, 3)]
    study.report(trial.number, EpochMetrics(epoch=1, macro_auroc=0.6))
    study.report(trial.number, unscored[0])
    tracker = Fragile()
    trackers = Trackers({"x=y": tracker}, ABOUT)
    followed = trackers.follow(study)
    report_epoch(followed, trial, 1)
    for metrics in (*unscored, *unscored):
        followed.report(trial.number, metrics, NOTHING_USED)
    result = TrialResult(number=0, state=TrialState.COMPLETE, macro_auroc=0.6, epochs=3)
    followed.tell(result, NOTHING_USED)
    followed.tell(result, NOTHING_USED)
    trackers.close({})
    assert tracker.heard == ["start_study", "epoch 0 3", "end 0", "end_study"]
    study.close()


@pytest.mark.parametrize("text", ["mlflow", "mlflow=", "neptune=x", "=x"])
def test_a_tracker_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"mlflow=URI, wandb=PROJECT, tensorboard=DIR"):
        open_trackers([text])


def test_a_tracker_that_is_not_installed_names_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("mvkt_ray.tracking.open.importlib.import_module", fail)
    with pytest.raises(ConfigError, match=r"pip install 'mvkt-ray\[wandb\]'"):
        open_trackers(["wandb=ecg"])
