"""Studies whose students learn from something else than one network of all leads."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mvkt_ray.config.study_file import read_study
from mvkt_ray.data.shards import open_shards
from mvkt_ray.distill.knowledge import open_knowledge
from mvkt_ray.records import Arm, Decision, EpochMetrics
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.pipeline import trial_inputs
from mvkt_ray.search.spending.breakdown import teacher_usage
from mvkt_ray.search.stages import prepare, teacher_job
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.artifacts import publish, read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import read_predictions
from mvkt_ray.training.process import torch_threads
from mvkt_ray.training.student import run_trial
from mvkt_ray.training.teacher import open_teacher, train_teacher

if TYPE_CHECKING:
    from conftest import Done

WriteStudy = Callable[[Mapping[str, Any]], Path]
Assisted = tuple[Path, "Done", dict[str, str]]
"""A study, how its search ended, and what its dry run had said of the stages."""

FINALS = {"n_seeds": 1, "baselines": []}


def test_an_ensemble_teaches_is_shown_and_is_examined_as_one_teacher(
    mvkt: Any, study_file: WriteStudy, shards: Path, tmp_path: Path
) -> None:
    study = study_file(
        {"teacher": {"members": 2}, "search": {"leads": ["II"], "n_trials": 3}, "finals": FINALS}
    )
    out = tmp_path / "study"
    line = ("search", study, "--data", shards, "--out", out, "--in-process")
    plan = mvkt(*line, "--dry-run").stdout
    assert "train an ensemble of 2 sepconv1d_small for 2 epochs" in " ".join(plan.split())
    searched = mvkt(*line, "--json")
    assert searched.exit_code == 0, searched.stderr
    assert "teacher: epoch 4/4, validation macro AUROC" in searched.stderr

    teacher = read_manifest(out / "teacher")
    one, other = (each["macro_auroc"] for each in teacher.details["members"])
    shown = " ".join(mvkt("inspect", out / "teacher").stdout.split())
    assert f"members alone {one:.3f}, {other:.3f}" in shown
    assert "an ensemble of 2 sepconv1d_small" in shown
    knowledge = open_knowledge(
        str(out / "knowledge"), shards=open_shards(shards), teacher=teacher.fingerprint
    )
    assert knowledge.embedding_dim == teacher.details["embedding_dim"]

    final = mvkt("finalize", out, "--in-process", "--json")
    assert final.exit_code == 0, final.stderr
    told = json.loads((out / "report" / "report.json").read_text())["teacher"]
    assert told["network"] == "an ensemble of 2 sepconv1d_small"
    assert told["n_parameters"] == teacher.counts["n_parameters"]
    assert told["validation"]["macro_auroc"] == teacher.details["macro_auroc"]
    examined = read_predictions(Location.parse(out / "finals" / "01" / "teacher_test.arrow"))
    assert examined.tags["weights"] == teacher.files["teacher.safetensors"].sha256


ASSISTED = {
    "teacher": {"assistant": {"network": "sepconv1d_tiny", "epochs": 3}},
    "finals": {**FINALS, "refit": True},
}


@pytest.fixture(scope="module")
def assisted(
    mvkt: Any, home: Path, shards: Path, tmp_path_factory: pytest.TempPathFactory
) -> Assisted:
    """A study of two leads with an assistant each."""
    folder = tmp_path_factory.mktemp("assisted")
    value = yaml.safe_load((home / "tiny.yaml").read_text())
    value["teacher"] |= ASSISTED["teacher"]
    value["finals"] = ASSISTED["finals"]
    (folder / "study.yaml").write_text(yaml.safe_dump(value))
    out = folder / "study"
    line = ("search", folder / "study.yaml", "--data", shards, "--out", out, "--in-process")
    plan = mvkt(*line, "--dry-run", "--json").json["stages"]
    done = mvkt(*line)
    assert done.exit_code == 0, done.stderr
    return out, done, plan


def test_every_condition_has_an_assistant_of_its_leads_that_the_teacher_taught(
    assisted: Assisted, shards: Path
) -> None:
    out, done, plan = assisted
    assert list(plan) == ["shards", "teacher", "knowledge", "assistants", "trials"]
    assert "train sepconv1d_tiny for 3 epochs, for each condition one (2)" in plan["assistants"]
    said = done.stdout.splitlines()
    assert sum(line.startswith("assistants: done in") for line in said) == 1
    assert f"assistants: {plan['assistants']}" in said
    teacher, knowledge = read_manifest(out / "teacher"), read_manifest(out / "knowledge")
    found = open_shards(shards)
    for lead in ("II", "V1"):
        assistant = open_teacher(str(out / "assistants" / lead / "teacher"), shards=found)
        assert assistant.view.leads == (lead,)
        assert assistant.manifest.inputs == {
            "shards": found.fingerprint,
            "teacher": teacher.fingerprint,
            "knowledge": knowledge.fingerprint,
        }
        assert [epoch["epoch"] for epoch in assistant.manifest.details["epochs"]] == [1, 2, 3]
        assert assistant.manifest.details["epochs"][-1]["losses"]["kd"] > 0
        open_knowledge(
            str(out / "assistants" / lead / "knowledge"),
            shards=found,
            teacher=assistant.fingerprint,
        )


def test_what_assistants_took_is_in_the_price_of_the_teacher(
    assisted: Assisted,
) -> None:
    out, _, _ = assisted
    folder = StudyFolder(Location.parse(out))
    used = folder.assistants.read_usage()
    own = folder.read_teacher_usage()
    assert own is not None
    assert sorted(used) == ["II", "V1"]
    whole = teacher_usage(folder, folder.read_config())
    assert whole.worker_s == pytest.approx(own.worker_s + used["II"].worker_s + used["V1"].worker_s)
    cost = json.loads((out / "report" / "report.json").read_text())["cost"]
    found = [out / "teacher", *(out / "assistants" / lead / "teacher" for lead in used)]
    for name in ("wall_s", "cpu_s"):
        parts = [read_manifest(each).details[name] for each in found]
        assert cost[f"teacher_{name}"] == pytest.approx(sum(parts), abs=2e-3)
    for lead, usage in used.items():
        trained_s = read_manifest(out / "assistants" / lead / "teacher").details["wall_s"]
        assert usage.worker_s >= trained_s


def test_students_learn_from_their_assistant_and_not_from_the_teacher(
    assisted: Assisted, tmp_path: Path
) -> None:
    out, _, _ = assisted
    folder = StudyFolder(Location.parse(out))
    config, study = open_study(folder)
    study.close()
    record = next(r for r in study.trials() if r.trial.arm is Arm.SEARCH)
    prepared = prepare(config, Location.parse(str(folder.read_inputs()["shards"])))
    inputs = trial_inputs(config, folder, prepared, study.cpu_precision)
    with torch_threads(1):
        again = run_trial(record.trial, inputs.writing_to(str(tmp_path / "a")), go_on)
        taught = replace(inputs, assistants={}, trials=str(tmp_path / "b"))
        by_teacher = run_trial(record.trial, taught, go_on)
    assert again.macro_auroc == record.macro_auroc
    assert by_teacher.macro_auroc != record.macro_auroc


def test_a_study_with_assistants_goes_on_and_reuses_them(
    mvkt: Any, assisted: Assisted, tmp_path: Path
) -> None:
    out = copied(assisted[0], tmp_path)
    line = ("search", "--out", out, "--in-process", "--resume", "--max-trials", 7)
    assert (
        mvkt(*line, "--dry-run", "--json").json["stages"]["assistants"]
        == f"use {out / 'assistants'}"
    )
    done = mvkt(*line)
    assert done.exit_code == 0, done.stderr
    assert f"assistants: reused, {out / 'assistants'}" in done.stdout


def test_an_assistant_that_was_made_anew_is_refused_with_its_old_knowledge_and_trials(
    mvkt: Any, assisted: Assisted, tmp_path: Path
) -> None:
    out = copied(assisted[0], tmp_path)
    # As if it were trained elsewhere: other weights of the same recipe.
    own, other = (out / "assistants" / lead for lead in ("II", "V1"))
    weights = (other / "teacher" / "teacher.safetensors").read_bytes()
    manifest = read_manifest(own / "teacher")
    shutil.rmtree(own / "teacher")
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "teacher.safetensors").write_bytes(weights)
    publish(
        Location.parse(own / "teacher"),
        kind="teacher",
        config=manifest.config,
        inputs=manifest.inputs,
        built=tmp_path / "built",
        details=manifest.details,
        counts=manifest.counts,
    )
    line = ("search", "--out", out, "--in-process", "--resume", "--max-trials", 7)
    mvkt(*line).expect_wrong_input("teacher's knowledge", "assistants/II/knowledge", "made from")
    # Its knowledge, too, is new: then the trials of the study are of another assistant.
    shutil.rmtree(own / "knowledge")
    mvkt(*line).expect_wrong_input("was started with assistant of II", "resumed with")


def test_an_assistant_of_another_teacher_is_refused(
    mvkt: Any, assisted: Assisted, tmp_path: Path
) -> None:
    out = copied(assisted[0], tmp_path)
    shutil.rmtree(out / "knowledge")
    shutil.rmtree(out / "teacher")
    config = read_study(out / "study.yaml")
    folder = StudyFolder(Location.parse(out))
    prepared = prepare(config, Location.parse(str(folder.read_inputs()["shards"])))
    # The same seed gives the same teacher; another seed stands for what changed.
    job = teacher_job(replace(config, teacher=replace(config.teacher, seed=9)), prepared)
    train_teacher(job, str(tmp_path / "given"), lambda _metrics: None)
    line = ("search", "--out", out, "--in-process", "--resume", "--max-trials", 7)
    done = mvkt(*line, "--teacher", tmp_path / "given")
    done.expect_wrong_input("assistants/II/teacher already holds a teacher")


def test_finals_that_refit_ask_the_assistants_about_both_splits(
    mvkt: Any, assisted: Assisted, tmp_path: Path
) -> None:
    out = copied(assisted[0], tmp_path)
    done = mvkt("finalize", out, "--in-process")
    assert done.exit_code == 0, done.stderr
    for lead in ("II", "V1"):
        assistant = read_manifest(out / "assistants" / lead / "teacher").fingerprint
        of_train = read_manifest(out / "assistants" / lead / "knowledge")
        of_both = read_manifest(out / "finals" / "01" / "assistants" / lead / "knowledge")
        assert of_both.inputs["teacher"] == of_train.inputs["teacher"] == assistant
        assert of_both.counts["n_recordings"] > of_train.counts["n_recordings"]


def test_students_of_a_cross_fitted_teacher_hear_what_it_has_not_learned_by_heart(
    mvkt: Any, study_file: WriteStudy, shards: Path, tmp_path: Path
) -> None:
    teacher = {"cross_fitting": 2}
    study = study_file({"teacher": teacher, "search": {"leads": ["II"], "n_trials": 3}})
    out = tmp_path / "study"
    line = ("search", study, "--data", shards, "--out", out, "--in-process")
    plan = mvkt(*line, "--dry-run", "--json").json["stages"]
    assert "sepconv1d_small (cross-fitted by 2) for 2 epochs" in plan["teacher"]
    done = mvkt(*line, "--json")
    assert done.exit_code == 0, done.stderr
    assert "teacher: epoch 6/6" in done.stderr
    shown = " ".join(mvkt("inspect", out / "teacher").stdout.split())
    one, other = (
        each["macro_auroc"] for each in read_manifest(out / "teacher").details["cross_fitted"]
    )
    assert f"cross-fitted {one:.3f}, {other:.3f}" in shown

    # The same knowledge by the command of its own.
    line = ("cache", study, "--data", shards, "--teacher", out / "teacher", "--in-process")
    assert mvkt(*line, "--out", tmp_path / "knowledge").exit_code == 0
    again, first = (read_manifest(each / "knowledge") for each in (tmp_path, out))
    assert again.fingerprint == first.fingerprint


def test_students_learn_the_finer_labels_of_a_task_that_is_there(
    mvkt: Any, study_file: WriteStudy, shards: Path, tmp_path: Path
) -> None:
    space = {"student": "sepconv1d_small", "batch_size": 32, "n_negatives": 8, "finer_weight": 0.5}
    search = {"leads": ["II"], "n_trials": 3}
    data = {"finer_task": "synthetic_codes"}
    study = study_file({"data": data, "space": space, "search": search})
    out = tmp_path / "study"
    done = mvkt("search", study, "--data", shards, "--out", out, "--in-process")
    assert done.exit_code == 0, done.stderr
    for result in (out / "trials").glob("*/result.json"):
        assert json.loads(result.read_text())["history"][-1]["metrics"]["losses"]["finer"] > 0

    wrong = study_file({"data": {"finer_task": "synthetic_code"}, "space": space})
    line = ("search", wrong, "--data", shards, "--out", tmp_path / "other", "--in-process")
    mvkt(*line).expect_wrong_input("synthetic_code", "synthetic_codes")


def test_an_assistant_is_asked_before_the_trials_never_in_their_loop(
    mvkt: Any, study_file: WriteStudy, shards: Path, tmp_path: Path
) -> None:
    study = study_file({"teacher": {"assistant": True}, "student": {"knowledge": "online"}})
    line = ("search", study, "--data", shards, "--out", tmp_path / "study", "--in-process")
    mvkt(*line).expect_wrong_input("teacher.assistant", "cached or record")


def test_an_assistant_without_a_network_of_its_name_is_refused_before_anything_starts(
    mvkt: Any, study_file: WriteStudy, shards: Path, tmp_path: Path
) -> None:
    study = study_file({"teacher": {"assistant": {"network": "sepconv1d_tini"}}})
    line = ("search", study, "--data", shards, "--out", tmp_path / "study", "--in-process")
    mvkt(*line).expect_wrong_input("teacher.assistant", "sepconv1d_tini", "sepconv1d_tiny")
    assert not (tmp_path / "study").exists()


def copied(study: Path, tmp_path: Path) -> Path:
    out = Path(shutil.copytree(study, tmp_path / "study"))
    (out / ".lock").unlink(missing_ok=True)
    return out


def go_on(_metrics: EpochMetrics) -> Decision:
    return Decision.CONTINUE
