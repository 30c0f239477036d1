"""Recordings without a known label: the teacher never sees them, students learn of them by it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors.torch
import torch

from mvkt_ray.config.data_config import FoldsConfig, LabelledConfig, LabelUse
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.distill.knowledge_parts import ask_teacher
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.records import Decision, EpochMetrics, TrialState
from mvkt_ray.training.student import run_trial
from mvkt_ray.training.students.trial_inputs import TrialInputs
from mvkt_ray.training.teacher import open_teacher, train_teacher

if TYPE_CHECKING:
    from conftest import TinyStudy

Report = Callable[[EpochMetrics], Decision]
FEW = LabelUse(labelled=LabelledConfig(folds=(1, 2)), distils_unlabelled=True)
LABELLED_ONLY = replace(FEW, distils_unlabelled=False)


@pytest.fixture(scope="module")
def few_labels(tiny_study: "TinyStudy", tmp_path_factory: pytest.TempPathFactory) -> TrialInputs:
    """The tiny study with the labels of two training folds of six, its teacher and knowledge."""
    folder = tmp_path_factory.mktemp("few")
    inputs, shards = tiny_study.inputs, tiny_study.shards
    train_teacher(replace(tiny_study.job, label_use=FEW), str(folder / "teacher"), lambda _: None)
    teacher = open_teacher(str(folder / "teacher"))
    splits = open_training_splits(shards, inputs.task, inputs.folds, 0.0, FEW)
    write_knowledge(
        str(folder / "knowledge"),
        ask=partial(ask_teacher, teacher.network, shards, inputs.view),
        shards=shards,
        split=splits.train,
        view=inputs.view,
        teacher_fingerprint=teacher.fingerprint,
        embedding_dim=teacher.network.embedding_dim,
    )
    return replace(
        inputs,
        label_use=FEW,
        teacher=str(folder / "teacher"),
        knowledge=str(folder / "knowledge"),
        trials=str(folder / "trials"),
    )


def weights(folder: str | Path, name: str = "student.safetensors") -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(Path(folder) / name)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_teacher_is_that_of_the_labelled_folds_alone(
    tiny_study: "TinyStudy", few_labels: TrialInputs, tmp_path: Path
) -> None:
    folds = FoldsConfig(train=(1, 2), val=(7, 8, 9), test=(10,))
    job = replace(tiny_study.job, folds=folds)
    train_teacher(job, str(tmp_path / "teacher"), lambda _: None)
    assert few_labels.teacher is not None
    name = "teacher.safetensors"
    assert same(weights(few_labels.teacher, name), weights(tmp_path / "teacher", name))


def test_a_student_alone_is_taught_the_labelled_ones_in_as_many_steps_as_one_that_distils(
    few_labels: TrialInputs, tiny_study: "TinyStudy", tmp_path: Path
) -> None:
    trial = tiny_study.trial(kd_weight=0.0, clt_weight=0.0)
    seen: list[EpochMetrics] = []

    def listen(metrics: EpochMetrics) -> Decision:
        seen.append(metrics)
        return Decision.CONTINUE

    run_trial(trial, replace(few_labels, trials=str(tmp_path / "few")), listen)
    n_examples = len(tiny_study.splits.train) // 16 * 16
    assert [metrics.n_examples for metrics in seen] == [n_examples] * 3
    # Where the others are left out there is nobody to keep step with.
    left_out = replace(few_labels, trials=str(tmp_path / "out"), label_use=LABELLED_ONLY)
    seen.clear()
    run_trial(trial, left_out, listen)
    assert seen[0].n_examples < n_examples


@pytest.mark.parametrize("negatives", ["disjoint", "any"])
def test_a_student_that_distils_learns_of_recordings_whose_labels_nobody_gave(
    few_labels: TrialInputs, tiny_study: "TinyStudy", go_on: Report, tmp_path: Path, negatives: str
) -> None:
    trial = tiny_study.trial(kd_weight=2.0, clt_weight=0.02, negatives=negatives)
    result = run_trial(trial, replace(few_labels, trials=str(tmp_path / "a")), go_on)
    assert result.state is TrialState.COMPLETE
    online = replace(few_labels.student, knowledge="online")
    again = run_trial(trial, replace(few_labels, trials=str(tmp_path / "b"), student=online), go_on)
    assert again.macro_auroc == pytest.approx(result.macro_auroc, abs=0.02)


def test_labels_that_are_not_known_cannot_matter(
    few_labels: TrialInputs, tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    """The same trial, where the codes of unlabelled recordings are read as something else."""
    trial = tiny_study.trial(kd_weight=2.0, clt_weight=0.02)
    run_trial(trial, replace(few_labels, trials=str(tmp_path / "a")), go_on)
    shards = tiny_study.shards
    splits = open_training_splits(shards, few_labels.task, few_labels.folds, 0.0, FEW)
    hidden = splits.train.rows[~splits.train.has_label]
    original = type(shards).split_columns

    def flipped(self: object, *arguments: object) -> object:
        columns = original(self, *arguments)  # type: ignore[arg-type]
        columns.labels_NC[hidden] = ~columns.labels_NC[hidden]
        return columns

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(shards), "split_columns", flipped)
        run_trial(trial, replace(few_labels, trials=str(tmp_path / "b")), go_on)
    assert same(weights(tmp_path / "a" / "00000"), weights(tmp_path / "b" / "00000"))


def test_all_labels_by_name_are_all_labels(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    everyone = LabelUse(labelled=LabelledConfig(fraction=1.0), distils_unlabelled=False)
    trial = tiny_study.trial()
    run_trial(trial, tiny_study.trials_in(tmp_path / "a"), go_on)
    run_trial(trial, tiny_study.trials_in(tmp_path / "b", label_use=everyone), go_on)
    assert same(weights(tmp_path / "a" / "00000"), weights(tmp_path / "b" / "00000"))


def test_a_student_may_have_fewer_epochs_than_the_study(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path
) -> None:
    inputs = tiny_study.trials_in(tmp_path, validated_epochs=frozenset({3}))
    result = run_trial(tiny_study.trial(epochs=2), inputs, go_on)
    assert result.state is TrialState.COMPLETE
    assert result.epochs == 2
    assert result.macro_auroc is not None
    assert np.isfinite(result.macro_auroc)
