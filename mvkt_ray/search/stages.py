"""The stages between shards and trials: checks, the teacher's job, its knowledge.

`pipeline` runs all of them; `mvkt train-teacher` and `mvkt cache` run one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.config.resources import ResourcesConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.splits import TrainingSplits, open_training_splits
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.views import View, fit_view
from mvkt_ray.distill.cross_fitting import speakers_of
from mvkt_ray.distill.knowledge import (
    KIND,
    knowledge_config,
    knowledge_size_bytes,
    split_fingerprint,
    view_fingerprint,
)
from mvkt_ray.distill.knowledge_parts import crops_of
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.errors import ConfigError, StaleArtifactError
from mvkt_ray.records import MeasuredPrecision
from mvkt_ray.search.runner import Runner
from mvkt_ray.storage.artifacts import claim_output, read_manifest, verify_artifact
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest, recipe_of
from mvkt_ray.training.cpu_precision import measure_precisions
from mvkt_ray.training.teacher import KIND as TEACHER
from mvkt_ray.training.teacher import Teacher, TeacherJob, open_teacher, teacher_config
from mvkt_ray.training.teaching.asked_teacher import AskedTeacher, answer

HASH_LIMIT_BYTES = 8 << 30
"""Up to this size an artifact's hashes are verified before a study starts; else only its sizes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A study's shards, task, splits and view, checked before anything is trained."""

    location: Location
    shards: Shards
    task: Task
    splits: TrainingSplits
    view: View
    """The teacher's view."""
    finer_task: Task | None = None
    """A second task of the students."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnowledgePlan:
    """Knowledge to compute, with its predicted size."""

    prepared: Prepared
    teacher: Teacher
    location: Location
    """Location of the teacher."""
    n_crops: int
    size_bytes: int
    per_recording: bool = False
    """Write the mean over each recording's crops instead of each crop."""

    @property
    def speakers(self) -> NDArray[np.int64] | None:
        """int64 `[n_recordings]`: as `speakers_of`; None without cross-fitting."""
        n_groups = len(self.teacher.cross_fitted)
        if not n_groups:
            return None
        seed = int(self.teacher.manifest.config["teacher"]["seed"])
        return speakers_of(self.prepared.splits.train, n_groups, seed)

    @property
    def recipe(self) -> str:
        """Hash of configuration and inputs, which identifies equal finished knowledge."""
        prepared = self.prepared
        inputs = {
            "shards": prepared.shards.fingerprint,
            "teacher": self.teacher.fingerprint,
            "view": view_fingerprint(prepared.view),
            "training split": split_fingerprint(prepared.splits.train),
        }
        config = knowledge_config(prepared.view, per_recording=self.per_recording)
        return recipe_of(KIND, config, inputs)


def prepare(config: StudyConfig, location: Location) -> Prepared:
    """Open shards, and check that a study can use them.

    Raises:
        ArtifactError: A shard was changed after it was published.
        ConfigError: The sampling rate, the task, the folds or the leads do not fit.
        DataError: A split is empty, or a patient is in two splits.
    """
    shards = open_shards(location)
    verify_input(location)
    if shards.sampling_rate_hz != config.data.sampling_rate_hz:
        raise ConfigError(
            f"data.sampling_rate_hz is {config.data.sampling_rate_hz}, but the shards {location} "
            f"are at {shards.sampling_rate_hz} Hz. Set it to {shards.sampling_rate_hz}, or ingest "
            f"again with --rate {config.data.sampling_rate_hz}."
        )
    task = shards.task(config.data.task)
    data = config.data
    splits = open_training_splits(shards, task, data.folds, data.min_likelihood, data.label_use)
    view = fit_view(shards, splits.train.rows, config.teacher.leads, config.view)
    return Prepared(
        location=location,
        shards=shards,
        task=task,
        splits=splits,
        view=view,
        finer_task=None if data.finer_task is None else shards.task(data.finer_task),
    )


def verify_input(location: Location) -> None:
    """Raise unless an artifact that every trial reads is unchanged since its publication.

    Raises:
        ArtifactError: A file was changed after it was published.
    """
    manifest = read_manifest(location)
    # Files in a store are hashed when they are fetched.
    verify_artifact(location, hashes=location.is_local and manifest.size_bytes <= HASH_LIMIT_BYTES)


def teacher_job(config: StudyConfig, prepared: Prepared) -> TeacherJob:
    """Return the inputs of the training of a study's teacher."""
    return TeacherJob(
        shards=str(prepared.location),
        task=prepared.task,
        folds=config.data.folds,
        min_likelihood=config.data.min_likelihood,
        label_use=config.data.label_use,
        view=prepared.view,
        config=config.teacher,
        precision=config.resources.precision,
        gradient_accumulation=config.resources.teacher.gradient_accumulation,
        validated_epochs=None if config.student.validate == "every_epoch" else frozenset(),
    )


def measure_students(
    config: StudyConfig, prepared: Prepared, runner: Runner
) -> dict[str, MeasuredPrecision]:
    """Measure, on a node that runs trials, the faster precision of the study's students on CPUs.

    Returns:
        Choices and times by network; empty if the study sets a precision, or its trials use GPUs.
    """
    resources = config.resources
    on_cpus = sorted(
        name
        for name in config.students
        if not resources.of_trial({"student": name}).gpus_per_worker
    )
    if resources.precision != "auto" or not on_cpus:
        return {}
    measure = partial(measure_precisions, n_leads=1, n_samples=prepared.view.crop_samples)
    workers = resources.of_trial({"student": on_cpus[0]})
    [measured] = runner.map(measure, [on_cpus], reserving=workers)
    return measured


def find_teacher(
    config: StudyConfig, prepared: Prepared, out: Location, *, resume: bool
) -> Manifest | None:
    """Return the manifest of the teacher of a study if it is finished at `out`, else None.

    Raises:
        ArtifactError: `out` has other files, or an unfinished teacher and `resume` is false.
    """
    inputs = {"shards": prepared.shards.fingerprint}
    recipe = recipe_of(TEACHER, teacher_config(teacher_job(config, prepared)), inputs)
    return claim_output(out, recipe, resume=resume)


def open_fitting_teacher(location: Location, config: StudyConfig, prepared: Prepared) -> Teacher:
    """Open a teacher that was trained elsewhere, if the study may use it.

    Raises:
        ArtifactError: There is no finished teacher.
        StaleArtifactError: It was trained on other shards, classes or crops, or on recordings of
            the study's validation or test split.
    """
    teacher = open_teacher(location, shards=prepared.shards, task=prepared.task)
    seen = set(teacher.manifest.config["folds"]["train"])
    kept_apart = sorted(seen & {*config.data.folds.val, *config.data.folds.test})
    if kept_apart:
        raise StaleArtifactError(
            f"the teacher {location} was trained on folds {sorted(seen)}, of which the study keeps "
            f"{kept_apart} for validation or test. Set data.folds as the teacher's, or leave out "
            "--teacher to train another."
        )
    if teacher.view != prepared.view:
        raise StaleArtifactError(
            f"the teacher {location} sees {teacher.view}, the study {prepared.view}. Set "
            "data.folds and view as they were for the teacher, or leave out --teacher to train "
            "another."
        )
    return teacher


def count_crops(prepared: Prepared) -> int:
    """Return the number of the grid's crops in the training split."""
    return int(crops_of(prepared.shards, prepared.splits.train, prepared.view).sum())


def plan_knowledge(
    prepared: Prepared, teacher: Teacher, location: Location, *, per_recording: bool = False
) -> KnowledgePlan:
    """Count the crops of the training split, and predict the size of their knowledge."""
    n_crops, n_recordings = count_crops(prepared), len(prepared.splits.train.rows)
    size_bytes = knowledge_size_bytes(
        n_recordings if per_recording else n_crops,
        len(prepared.task.classes),
        teacher.network.embedding_dim,
        n_recordings=n_recordings,
    )
    return KnowledgePlan(
        prepared=prepared,
        teacher=teacher,
        location=location,
        n_crops=n_crops,
        size_bytes=size_bytes,
        per_recording=per_recording,
    )


def cache_knowledge(
    plan: KnowledgePlan,
    out: Location,
    runner: Runner,
    resources: ResourcesConfig,
    on_progress: Callable[[int, int], None],
) -> Manifest:
    """Compute the teacher's knowledge by the map of a runner, and publish it at `out`.

    Args:
        plan: The knowledge to compute.
        out: A folder that does not exist yet.
        runner: Runs the teacher.
        resources: Resources of the study; each item reserves `teacher.asked`.
        on_progress: Called with the numbers of crops done and in total.

    Raises:
        ClusterError: A node does not reach the shards or the teacher.
        DataError: The teacher's outputs exceed the range of float16.
    """
    prepared = plan.prepared
    asked = AskedTeacher(
        shards=str(prepared.location), teacher=str(plan.location), view=prepared.view
    )
    return write_knowledge(
        out,
        ask=partial(answer, asked),
        shards=prepared.shards,
        split=prepared.splits.train,
        view=prepared.view,
        teacher_fingerprint=plan.teacher.fingerprint,
        embedding_dim=plan.teacher.network.embedding_dim,
        per_recording=plan.per_recording,
        speaker_N=plan.speakers,
        map_function=partial(
            runner.map,
            reserving=resources.teacher.asked,
            reading=(prepared.location, plan.location),
        ),
        on_progress=on_progress,
    )
