"""A trial with its opened and checked inputs, before its training.

Reads: shards, and the manifests of teacher and assistant.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.data.loader import TrainLoader
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.splits import Split, TrainingSplits, open_training_splits, with_labels_of
from mvkt_ray.data.views import View
from mvkt_ray.errors import ConfigError
from mvkt_ray.plugins.packages import expect_packages
from mvkt_ray.records import Trial
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.manifest import fingerprint_of
from mvkt_ray.training.process import check_batch_size, check_validation, current_device
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.seeds import derive_seed, trial_seed
from mvkt_ray.training.students.refit import with_validation
from mvkt_ray.training.students.trial_inputs import Assistant, TrialInputs
from mvkt_ray.training.teacher import KIND as TEACHER


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedTrial:
    """A trial with its opened and checked inputs."""

    trial: Trial
    inputs: TrialInputs
    hyperparameters: Hyperparameters
    shards: Shards
    splits: TrainingSplits
    lessons: Split
    """Training recordings, with all labels that are learned."""
    view: View
    device: torch.device
    ranks: Ranks
    assistant: Assistant | None
    facts: dict[str, Any]
    """Other inputs that determine the results of the trial, as plain values."""

    @property
    def seed(self) -> int:
        """Seed from which all randomness of the trial is derived."""
        return trial_seed(self.inputs.study_seed, self.trial)

    @property
    def bf16(self) -> bool:
        """Whether its network runs under bf16 autocast."""
        return self.inputs.computes_in_bf16(self.hyperparameters.student, self.device)

    @property
    def gradient_accumulation(self) -> int:
        """Parts in which each batch is computed."""
        return self.inputs.resources.of_trial(self.trial.hyperparameters).gradient_accumulation

    @property
    def recipe(self) -> str:
        """Hash of everything that determines its numbers."""
        return fingerprint_of([self.trial.to_json(), self.facts])

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.hyperparameters.epochs or self.inputs.student.epochs

    @property
    def taught(self) -> Split:
        """Training recordings of the student, with the labels that it is evaluated on."""
        return _taught(self.hyperparameters, self.splits)

    @property
    def n_finer(self) -> int:
        """Number of further classes, of a finer task, that it learns."""
        return len(self.lessons.classes) - len(self.inputs.task.classes)

    def train_loader(self, view: View) -> TrainLoader:
        """Return the batches of a view; two views have the same crops in the same order.

        The number of steps of an epoch does not depend on the labelled share, so that compared
        students have taken equally many steps.
        """
        batch_size = self.hyperparameters.batch_size
        n_train = len(self.splits.train)
        return TrainLoader(
            self.shards,
            self.lessons,
            view,
            batch_size=batch_size,
            seed=derive_seed(self.seed, 1),
            steps_per_epoch=n_train // min(batch_size, n_train),
            rank=self.ranks.rank,
            world_size=self.ranks.world_size,
            device=self.device,
        )


def open_trial(trial: Trial, inputs: TrialInputs) -> OpenedTrial:
    """Open and check all that a trial needs, on every rank.

    Raises:
        ConfigError: A hyper-parameter is wrong, or there are more ranks than a batch has examples.
        DataError: The shards lack the lead, or the validation split cannot be scored.
        ArtifactError: Shards or teacher are missing or damaged.
        MachineError: This process lacks a plug-in of the study.
    """
    try:
        hyperparameters = Hyperparameters.of(trial.hyperparameters)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"The hyper-parameters of trial {trial.number} are wrong: {error}. Correct `space` in "
            "the study file."
        ) from None
    expect_packages(inputs.plugins)
    shards = open_shards(inputs.shards)
    splits = open_training_splits(
        shards, inputs.task, inputs.folds, inputs.min_likelihood, inputs.label_use
    )
    check_validation(splits.val)
    if inputs.refit:
        splits = with_validation(splits)
    teacher = read_manifest(inputs.teacher, TEACHER).fingerprint if inputs.teacher else None
    facts = {
        "shards": shards.fingerprint,
        "teacher": teacher,
        "knowledge": inputs.student.knowledge,
        "task": inputs.task.to_json(),
        "folds": asdict(inputs.folds),
        "min_likelihood": inputs.min_likelihood,
        "label_use": asdict(inputs.label_use),
        "view": inputs.view.to_json(),
        "epochs": inputs.student.epochs,
        "precision": inputs.precision,
        "cpu_precision": inputs.cpu_precision.get(hyperparameters.student),
        "study_seed": inputs.study_seed,
        "refit": inputs.refit,
        "plugins": dict(inputs.plugins),
    }
    assistant = inputs.assistant_of(trial.condition)
    if assistant is not None:
        facts["assistant"] = read_manifest(assistant.teacher, TEACHER).fingerprint
    lessons = _taught(hyperparameters, splits)
    if hyperparameters.finer_weight > 0:
        if inputs.finer_task is None:
            raise ConfigError(
                f"finer_weight of trial {trial.number} is {hyperparameters.finer_weight!r}, but "
                "there is no task of finer classes. Set data.finer_task in the study file."
            )
        lessons = with_labels_of(lessons, inputs.finer_task, inputs.min_likelihood)
        facts["finer_task"] = inputs.finer_task.to_json()
    ranks = Ranks.here()
    check_batch_size(hyperparameters.batch_size, ranks)
    return OpenedTrial(
        trial=trial,
        inputs=inputs,
        hyperparameters=hyperparameters,
        shards=shards,
        splits=splits,
        lessons=lessons,
        view=inputs.view.with_leads(trial.condition.leads),
        device=current_device(),
        ranks=ranks,
        assistant=assistant,
        facts=facts,
    )


def _taught(hyperparameters: Hyperparameters, splits: TrainingSplits) -> Split:
    """Return the training recordings of a student: without a teacher, the labelled ones only."""
    return splits.train if hyperparameters.uses_teacher else splits.train.labelled()
