"""A tiny real study, and every runner that can run it."""

import importlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.data_config import FoldsConfig, ViewConfig
from mvkt_ray.config.recipes import StudentConfig, TeacherConfig
from mvkt_ray.config.resources import ResourcesConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, PrunerConfig, SearchConfig
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.data.views import fit_view
from mvkt_ray.distill.knowledge_parts import ask_teacher
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.runner import Runner
from mvkt_ray.search.spending.budget import Budget
from mvkt_ray.search.study import Study
from mvkt_ray.training.student import TrialInputs
from mvkt_ray.training.teacher import TeacherJob, open_teacher, train_teacher
from tests.begun_study import begun_study

EPOCHS = 3
PLACES = ("in_process", "on_ray")
RAYS_OWN_WARNINGS = (
    # Sockets and log files that Ray leaves to the garbage collector, and threads that end with it.
    "ignore:unclosed:ResourceWarning",
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::DeprecationWarning:ray",
    "ignore::FutureWarning:ray",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts Ray, and let the warnings of its own code be warnings."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "[on_ray" in item.name:
            item.add_marker(pytest.mark.ray)
            for warning in RAYS_OWN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@dataclass(frozen=True, kw_only=True)
class TinySearch:
    """All that a runner is given, for a study that trains in seconds."""

    job: TeacherJob
    inputs: TrialInputs
    leads: tuple[str, ...]

    def config(self, *, stop_after_failures: int | None = None) -> StudyConfig:
        """Two leads, their baselines, and two search trials each, the second often pruned."""
        return StudyConfig(
            name="contract",
            seed=5,
            student=StudentConfig(epochs=EPOCHS),
            space={
                "student": ParameterConfig(value="sepconv1d_tiny"),
                "batch_size": ParameterConfig(value=16),
                "n_negatives": ParameterConfig(value=8),
                "projection_dim": ParameterConfig(value=8),
                "learning_rate": ParameterConfig(low=1e-4, high=3e-2, log=True),
                "distill_temperature": ParameterConfig(low=1.0, high=8.0, log=True),
            },
            search=SearchConfig(
                leads=("II", "V1"),
                n_trials=8,
                n_startup_trials=2,
                baselines=("student_alone",),
                pruner=PrunerConfig(min_epochs=1, reduction_factor=2),
                stop_after_failures=stop_after_failures,
            ),
            resources=ResourcesConfig(max_concurrent_trials=1),
        )

    def open(
        self,
        folder: Path,
        *,
        resume: bool = False,
        budget: Budget | None = None,
        stop_after_failures: int | None = None,
    ) -> Study:
        """Start the study in a folder, or go on with it."""
        config = self.config(stop_after_failures=stop_after_failures)
        return begun_study(
            config,
            SearchSpace.from_config(config, self.leads),
            LedgerDatabase(f"sqlite:///{folder / 'ledger.db'}"),
            resume=resume,
            inputs={},
            budget=budget,
        )

    def inputs_in(self, folder: Path, **changes: Any) -> TrialInputs:
        """Inputs of trials whose files are in a folder."""
        return replace(self.inputs, trials=str(folder / "trials"), **changes)


@pytest.fixture(scope="session")
def tiny_search(tmp_path_factory: pytest.TempPathFactory) -> TinySearch:
    folder = tmp_path_factory.mktemp("tiny_search")
    source = Synthetic(n_recordings=80, duration_s=4.0, noise=0.2)
    ingest(source, str(folder / "shards"), IngestSettings(sampling_rate_hz=50))
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
        config=TeacherConfig(network="sepconv1d_tiny", epochs=2, batch_size=16),
        precision="float32",
    )
    train_teacher(job, str(folder / "teacher"), lambda _: None)
    teacher = open_teacher(str(folder / "teacher"))
    write_knowledge(
        str(folder / "knowledge"),
        ask=partial(ask_teacher, teacher.network, shards, view),
        shards=shards,
        split=splits.train,
        view=view,
        teacher_fingerprint=teacher.fingerprint,
        embedding_dim=teacher.network.embedding_dim,
        crops_per_part=50,
    )
    inputs = TrialInputs(
        shards=job.shards,
        task=task,
        folds=folds,
        min_likelihood=0.0,
        view=view,
        student=StudentConfig(epochs=EPOCHS),
        knowledge=str(folder / "knowledge"),
        teacher=str(folder / "teacher"),
        study_seed=5,
        trials=str(folder / "trials"),
        precision="float32",
    )
    return TinySearch(job=job, inputs=inputs, leads=tuple(shards.leads))


@pytest.fixture(scope="module", params=PLACES)
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """Each runner in turn; started once for all tests of the contract."""
    if request.param == "in_process":
        made: Runner = InProcess()
    else:
        made = importlib.import_module("mvkt_ray.on_ray.driver").OnRay.connect(n_cpus=2)
    with closing(made):
        yield made
