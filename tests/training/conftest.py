"""One tiny study for all tests of training: shards, a teacher, its knowledge, and trials of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.data_config import FoldsConfig, ViewConfig
from mvkt_ray.config.recipes import Hyperparameters, StudentConfig, TeacherConfig
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.splits import TrainingSplits, open_training_splits
from mvkt_ray.data.views import fit_view
from mvkt_ray.distill.knowledge_parts import ask_teacher
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.records import Arm, Condition, Decision, EpochMetrics, Trial
from mvkt_ray.training.students.trial_inputs import TrialInputs
from mvkt_ray.training.teacher import TeacherJob, open_teacher, train_teacher

HYPERPARAMETERS = Hyperparameters(
    student="sepconv1d_tiny", batch_size=16, n_negatives=8, projection_dim=8, learning_rate=1e-2
)


@dataclass(frozen=True, kw_only=True)
class TinyStudy:
    """A study that trains in a second."""

    folder: Path
    shards: Shards
    splits: TrainingSplits
    job: TeacherJob
    inputs: TrialInputs

    def trials_in(self, folder: Path, **changes: Any) -> TrialInputs:
        """Inputs of trials that write to a folder of their own."""
        return replace(self.inputs, trials=str(folder), **changes)

    def trial(self, number: int = 0, lead: str = "II", **hyperparameters: Any) -> Trial:
        chosen = replace(HYPERPARAMETERS, **hyperparameters)
        return Trial(
            number=number,
            condition=Condition.from_name(lead),
            arm=Arm.SEARCH,
            hyperparameters={name: getattr(chosen, name) for name in Hyperparameters.names()},
        )


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    folder = tmp_path_factory.mktemp("study")
    source = Synthetic(n_recordings=100, duration_s=4.0, noise=0.2)
    ingest(source, str(folder / "shards"), IngestSettings(sampling_rate_hz=50, rows_per_shard=40))
    shards = open_shards(str(folder / "shards"))
    task = next(iter(shards.tasks.values()))
    folds = FoldsConfig(train=(1, 2, 3, 4, 5, 6), val=(7, 8, 9), test=(10,))
    splits = open_training_splits(shards, task, folds)
    lengths = ViewConfig(crop_s=2.0, grid_s=0.5, stride_s=1.0)
    view = fit_view(shards, splits.train.rows, shards.leads, lengths)
    job = TeacherJob(
        shards=str(folder / "shards"),
        task=task,
        folds=folds,
        min_likelihood=0.0,
        view=view,
        config=TeacherConfig(network="sepconv1d_tiny", epochs=3, batch_size=16),
        precision="float32",
    )
    train_teacher(job, str(folder / "teacher"), lambda _metrics: None)
    teacher = open_teacher(str(folder / "teacher"))
    write_knowledge(
        str(folder / "knowledge"),
        ask=partial(ask_teacher, teacher.network, shards, view),
        shards=shards,
        split=splits.train,
        view=view,
        teacher_fingerprint=teacher.fingerprint,
        embedding_dim=teacher.network.embedding_dim,
    )
    inputs = TrialInputs(
        shards=job.shards,
        task=task,
        folds=folds,
        min_likelihood=0.0,
        view=view,
        student=StudentConfig(epochs=3),
        knowledge=str(folder / "knowledge"),
        teacher=str(folder / "teacher"),
        study_seed=5,
        trials=str(folder / "trials"),
        precision="float32",
    )
    return TinyStudy(folder=folder, shards=shards, splits=splits, job=job, inputs=inputs)


@pytest.fixture(scope="session")
def go_on() -> Callable[[EpochMetrics], Decision]:
    """A report that never stops a trial."""
    return lambda _metrics: Decision.CONTINUE
