"""Trains the networks of a teacher, one after another, each with its own checkpoint.

Reads: batches and evaluation windows of shards. Writes, in the partial folder of the teacher: the
members' checkpoints.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.data.loader import EvalLoader, TrainLoader
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.splits import TrainingSplits, open_training_splits
from mvkt_ray.distill.cross_fitting import groups_of
from mvkt_ray.distill.objective import Objective
from mvkt_ray.errors import DataError, TrialDivergedError
from mvkt_ray.models.ensemble import one_of
from mvkt_ray.models.network import Network
from mvkt_ray.models.networks import build_network
from mvkt_ray.records import Decision, EpochMetrics, EpochRecord, TrialState
from mvkt_ray.storage.artifacts import partial_location
from mvkt_ray.storage.location import Location
from mvkt_ray.training.course import Course, Outcome
from mvkt_ray.training.cpu_precision import computes_in_bf16, settled_precision
from mvkt_ray.training.fit import fit
from mvkt_ray.training.guidance import without_teacher
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
from mvkt_ray.training.teaching.teacher_job import TeacherJob
from mvkt_ray.training.validation import predict

PRECISION_FILE = ".precision.json"
"""In the partial folder: `precision: auto` as resolved on the CPU where the training began."""


@dataclass(frozen=True, kw_only=True, slots=True)
class School:
    """A teacher to train, with its opened and checked inputs."""

    job: TeacherJob
    location: Location
    shards: Shards
    splits: TrainingSplits
    recipe: str
    bf16: bool
    device: torch.device
    ranks: Ranks

    def without(self, group: int) -> "School":
        """Return the same without the training recordings of one group of patients, from 0.

        Raises:
            DataError: No recording would be left.
        """
        config, train = self.job.config, self.splits.train
        kept = groups_of(train, config.cross_fitting, config.seed) != group
        if not kept.any():
            raise DataError(
                f"teacher.cross_fitting is {config.cross_fitting}, but the {len(train)} "
                "recordings to train on are of too few patients for cross-fitting. Set it to 0."
            )
        part = replace(train, rows=train.rows[kept], labels=train.labels[kept])
        return replace(self, splits=replace(self.splits, train=part))

    def windows(self) -> EvalLoader:
        """Return the windows of this rank's part of the validation split."""
        return EvalLoader(
            self.shards,
            self.splits.val,
            self.job.view,
            batch_size=EVALUATION_BATCH_SIZE,
            rank=self.ranks.rank,
            world_size=self.ranks.world_size,
            device=self.device,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One trained network of a teacher."""

    seed: int
    network: Network
    outcome: Outcome

    @property
    def score(self) -> EpochRecord:
        """Record of its last epoch, with its score on the validation split."""
        last = self.outcome.last_validated
        assert last is not None
        return last


def open_school(
    job: TeacherJob, location: Location, shards: Shards, recipe: str, ranks: Ranks
) -> School:
    """Open and check the inputs of a teacher's training, on every rank.

    Args:
        job: Data and configuration of the training.
        location: Folder of the future teacher.
        shards: The job's shards.
        recipe: Hash of everything that determines the teacher's numbers.
        ranks: The process group, with this process's rank.

    Raises:
        ConfigError: The batch size is smaller than the number of ranks.
        DataError: The shards lack a lead or a split, or cannot be scored.
    """
    check_batch_size(job.config.batch_size, ranks)
    device = current_device()
    splits = open_training_splits(shards, job.task, job.folds, job.min_likelihood, job.label_use)
    check_validation(splits.val)
    return School(
        job=job,
        location=location,
        shards=shards,
        splits=replace(splits, train=splits.train.labelled()),
        recipe=recipe,
        bf16=_computes_in_bf16(job, location, device, ranks),
        device=device,
        ranks=ranks,
    )


def checkpoint_file(member: int) -> str:
    """Return the name, in the partial folder, of the checkpoint of a member, counted from 0.

    Files with a leading dot are no part of the artifact. Checkpoints of finished members stay until
    the teacher is published, so that a killed training resumes at the current member.
    """
    return f".checkpoint-{member}.pt"


def train_member(
    school: School, number: int, seed: int, report: Callable[[EpochMetrics], None]
) -> Member:
    """Train a network of a teacher, from its checkpoint if it has one.

    Args:
        school: The opened inputs.
        number: Number of the member, from 0.
        seed: Seed of all its randomness.
        report: Called on the first rank after every epoch; epochs are numbered consecutively over
            the members.

    Raises:
        TrialDivergedError: The loss or the predictions are not finite.
    """
    job, splits, device, ranks = school.job, school.splits, school.device, school.ranks
    learner = _build_learner(job, splits, seed, bf16=school.bf16).to(device)
    loader = TrainLoader(
        school.shards,
        splits.train,
        job.view,
        batch_size=job.config.batch_size,
        seed=derive_seed(seed, 1),
        rank=ranks.rank,
        world_size=ranks.world_size,
        device=device,
    )

    def report_and_continue(metrics: EpochMetrics) -> Decision:
        report(replace(metrics, epoch=number * job.config.epochs + metrics.epoch))
        return Decision.CONTINUE

    course = Course(
        lessons=without_teacher(loader),
        steps_per_epoch=loader.steps_per_epoch,
        examples_per_epoch=loader.steps_per_epoch * loader.examples_per_step,
        windows=school.windows(),
        val_labels_NC=splits.val.labels,
        classes=job.task.classes,
        epochs=job.config.epochs,
        steering=Steering.of(job.config),
        seed=derive_seed(seed, 2),
        recipe=school.recipe,
        gradient_accumulation=job.gradient_accumulation,
        validated_epochs=job.validated_epochs,
    )
    checkpoint_at = partial_location(school.location) / checkpoint_file(number)
    outcome = fit(learner, course, checkpoint_at, report_and_continue, device=device, ranks=ranks)
    if outcome.state is TrialState.DIVERGED:
        raise TrialDivergedError(
            f"The teacher diverged ({outcome.reason}). Its learning_rate is "
            f"{job.config.learning_rate!r}: set teacher.learning_rate to a lower value."
        )
    return Member(seed=seed, network=learner.network, outcome=outcome)


def examine(school: School, members: Sequence[Member]) -> dict[str, float]:
    """Return a teacher's AUROC on the validation split, by class, for classes that have one."""
    if len(members) == 1:
        return dict(members[0].score.per_class_auroc)
    predictions = predict(
        one_of([member.network for member in members]),
        school.windows(),
        school.splits.val.labels,
        device=school.device,
        bf16=school.bf16,
        ranks=school.ranks,
    )
    return predictions.per_class_auroc(school.job.task.classes)


def _build_learner(job: TeacherJob, splits: TrainingSplits, seed: int, *, bf16: bool) -> Learner:
    with seeded(derive_seed(seed, 0)):
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
