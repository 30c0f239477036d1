"""An assistant: a finished student that is published as a teacher of its own leads.

Reads: the folder of a trial. Writes: an artifact of kind `teacher`, whose inputs are shards, the
teacher of all leads and its knowledge; `open_teacher` opens it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mvkt_ray.data.splits import TrainingSplits
from mvkt_ray.records import EpochMetrics, Trial, TrialResult
from mvkt_ray.storage.artifacts import build_folder, publish
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest, recipe_of
from mvkt_ray.training.teacher import KIND, WEIGHTS_FILE
from mvkt_ray.training.teaching.teacher_job import TeacherJob
from mvkt_ray.training.trial_files import TrialFolder


@dataclass(frozen=True, kw_only=True, slots=True)
class AssistantJob:
    """An assistant to train, as a trial, and to publish."""

    trial: Trial
    job: TeacherJob
    """Inputs of a teacher that sees the assistant's leads; `config` is the assistant's."""
    study_seed: int
    per_recording: bool
    """Whether it learns from teacher outputs for whole recordings, not for crops."""
    inputs: Mapping[str, str]
    """Fingerprints of shards, of the teacher and of its knowledge, by kind."""

    @property
    def config(self) -> dict[str, Any]:
        """Everything that determines its numbers beside its inputs, as plain values."""
        job = self.job
        return {
            "teacher": asdict(job.config),
            "task": job.task.to_json(),
            "folds": asdict(job.folds),
            "min_likelihood": job.min_likelihood,
            "label_use": asdict(job.label_use),
            "view": job.view.to_json(),
            "precision": job.precision,
            "hyperparameters": dict(self.trial.hyperparameters),
            "knowledge_of": "recordings" if self.per_recording else "crops",
            "study_seed": self.study_seed,
        }

    @property
    def recipe(self) -> str:
        """Hash of configuration and inputs, which identifies an equal finished assistant."""
        return recipe_of(KIND, self.config, self.inputs)


def publish_assistant(
    out: Location,
    job: AssistantJob,
    trials: str,
    *,
    result: TrialResult,
    epochs: Sequence[EpochMetrics],
    splits: TrainingSplits,
) -> Manifest:
    """Publish the student of a complete trial as a teacher of its leads.

    Args:
        out: A folder that does not exist yet.
        job: The assistant's training.
        trials: Parent folder of the trial's folder.
        result: The trial's result.
        epochs: Metrics of its epochs.
        splits: The study's splits.

    Raises:
        ArtifactError: The trial's weights are missing or damaged.
    """
    weights = TrialFolder.of(trials, job.trial.number).read_student(result)
    with build_folder(out) as folder:
        Location.parse(folder / WEIGHTS_FILE).write_bytes(weights)
        return publish(
            out,
            kind=KIND,
            config=job.config,
            inputs=job.inputs,
            built=folder,
            counts={
                "n_train": len(splits.train.rows),
                "n_val": len(splits.val.rows),
                "n_parameters": result.n_parameters,
            },
            details={
                "network": job.job.config.network,
                "precision": job.job.precision,
                "classes": list(job.job.task.classes),
                "macro_auroc": result.macro_auroc,
                "per_class_auroc": dict(result.per_class_auroc),
                "epochs": [metrics.to_json() for metrics in epochs],
                "wall_s": result.wall_s,
                "cpu_s": result.cpu_s,
            },
            command=job.job.command,
        )
