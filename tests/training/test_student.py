"""A trial: what it leaves, that it gives the same numbers again, and what it refuses."""

import errno
import io
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import safetensors.torch
import torch
from sklearn.metrics import roc_auc_score

from mvkt_ray.config.recipes import MORE_TEACHING_WEIGHTS, StudentConfig
from mvkt_ray.distill.knowledge_parts import ask_teacher
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    StaleArtifactError,
    WorkerLostError,
)
from mvkt_ray.models.facts import network_facts
from mvkt_ray.models.networks import build_network
from mvkt_ray.records import Arm, Decision, EpochMetrics, TrialResult, TrialState
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.manifest import MANIFEST_NAME
from mvkt_ray.training.seeds import trial_seed
from mvkt_ray.training.student import failed_result, machine_fault_behind, run_trial
from mvkt_ray.training.students import one_training, opened_trial
from mvkt_ray.training.teacher import open_teacher

if TYPE_CHECKING:
    from conftest import TinyStudy

Report = Callable[[EpochMetrics], Decision]
ONLINE = StudentConfig(epochs=3, knowledge="online")


class KilledError(Exception):
    """Stands for a process that dies."""


def facts(result: TrialResult) -> TrialResult:
    """A result without the times, which no two attempts share."""
    return replace(result, wall_s=0.0, cpu_s=0.0)


def listening(to: list[EpochMetrics]) -> Report:
    def report(metrics: EpochMetrics) -> Decision:
        to.append(metrics)
        return Decision.CONTINUE

    return report


def predictions(folder: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(folder / "validation.arrow"))).read_all()


def test_a_complete_trial_leaves_its_student_its_predictions_and_its_result(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    trial = tiny_study.trial(number=12)
    result = run_trial(trial, tiny_study.trials_in(tmp_path), go_on)
    folder = tmp_path / "00012"
    assert sorted(path.name for path in folder.iterdir()) == [
        "result.json",
        "student.safetensors",
        "validation.arrow",
    ]
    assert result.state is TrialState.COMPLETE
    assert result.epochs == 3

    table = predictions(folder)
    val = tiny_study.splits.val
    assert table["record_id"].to_pylist() == list(val.record_ids)
    assert table["labels"].to_pylist() == val.labels.astype(int).tolist()
    probabilities = np.array(table["probabilities"].to_pylist())
    defined = [c for c in range(len(val.classes)) if 0 < val.labels[:, c].mean() < 1]
    expected = [roc_auc_score(val.labels[:, c], probabilities[:, c]) for c in defined]
    assert result.macro_auroc == pytest.approx(np.mean(expected))
    assert list(result.per_class_auroc) == [val.classes[c] for c in defined]

    weights = safetensors.torch.load_file(folder / "student.safetensors")
    student = build_network("sepconv1d_tiny", 1, len(val.classes))
    student.load_state_dict(weights)
    assert result.n_parameters == sum(weight.numel() for weight in student.parameters())
    of_one_window = network_facts(student, tiny_study.inputs.view.crop_samples, 1)
    assert result.n_multiply_accumulates == of_one_window.n_multiply_accumulates
    assert result.latency_ms is None
    written = json.loads((folder / "result.json").read_bytes())
    assert written["result"]["macro_auroc"] == result.macro_auroc
    assert written["trial"]["condition"] == {"leads": ["II"]}
    assert written["trial"]["hyperparameters"] == trial.hyperparameters


def test_the_same_trial_again_gives_the_same_numbers_and_weights(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    trial = tiny_study.trial(dropout=0.2)
    first = run_trial(trial, tiny_study.trials_in(tmp_path / "a"), go_on)
    run_trial(tiny_study.trial(number=1, lead="V1"), tiny_study.trials_in(tmp_path / "a"), go_on)
    again = run_trial(trial, tiny_study.trials_in(tmp_path / "b"), go_on)
    assert facts(first) == facts(again)
    for name in ("student.safetensors", "validation.arrow"):
        a, b = (tmp_path / attempt / "00000" / name for attempt in "ab")
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize("knowledge", ["cached", "online"])
def test_a_trial_killed_after_any_epoch_ends_as_if_it_had_not_been(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path, knowledge: str
) -> None:
    student = StudentConfig(epochs=3, knowledge=knowledge)  # type: ignore[arg-type]
    trial = tiny_study.trial(dropout=0.2)

    def die(_metrics: EpochMetrics) -> Decision:
        nonlocal lives
        lives -= 1
        if lives < 0:
            raise KilledError
        return Decision.CONTINUE

    whole: list[EpochMetrics] = []
    inputs = tiny_study.trials_in(tmp_path / "whole", student=student)
    expected = run_trial(trial, inputs, listening(whole))
    inputs = tiny_study.trials_in(tmp_path / "killed", student=student)
    for epochs_before_death in range(3):
        lives = epochs_before_death
        with pytest.raises(KilledError):
            run_trial(trial, inputs, die)
    pieces: list[EpochMetrics] = []
    assert facts(run_trial(trial, inputs, listening(pieces))) == facts(expected)
    assert [(m.epoch, m.macro_auroc, m.losses) for m in pieces] == [
        (m.epoch, m.macro_auroc, m.losses) for m in whole
    ]
    a, b = (tmp_path / name / "00000" / "student.safetensors" for name in ("whole", "killed"))
    assert a.read_bytes() == b.read_bytes()


def test_an_ended_trial_reports_its_epochs_again_and_is_not_trained_again(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    trial, inputs = tiny_study.trial(), tiny_study.trials_in(tmp_path)
    first: list[EpochMetrics] = []
    result = run_trial(trial, inputs, listening(first))
    weights = tmp_path / "00000" / "student.safetensors"
    written_ns = weights.stat().st_mtime_ns
    replayed: list[EpochMetrics] = []
    assert run_trial(trial, inputs, listening(replayed)) == result
    assert replayed == first
    assert weights.stat().st_mtime_ns == written_ns


def test_a_pruned_trial_keeps_its_result_only(tiny_study: "TinyStudy", tmp_path: Path) -> None:
    trial, inputs = tiny_study.trial(), tiny_study.trials_in(tmp_path)
    result = run_trial(trial, inputs, lambda metrics: (
        Decision.PRUNE if metrics.epoch == 2 else Decision.CONTINUE
    ))  # fmt: skip
    assert result.state is TrialState.PRUNED
    assert (result.epochs, result.reason) == (2, "pruned after epoch 2")
    assert result.macro_auroc is not None
    assert [path.name for path in (tmp_path / "00000").iterdir()] == ["result.json"]


@pytest.mark.parametrize("decision", [Decision.CONTINUE, Decision.PRUNE])
def test_where_latency_is_an_objective_complete_and_pruned_trials_have_one_and_are_else_the_same(
    tiny_study: "TinyStudy",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decision: Decision,
) -> None:
    asked: list[tuple[object, ...]] = []

    def timed(network: torch.nn.Module, *shape: int) -> float:
        asked.append((torch.get_num_threads(), *shape))
        return 1.5

    trial = tiny_study.trial(student="sepconv1d", student_width=8, student_depth=0, dropout=0.2)
    untimed = run_trial(trial, tiny_study.trials_in(tmp_path / "untimed"), lambda _: decision)
    monkeypatch.setattr(one_training, "median_latency_ms", timed)
    inputs = replace(tiny_study.trials_in(tmp_path / "timed"), measures_latency=True)
    result = run_trial(trial, inputs, lambda _: decision)
    view = inputs.view
    n_samples = 10 * tiny_study.shards.sampling_rate_hz
    assert asked == [(1, int(view.n_windows(n_samples)), 1, view.crop_samples)]
    assert facts(result) == replace(facts(untimed), latency_ms=1.5)
    # What has ended is not measured again.
    assert run_trial(trial, inputs, lambda _: decision) == result
    assert len(asked) == 1


def test_a_diverged_trial_says_so_and_returns(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    trial = tiny_study.trial(learning_rate=1e30, schedule="constant")
    result = run_trial(trial, tiny_study.trials_in(tmp_path), go_on)
    assert result.state is TrialState.DIVERGED
    assert "not finite" in result.reason
    assert not result.retriable
    # Written as strict JSON, in which there is no NaN.
    json.loads((tmp_path / "00000" / "result.json").read_bytes(), parse_constant=pytest.fail)
    # Nothing goes on from there.
    assert not (tmp_path / "00000" / "checkpoint.pt").exists()


def test_cached_and_online_knowledge_give_the_same_curve(
    tiny_study: "TinyStudy", tmp_path: Path
) -> None:
    trial = tiny_study.trial()
    curves: dict[str, list[EpochMetrics]] = {"cached": [], "online": []}
    for name, curve in curves.items():
        student = StudentConfig(epochs=3, knowledge=name)  # type: ignore[arg-type]
        inputs = tiny_study.trials_in(tmp_path / name, student=student)
        run_trial(trial, inputs, listening(curve))
    for cached, online in zip(*curves.values(), strict=True):
        assert cached.losses == pytest.approx(dict(online.losses), rel=2e-3)


def test_knowledge_of_recordings_teaches_every_crop_the_same(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    student = StudentConfig(epochs=2, knowledge="record")
    trial = tiny_study.trial()
    from_crops: list[EpochMetrics] = []
    run_trial(trial, tiny_study.trials_in(tmp_path / "a", student=student), listening(from_crops))
    teacher = open_teacher(str(tiny_study.folder / "teacher"))
    write_knowledge(
        str(tmp_path / "knowledge"),
        ask=partial(ask_teacher, teacher.network, tiny_study.shards, tiny_study.inputs.view),
        shards=tiny_study.shards,
        split=tiny_study.splits.train,
        view=tiny_study.inputs.view,
        teacher_fingerprint=teacher.fingerprint,
        embedding_dim=teacher.network.embedding_dim,
        per_recording=True,
    )
    as_written: list[EpochMetrics] = []
    inputs = tiny_study.trials_in(
        tmp_path / "b", student=student, knowledge=str(tmp_path / "knowledge")
    )
    run_trial(trial, inputs, listening(as_written))
    of_crops: list[EpochMetrics] = []
    cached = StudentConfig(epochs=2)
    run_trial(trial, tiny_study.trials_in(tmp_path / "c", student=cached), listening(of_crops))
    for one, other, crops in zip(from_crops, as_written, of_crops, strict=True):
        assert one.losses == pytest.approx(dict(other.losses), rel=2e-3)
        assert one.losses["kd"] != pytest.approx(crops.losses["kd"], rel=2e-3)


def test_the_student_alone_needs_no_teacher(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    alone = tiny_study.trial(kd_weight=0.0, clt_weight=0.0)
    heard: list[EpochMetrics] = []
    inputs = tiny_study.trials_in(tmp_path, knowledge=None, teacher=None)
    result = run_trial(alone, inputs, listening(heard))
    assert result.state is TrialState.COMPLETE
    assert heard[0].losses["total"] == heard[0].losses["label"]
    assert heard[0].losses["kd"] == heard[0].losses["clt"] == 0.0


@pytest.mark.parametrize("student", [StudentConfig(epochs=2), ONLINE])
def test_every_way_to_teach_has_what_it_needs_of_the_teacher(
    tiny_study: "TinyStudy", tmp_path: Path, student: StudentConfig
) -> None:
    on: dict[str, Any] = {"clt_weight": 0.0, "mixup": 0.3, "ema_decay": 0.9}
    trial = tiny_study.trial(**on, **dict.fromkeys(MORE_TEACHING_WEIGHTS, 1.0))
    heard: list[EpochMetrics] = []
    inputs = tiny_study.trials_in(tmp_path, student=student)
    assert run_trial(trial, inputs, listening(heard)).state is TrialState.COMPLETE
    for name in MORE_TEACHING_WEIGHTS:
        assert heard[0].losses[name.removesuffix("_weight")] > 0


def test_weights_of_classes_reach_the_loss_by_their_names(
    tiny_study: "TinyStudy", tmp_path: Path
) -> None:
    classes = tiny_study.trials_in(tmp_path).task.classes
    trial = tiny_study.trial(clt_weight=0.0)

    def kd(folder: str, weights: dict[str, float]) -> float:
        heard: list[EpochMetrics] = []
        inputs = tiny_study.trials_in(tmp_path / folder, student=StudentConfig(epochs=1))
        run_trial(replace(trial, kd_class_weights=weights), inputs, listening(heard))
        return heard[0].losses["kd"]

    def only(name: str) -> dict[str, float]:
        return {each: float(each == name) * len(classes) for each in classes}

    of_one = [kd(f"only {name}", only(name)) for name in classes]
    assert len({kd("even", {}), *of_one}) == 1 + len(classes)
    # In which order they are given does not matter.
    assert kd("turned round", dict(reversed(only(classes[0]).items()))) == of_one[0]


def test_the_teacher_itself_is_needed_for_its_weights(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    trial = tiny_study.trial(label_embedding_weight=1.0)
    with pytest.raises(ConfigError, match="no teacher is given"):
        run_trial(trial, tiny_study.trials_in(tmp_path, teacher=None), go_on)


def test_distillation_without_a_teacher_is_refused(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no knowledge is given"):
        run_trial(tiny_study.trial(), tiny_study.trials_in(tmp_path, knowledge=None), go_on)
    inputs = tiny_study.trials_in(tmp_path, student=ONLINE, teacher=None)
    with pytest.raises(ConfigError, match="no teacher is given"):
        run_trial(tiny_study.trial(), inputs, go_on)


def test_a_student_may_see_several_leads(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    trial = tiny_study.trial(lead="I+V5", clt_loss="infonce", clt_weight=0.1)
    result = run_trial(trial, tiny_study.trials_in(tmp_path), go_on)
    assert result.state is TrialState.COMPLETE
    weights = safetensors.torch.load_file(tmp_path / "00000" / "student.safetensors")
    assert 2 in {tensor.shape[1] for tensor in weights.values() if tensor.dim() == 4}


def test_a_lead_that_the_shards_lack_is_refused_by_name(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="V7"):
        run_trial(tiny_study.trial(lead="V7"), tiny_study.trials_in(tmp_path), go_on)


def test_knowledge_of_another_teacher_is_refused(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    other = tmp_path / "teacher"
    other.mkdir()
    manifest = read_manifest(str(tiny_study.folder / "teacher"))
    settings = {**manifest.config, "teacher": {**manifest.config["teacher"], "seed": 1}}
    (other / MANIFEST_NAME).write_bytes(replace(manifest, config=settings).to_json())
    with pytest.raises(StaleArtifactError, match="was made from teacher"):
        run_trial(tiny_study.trial(), tiny_study.trials_in(tmp_path, teacher=str(other)), go_on)


@pytest.mark.parametrize("student", [StudentConfig(epochs=3), ONLINE], ids=["cached", "online"])
def test_crops_of_another_length_than_the_teacher_saw_are_refused(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path, student: StudentConfig
) -> None:
    view = replace(tiny_study.inputs.view, crop_samples=75)
    inputs = tiny_study.trials_in(tmp_path, view=view, student=student)
    with pytest.raises(StaleArtifactError):
        run_trial(tiny_study.trial(), inputs, go_on)


def test_another_training_split_than_the_knowledge_has_is_refused(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    folds = replace(tiny_study.inputs.folds, train=(1, 2, 3, 4, 5))
    with pytest.raises(StaleArtifactError, match="training split"):
        run_trial(tiny_study.trial(), tiny_study.trials_in(tmp_path, folds=folds), go_on)


def test_the_files_of_another_trial_are_not_taken_for_this_one(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inputs, trial = tiny_study.trials_in(tmp_path / "a"), tiny_study.trial(learning_rate=2e-3)
    run_trial(tiny_study.trial(), inputs, go_on)
    result = run_trial(trial, inputs, go_on)
    assert "result.json is of another trial: trained again" in caplog.text
    assert facts(result) == facts(run_trial(trial, tiny_study.trials_in(tmp_path / "b"), go_on))


def test_an_unknown_hyperparameter_is_refused(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    trial = tiny_study.trial()
    wrong = replace(trial, hyperparameters={**trial.hyperparameters, "learning_rat": 0.1})
    with pytest.raises(ConfigError, match="learning_rat"):
        run_trial(wrong, tiny_study.trials_in(tmp_path), go_on)


def test_a_validation_split_that_cannot_be_scored_is_refused(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    val = tiny_study.splits.val
    same = replace(val, labels=np.ones_like(val.labels))
    splits = replace(tiny_study.splits, val=same)
    monkeypatch.setattr(opened_trial, "open_training_splits", lambda *_args: splits)
    with pytest.raises(DataError, match="can be scored"):
        run_trial(tiny_study.trial(), tiny_study.trials_in(tmp_path), go_on)


def test_seeds_differ_between_studies_trials_and_repetitions(tiny_study: "TinyStudy") -> None:
    trial = tiny_study.trial()
    seeds = {
        trial_seed(study_seed, replace(trial, number=number, repetition=repetition))
        for study_seed, number, repetition in np.ndindex(4, 50, 3)
    }
    assert len(seeds) == 4 * 50 * 3
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert trial_seed(0, trial) == trial_seed(0, trial)


def test_finals_share_the_seeds_of_their_repetition_and_no_other(tiny_study: "TinyStudy") -> None:
    final = replace(tiny_study.trial(), arm=Arm.FINAL)
    first, second = (
        {trial_seed(0, replace(final, number=n, repetition=r)) for n in range(9)} for r in range(2)
    )
    assert len(first) == len(second) == 1
    assert not first & second
    searched = {trial_seed(0, replace(tiny_study.trial(), number=n)) for n in range(500)}
    assert not searched & first


def test_a_repetition_gives_other_numbers(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    trial = tiny_study.trial()
    one = run_trial(trial, tiny_study.trials_in(tmp_path / "a"), go_on)
    other = run_trial(replace(trial, repetition=1), tiny_study.trials_in(tmp_path / "b"), go_on)
    assert one.per_class_auroc != other.per_class_auroc


def test_a_failed_result_says_in_one_line_what_happened_and_whether_to_retry(
    tiny_study: "TinyStudy",
) -> None:
    trial = tiny_study.trial(number=3)
    lost = failed_result(trial, WorkerLostError("the node\n  is gone"))
    assert lost.state is TrialState.FAILED
    assert lost.reason == "WorkerLostError: the node is gone"
    assert lost.retriable
    assert not failed_result(trial, ConfigError("no")).retriable
    assert not failed_result(trial, RuntimeError("a defect")).retriable
    # Others may hold it; what becomes of other trials tells.
    assert failed_result(trial, torch.OutOfMemoryError("CUDA out of memory")).retriable


def test_inputs_and_results_travel_between_processes(tiny_study: "TinyStudy") -> None:
    assert pickle.loads(pickle.dumps(tiny_study.inputs)) == tiny_study.inputs
    assert pickle.loads(pickle.dumps(tiny_study.job)) == tiny_study.job


def test_the_checkpoint_of_a_trial_loads_without_unpickling_anything(
    tiny_study: "TinyStudy", tmp_path: Path
) -> None:
    def die(_metrics: EpochMetrics) -> Decision:
        raise KilledError

    with pytest.raises(KilledError):
        run_trial(tiny_study.trial(), tiny_study.trials_in(tmp_path), die)
    content = (tmp_path / "00000" / "checkpoint.pt").read_bytes()
    # Behind the hash of it.
    state = torch.load(io.BytesIO(content[32:]), weights_only=True)
    assert math.isfinite(state["wall_s"])
    assert "objective.clt_loss.student_bank_NP" in state["learner"]


def test_inputs_that_were_there_before_are_gone_by_no_doing_of_a_trial(
    tiny_study: "TinyStudy",
) -> None:
    inputs = tiny_study.inputs
    damaged = ArtifactError("the checkpoint belongs to another training")
    assert machine_fault_behind(damaged, inputs) is None
    gone = replace(inputs, knowledge="/mnt/unmounted/knowledge")
    assert "/mnt/unmounted/knowledge" in str(machine_fault_behind(damaged, gone))
    one_file = ArtifactError("a.arrow cannot be read")
    one_file.__cause__ = FileNotFoundError(errno.ENOENT, "No such file", "/mnt/shards/a.arrow")
    assert "/mnt/shards/a.arrow" in str(machine_fault_behind(one_file, inputs))
    assert machine_fault_behind(ZeroDivisionError(), gone) is None
