"""A cluster whose nodes share nothing with the driver but an object store."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from mvkt_ray.config.data_config import FoldsConfig, ViewConfig
from mvkt_ray.config.recipes import Hyperparameters, StudentConfig, TeacherConfig
from mvkt_ray.config.resources import ResourcesConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.data.views import fit_view
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.driver import OnRay
from mvkt_ray.records import Arm, Condition, Decision, EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.storage.artifacts import verify_artifact
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import TrialInputs
from mvkt_ray.training.teacher import TeacherJob, open_teacher
from tests.object_store import S3Server, serve
from tests.on_ray.own_cluster import own_cluster

pytestmark = pytest.mark.ray


class Deal:
    """A study of the trials that it is given."""

    config = StudyConfig(name="dealt")

    def __init__(self, *trials: Trial) -> None:
        self._left = list(trials)
        self.results: dict[int, TrialResult] = {}

    def ask(self) -> Trial | None:
        return self._left.pop(0) if self._left else None

    def report(self, number: int, metrics: EpochMetrics, used: object) -> Decision:
        return Decision.CONTINUE

    def tell(self, result: TrialResult, used: object) -> None:
        self.results[result.number] = result


def student_alone(number: int, lead: str) -> Trial:
    chosen = Hyperparameters(
        student="sepconv1d_tiny", batch_size=16, kd_weight=0.0, clt_weight=0.0, learning_rate=1e-2
    )
    return Trial(
        number=number,
        condition=Condition(leads=(lead,)),
        arm=Arm.SEARCH,
        hyperparameters={name: getattr(chosen, name) for name in Hyperparameters.names()},
    )


@pytest.fixture(scope="module")
def s3_of_cluster() -> Iterator[S3Server]:
    yield from serve()


@pytest.fixture(scope="module")
def cluster(s3_of_cluster: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cache = {"MVKT_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}
    with own_cluster(2, environ={**s3_of_cluster.environment, **cache}) as cluster:
        yield cluster


def test_shards_teacher_and_trials_go_through_the_store_alone(
    cluster: Cluster, s3_of_cluster: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    bucket = s3_of_cluster.make_bucket("study")
    folds = FoldsConfig(train=(1, 2, 3, 4, 5, 6), val=(7, 8, 9), test=(10,))
    with OnRay.connect(cluster.address) as runner:
        ingest(
            Synthetic(n_recordings=60, duration_s=4.0, noise=0.2),
            bucket / "shards",
            IngestSettings(sampling_rate_hz=50, rows_per_shard=30),
            map_function=runner.map,
        )
        shards = open_shards(bucket / "shards")
        task = next(iter(shards.tasks.values()))
        splits = open_training_splits(shards, task, folds)
        lengths = ViewConfig(crop_s=2.0, grid_s=0.5, stride_s=1.0)
        view = fit_view(shards, splits.train.rows, shards.leads, lengths)
        job = TeacherJob(
            shards=str(bucket / "shards"),
            task=task,
            folds=folds,
            min_likelihood=0.0,
            view=view,
            config=TeacherConfig(network="sepconv1d_tiny", epochs=1, batch_size=16),
            precision="float32",
        )
        runner.check(ResourcesConfig())
        epochs: list[int] = []
        runner.train_teacher(job, bucket / "teacher", lambda metrics: epochs.append(metrics.epoch))
        assert epochs == [1]
        verify_artifact(bucket / "teacher")
        assert open_teacher(bucket / "teacher", shards=shards, task=task).view == view

        inputs = TrialInputs(
            shards=job.shards,
            task=task,
            folds=folds,
            min_likelihood=0.0,
            view=view,
            student=StudentConfig(epochs=1),
            knowledge=None,
            teacher=str(bucket / "teacher"),
            study_seed=0,
            trials=str(bucket / "trials"),
            precision="float32",
        )
        deal: Any = Deal(student_alone(0, "II"), student_alone(1, "V9"))
        runner.run_trials(deal, inputs, lambda: None)
        astray = replace(inputs, trials="s3://missing/trials")
        with pytest.raises(
            ClusterError, match=r"node .* cannot reach s3://missing.*no such bucket"
        ):
            runner.run_trials(deal, astray, lambda: None)

    states = {number: result.state for number, result in deal.results.items()}
    assert states == {0: TrialState.COMPLETE, 1: TrialState.FAILED}
    complete, failed = (Location(inputs.trials) / f"{number:05d}" for number in (0, 1))
    assert {"result.json", "student.safetensors", "worker.log"} <= set(complete.names())
    assert b"process " in (complete / "worker.log").read_bytes()
    assert b"V9" in (failed / "error.txt").read_bytes()
    assert b"process " in (failed / "worker.log").read_bytes()
    assert bucket.names() == ["shards", "teacher", "trials"]
