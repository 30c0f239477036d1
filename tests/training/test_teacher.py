"""The teacher: published once, taken up when killed, refused where it does not belong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from sklearn.metrics import roc_auc_score

from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.loader import EvalLoader
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import ArtifactError, StaleArtifactError, TrialDivergedError
from mvkt_ray.records import EpochMetrics
from mvkt_ray.storage.artifacts import verify_artifact
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.teacher import open_teacher, train_teacher
from mvkt_ray.training.validation import predict

if TYPE_CHECKING:
    from conftest import TinyStudy


class KilledError(Exception):
    """Stands for a process that dies."""


def listening(to: list[EpochMetrics]) -> Callable[[EpochMetrics], None]:
    return to.append


def test_a_published_teacher_predicts_what_its_manifest_says(tiny_study: "TinyStudy") -> None:
    teacher = open_teacher(
        str(tiny_study.folder / "teacher"), shards=tiny_study.shards, task=tiny_study.job.task
    )
    assert teacher.view == tiny_study.job.view
    assert not teacher.network.training
    val = tiny_study.splits.val
    windows = EvalLoader(tiny_study.shards, val, teacher.view, batch_size=512)
    found = predict(
        teacher.network,
        windows,
        val.labels,
        device=torch.device("cpu"),
        bf16=False,
        ranks=Ranks(),
    )
    defined = ((val.labels.mean(axis=0) > 0) & (val.labels.mean(axis=0) < 1)).nonzero()[0]
    score = roc_auc_score(val.labels[:, defined], found.probabilities_NC[:, defined])
    assert teacher.macro_auroc == pytest.approx(score)
    assert found.per_class_auroc(val.classes) == teacher.manifest.details["per_class_auroc"]


def test_the_manifest_tells_of_every_epoch_and_of_no_checkpoint(tiny_study: "TinyStudy") -> None:
    manifest = verify_artifact(str(tiny_study.folder / "teacher"))
    assert [epoch["epoch"] for epoch in manifest.details["epochs"]] == [1, 2, 3]
    assert manifest.inputs == {"shards": tiny_study.shards.fingerprint}
    assert list(manifest.files) == ["teacher.safetensors"]
    files = sorted(path.name for path in (tiny_study.folder / "teacher").iterdir())
    assert files == ["manifest.json", "teacher.safetensors"]


def test_the_same_teacher_is_not_trained_twice(tiny_study: "TinyStudy") -> None:
    heard: list[EpochMetrics] = []
    out = str(tiny_study.folder / "teacher")
    manifest = train_teacher(tiny_study.job, out, listening(heard))
    assert heard == []
    assert manifest == open_teacher(out).manifest


def test_another_teacher_does_not_replace_it(tiny_study: "TinyStudy") -> None:
    job = replace(tiny_study.job, config=replace(tiny_study.job.config, seed=1))
    with pytest.raises(ArtifactError, match="another configuration"):
        train_teacher(job, str(tiny_study.folder / "teacher"), listening([]))


def test_a_killed_training_is_taken_up_and_gives_the_same_teacher(
    tiny_study: "TinyStudy", tmp_path: Path
) -> None:
    def die(metrics: EpochMetrics) -> None:
        if metrics.epoch == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train_teacher(tiny_study.job, str(tmp_path / "teacher"), die)
    assert not (tmp_path / "teacher").exists()
    heard: list[EpochMetrics] = []
    train_teacher(tiny_study.job, str(tmp_path / "teacher"), listening(heard))
    assert [metrics.epoch for metrics in heard] == [1, 2, 3]
    assert not (tmp_path / "teacher.partial").exists()
    weights = [
        (folder / "teacher" / "teacher.safetensors").read_bytes()
        for folder in (tmp_path, tiny_study.folder)
    ]
    assert weights[0] == weights[1]


def test_a_teacher_that_diverges_says_what_to_change(
    tiny_study: "TinyStudy", tmp_path: Path
) -> None:
    config = replace(tiny_study.job.config, learning_rate=1e30, schedule="constant")
    with pytest.raises(TrialDivergedError, match=r"teacher\.learning_rate"):
        train_teacher(
            replace(tiny_study.job, config=config), str(tmp_path / "teacher"), listening([])
        )


def test_a_teacher_from_other_data_is_refused_with_both_fingerprints(
    tiny_study: "TinyStudy", tmp_path: Path
) -> None:
    ingest(
        Synthetic(n_recordings=30, duration_s=3.0, seed=1),
        str(tmp_path / "shards"),
        IngestSettings(sampling_rate_hz=50),
    )
    other = open_shards(str(tmp_path / "shards"))
    with pytest.raises(StaleArtifactError) as caught:
        open_teacher(str(tiny_study.folder / "teacher"), shards=other)
    assert other.fingerprint[:12] in str(caught.value)
    assert tiny_study.shards.fingerprint[:12] in str(caught.value)


def test_a_teacher_of_other_classes_is_refused(tiny_study: "TinyStudy") -> None:
    task = Task.of_classes("other", {"SICK": ["AF"], "WELL": ["NORM"]})
    with pytest.raises(StaleArtifactError, match="SICK, WELL"):
        open_teacher(str(tiny_study.folder / "teacher"), task=task)


def test_an_unfinished_teacher_cannot_be_opened(tiny_study: "TinyStudy", tmp_path: Path) -> None:
    def die(_metrics: EpochMetrics) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        train_teacher(tiny_study.job, str(tmp_path / "teacher"), die)
    with pytest.raises(ArtifactError, match="unfinished"):
        open_teacher(str(tmp_path / "teacher"))
