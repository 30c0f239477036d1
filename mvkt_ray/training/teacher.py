"""The teacher: the model that sees all leads, trained once per study, with labels only.

Reads: shards. Writes: an artifact of kind `teacher`: `teacher.safetensors` and the manifest, which
holds the network's name, its view, its classes, and what came of every epoch.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from mvkt_ray.config.recipes import Hyperparameters, TeacherConfig
from mvkt_ray.config.schema import ALL_LABELS, FoldsConfig, LabelUse
from mvkt_ray.data.loader import EvalLoader, TrainLoader
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.splits import TrainingSplits, open_training_splits
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.views import View
from mvkt_ray.distill.objective import Objective
from mvkt_ray.errors import ArtifactError, StaleArtifactError, TrialDivergedError
from mvkt_ray.file_guards import reading
from mvkt_ray.models import Network, build_network
from mvkt_ray.records import Decision, EpochMetrics, TrialState
from mvkt_ray.storage.artifacts import (
    Manifest,
    build_folder,
    claim_output,
    command_line,
    expect_input,
    open_file,
    partial_location,
    publish,
    read_manifest,
    recipe_of,
)
from mvkt_ray.storage.location import Location
from mvkt_ray.training.cpu_precision import computes_in_bf16, settled_precision
from mvkt_ray.training.fit import Course, Lesson, Outcome, fit
from mvkt_ray.training.learner import Learner
from mvkt_ray.training.optimizers import Steering
from mvkt_ray.training.process import (
    EVALUATION_BATCH_SIZE,
    check_batch_size,
    check_validation,
    current_device,
    seeded,
)
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.seeds import derive_seed

KIND = "teacher"
WEIGHTS_FILE = "teacher.safetensors"
CHECKPOINT_FILE = ".checkpoint.pt"
"""In the partial folder; its dot keeps it out of the artifact."""
PRECISION_FILE = ".precision.json"
"""Beside it: what `precision: auto` was found to be on the CPU that the training began on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherJob:
    """A teacher to train: which data, which view, which network."""

    shards: str
    task: Task
    folds: FoldsConfig
    min_likelihood: float
    view: View
    """With the teacher's leads."""
    config: TeacherConfig
    precision: str
    gradient_accumulation: int = 1
    label_use: LabelUse = ALL_LABELS
    """It is trained on recordings whose labels are known, alone."""
    validated_epochs: frozenset[int] | None = None
    """After which it is validated, beside its last; None: after each. Nobody decides by them."""
    command: str = field(default_factory=command_line)
    """Of the driver, which makes the job; a worker that trains it was called by Ray."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Teacher:
    """A finished teacher."""

    network: Network
    """In evaluation mode, on the CPU."""
    view: View
    classes: tuple[str, ...]
    manifest: Manifest

    @property
    def fingerprint(self) -> str:
        """Hash of what it was trained on and of its weights."""
        return self.manifest.fingerprint

    @property
    def precision(self) -> str:
        """What it was trained in: `float32` or `bf16`."""
        return str(self.manifest.details["precision"])

    @property
    def macro_auroc(self) -> float:
        """What it scored on the validation split after its last epoch."""
        return float(self.manifest.details["macro_auroc"])


def teacher_config(job: TeacherJob) -> dict[str, Any]:
    """Return all that the teacher's numbers depend on beside the shards, as plain values."""
    return {
        "teacher": asdict(job.config),
        "task": job.task.to_json(),
        "folds": asdict(job.folds),
        "min_likelihood": job.min_likelihood,
        "labelled": asdict(job.label_use)["labelled"],
        "view": job.view.to_json(),
        "precision": job.precision,
    }


def train_teacher(
    job: TeacherJob,
    out: str | Location,
    report: Callable[[EpochMetrics], None],
    *,
    ranks: Ranks | None = None,
) -> Manifest:
    """Train a teacher and publish it; go on from the checkpoint that a killed training left.

    Called on every rank. The same teacher, already finished at `out`, is returned as it is.

    Args:
        job: what to train.
        out: a folder that does not exist yet, on a file system or in a store that all ranks see.
        report: called on the first rank after every epoch, and again for those of a checkpoint.
        ranks: by default, the process group that this process is in.

    Raises:
        ConfigError: The batch size is smaller than the number of ranks.
        DataError: The shards lack a lead or a split, or cannot be scored.
        ArtifactError: Something else is at `out`.
        TrialDivergedError: The loss or the predictions are not finite.
    """
    ranks = ranks or Ranks.here()
    location = Location.parse(out)
    shards = open_shards(job.shards)
    inputs = {"shards": shards.fingerprint}
    recipe = recipe_of(KIND, teacher_config(job), inputs)
    finished = claim_output(location, recipe, resume=True)
    # All ranks have looked before the first can have published.
    ranks.wait()
    if finished is not None:
        return finished

    check_batch_size(job.config.batch_size, ranks)
    device = current_device()
    splits = open_training_splits(shards, job.task, job.folds, job.min_likelihood, job.label_use)
    check_validation(splits.val)
    splits = replace(splits, train=splits.train.labelled())
    bf16 = _computes_in_bf16(job, location, device, ranks)
    learner = _build_learner(job, splits, bf16=bf16).to(device)
    loader = TrainLoader(
        shards,
        splits.train,
        job.view,
        batch_size=job.config.batch_size,
        seed=derive_seed(job.config.seed, 1),
        rank=ranks.rank,
        world_size=ranks.world_size,
        device=device,
    )

    def lessons(epoch: int) -> Iterator[Lesson]:
        for batch in loader.epoch(epoch):
            yield Lesson(
                signal_BLS=batch.signal_BLS,
                labels_BC=batch.labels_BC,
                example_B=batch.example_B,
            )

    def go_on(metrics: EpochMetrics) -> Decision:
        report(metrics)
        return Decision.CONTINUE

    course = Course(
        lessons=lessons,
        steps_per_epoch=loader.steps_per_epoch,
        examples_per_epoch=loader.steps_per_epoch * loader.examples_per_step,
        windows=EvalLoader(
            shards,
            splits.val,
            job.view,
            batch_size=EVALUATION_BATCH_SIZE,
            rank=ranks.rank,
            world_size=ranks.world_size,
            device=device,
        ),
        val_labels_NC=splits.val.labels,
        classes=job.task.classes,
        epochs=job.config.epochs,
        steering=Steering.of(job.config),
        seed=derive_seed(job.config.seed, 2),
        recipe=recipe,
        gradient_accumulation=job.gradient_accumulation,
        validated_epochs=job.validated_epochs,
    )
    checkpoint_at = partial_location(location) / CHECKPOINT_FILE
    outcome = fit(learner, course, checkpoint_at, go_on, device=device, ranks=ranks)
    if outcome.state is TrialState.DIVERGED:
        raise TrialDivergedError(
            f"The teacher diverged ({outcome.reason}). Its learning_rate is "
            f"{job.config.learning_rate!r}; a lower one should train: change teacher.learning_rate."
        )
    if ranks.is_first:
        _publish(location, job, splits, learner, outcome, inputs)
    ranks.wait()
    return read_manifest(location, KIND)


def open_teacher(
    location: str | Location,
    *,
    shards: Shards | None = None,
    task: Task | None = None,
) -> Teacher:
    """Load a finished teacher.

    Args:
        location: its folder.
        shards: what it is used with; None: not compared.
        task: what it is used for; None: not compared.

    Raises:
        ArtifactError: No finished teacher is there.
        StaleArtifactError: It was trained on other shards or for other classes.
    """
    root = Location.parse(location)
    manifest = read_manifest(root, KIND)
    if shards is not None:
        expect_input(f"The teacher {root}", manifest, "shards", shards.fingerprint)
    own_classes = tuple(manifest.details["classes"])
    if task is not None and own_classes != task.classes:
        raise StaleArtifactError(
            f"The teacher {root} knows the classes {', '.join(own_classes)}, but is used for "
            f"{', '.join(task.classes)}. Set data.task to the teacher's, or train a teacher "
            "for this task."
        )
    view = View.from_json(manifest.config["view"])
    network = build_network(
        manifest.config["teacher"]["network"],
        len(view.leads),
        len(own_classes),
        dropout=manifest.config["teacher"]["dropout"],
    )
    content = open_file(root, manifest, WEIGHTS_FILE, Path.read_bytes)
    advice = "It was damaged after it was published: train the teacher again."
    with reading(root / WEIGHTS_FILE, advice, ArtifactError):
        network.load_state_dict(safetensors.torch.load(content))
    return Teacher(network=network.eval(), view=view, classes=own_classes, manifest=manifest)


def _computes_in_bf16(
    job: TeacherJob, location: Location, device: torch.device, ranks: Ranks
) -> bool:
    """Return whether the teacher runs in bf16; on CPUs `auto` is settled by the first rank."""
    chosen: dict[str, str] = {}
    if job.precision == "auto" and device.type == "cpu":
        file = partial_location(location) / PRECISION_FILE
        measured = (
            settled_precision(
                file,
                job.config.network,
                n_leads=len(job.view.leads),
                n_samples=job.view.crop_samples,
            ).chosen.encode()
            if ranks.is_first
            else None
        )
        content = ranks.from_first(measured)
        assert content is not None
        chosen = {job.config.network: content.decode()}
    return computes_in_bf16(job.precision, device, job.config.network, chosen)


def _build_learner(job: TeacherJob, splits: TrainingSplits, *, bf16: bool) -> Learner:
    with seeded(derive_seed(job.config.seed, 0)):
        network = build_network(
            job.config.network,
            len(job.view.leads),
            len(job.task.classes),
            dropout=job.config.dropout,
        )
    labels_only = Hyperparameters(label_weight=1.0, kd_weight=0.0, clt_weight=0.0)
    objective = Objective(
        hyperparameters=labels_only,
        train_labels_NC=torch.from_numpy(splits.train.labels),
        student_dim=network.embedding_dim,
        teacher_dim=network.embedding_dim,
        seed=0,
    )
    return Learner(network, objective, bf16=bf16)


def _publish(
    location: Location,
    job: TeacherJob,
    splits: TrainingSplits,
    learner: Learner,
    outcome: Outcome,
    inputs: dict[str, str],
) -> None:
    network = learner.network
    weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    last = outcome.last_validated
    assert last is not None
    with build_folder(location) as folder:
        Location.parse(folder / WEIGHTS_FILE).write_bytes(safetensors.torch.save(weights))
        publish(
            location,
            kind=KIND,
            config=teacher_config(job),
            inputs=inputs,
            built=folder,
            counts={
                "n_train": len(splits.train.rows),
                "n_val": len(splits.val.rows),
                "n_parameters": sum(weight.numel() for weight in network.parameters()),
            },
            details={
                "network": job.config.network,
                "precision": "bf16" if learner.bf16 else "float32",
                "embedding_dim": network.embedding_dim,
                "classes": list(job.task.classes),
                "macro_auroc": last.metrics.macro_auroc,
                "per_class_auroc": dict(last.per_class_auroc),
                "epochs": [record.metrics.to_json() for record in outcome.history],
                "wall_s": outcome.wall_s,
                "cpu_s": outcome.cpu_s,
            },
            command=job.command,
        )
    if location.is_local:
        (location / CHECKPOINT_FILE).delete()
