"""The teacher: published once, taken up when killed, refused where it does not belong."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.loader import Batch, EvalLoader, GridLoader, TrainLoader
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.splits import Split
from mvkt_ray.data.tasks import Task
from mvkt_ray.distill.cross_fitting import groups_of, speakers_of
from mvkt_ray.distill.knowledge import open_knowledge
from mvkt_ray.distill.knowledge_parts import ask_teacher
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.errors import ArtifactError, StaleArtifactError, TrialDivergedError
from mvkt_ray.models.ensemble import Ensemble
from mvkt_ray.records import Decision, EpochMetrics
from mvkt_ray.storage.artifacts import verify_artifact
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.student import run_trial
from mvkt_ray.training.teacher import Teacher, open_teacher, train_teacher
from mvkt_ray.training.teaching.asked_teacher import AskedTeacher, answer
from mvkt_ray.training.teaching.teacher_job import TeacherJob
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


@pytest.fixture(scope="session")
def pair_job(tiny_study: "TinyStudy") -> TeacherJob:
    """What it takes to train two networks as one teacher."""
    return replace(tiny_study.job, config=replace(tiny_study.job.config, members=2, epochs=2))


@pytest.fixture(scope="session")
def pair(pair_job: TeacherJob, tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    """A teacher of two networks, trained without a break."""
    out = str(tmp_path_factory.mktemp("pair") / "teacher")
    heard: list[EpochMetrics] = []
    train_teacher(pair_job, out, listening(heard))
    assert [metrics.epoch for metrics in heard] == [1, 2, 3, 4]
    return open_teacher(out)


def test_the_members_of_an_ensemble_are_the_teachers_that_their_seeds_give_alone(
    pair_job: TeacherJob, pair: Teacher, tmp_path: Path
) -> None:
    assert isinstance(pair.network, Ensemble)
    for number, member in enumerate(pair.network.members):
        config = replace(pair_job.config, members=1, seed=pair_job.config.seed + number)
        out = str(tmp_path / str(number))
        alone = train_teacher(replace(pair_job, config=config), out, listening([]))
        weights = open_teacher(out).network.state_dict()
        for name, weight in member.state_dict().items():
            assert torch.equal(weight, weights[name])
        noted = pair.manifest.details["members"][number]
        assert noted["macro_auroc"] == alone.details["macro_auroc"]
        assert noted["per_class_auroc"] == alone.details["per_class_auroc"]
        assert noted["seed"] == config.seed


def test_the_score_of_an_ensemble_is_that_of_the_mean_of_its_members_logits(
    tiny_study: "TinyStudy", pair: Teacher
) -> None:
    assert isinstance(pair.network, Ensemble)
    val = tiny_study.splits.val
    [batch] = EvalLoader(tiny_study.shards, val, pair.view, batch_size=4096).batches()
    with torch.no_grad():
        logits = [member(batch.signal_BLS)[0].numpy() for member in pair.network.members]
    score_WC = 1 / (1 + np.exp(-np.mean(logits, axis=0)))
    # The highest window of each recording.
    example_W = batch.example_B.numpy()
    score_NC = np.stack([score_WC[example_W == n].max(axis=0) for n in range(len(val.rows))])
    defined = ((val.labels.mean(axis=0) > 0) & (val.labels.mean(axis=0) < 1)).nonzero()[0]
    expected = roc_auc_score(val.labels[:, defined], score_NC[:, defined])
    assert pair.macro_auroc == pytest.approx(expected)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_an_ensemble_that_was_killed_repeats_no_epoch_and_becomes_the_same(
    pair_job: TeacherJob, pair: Teacher, tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(metrics: EpochMetrics) -> None:
        if metrics.epoch == after:
            raise KilledError

    out = str(tmp_path / "teacher")
    with pytest.raises(KilledError):
        train_teacher(pair_job, out, die)
    trained: list[int] = []
    epoch = TrainLoader.epoch

    def counted(loader: TrainLoader, number: int) -> Iterator[Batch]:
        trained.append(number)
        return epoch(loader, number)

    monkeypatch.setattr(TrainLoader, "epoch", counted)
    heard: list[EpochMetrics] = []
    train_teacher(pair_job, out, listening(heard))
    assert trained == [1, 2, 1, 2][after:]
    assert [metrics.epoch for metrics in heard] == [1, 2, 3, 4]
    again = open_teacher(out)
    assert again.fingerprint == pair.fingerprint
    assert again.manifest.details["members"] == pair.manifest.details["members"]
    files = sorted(path.name for path in (tmp_path / "teacher").iterdir())
    assert files == ["manifest.json", "teacher.safetensors"]


def test_students_hear_of_an_ensemble_the_same_from_its_knowledge_and_in_the_loop(
    tiny_study: "TinyStudy", pair: Teacher, tmp_path: Path
) -> None:
    [one] = {member.embedding_dim for member in pair.network.members}  # type: ignore[union-attr]
    assert pair.network.embedding_dim == pair.manifest.details["embedding_dim"] == 2 * one
    location = tmp_path / "teacher"
    config = replace(tiny_study.job.config, members=2, epochs=2)
    train_teacher(replace(tiny_study.job, config=config), str(location), listening([]))
    write_knowledge(
        str(tmp_path / "knowledge"),
        ask=partial(ask_teacher, pair.network, tiny_study.shards, pair.view),
        shards=tiny_study.shards,
        split=tiny_study.splits.train,
        view=pair.view,
        teacher_fingerprint=pair.fingerprint,
        embedding_dim=pair.network.embedding_dim,
    )
    curves: dict[str, list[EpochMetrics]] = {"cached": [], "online": []}
    for name, curve in curves.items():
        inputs = tiny_study.trials_in(
            tmp_path / name,
            student=StudentConfig(epochs=2, knowledge=name),  # type: ignore[arg-type]
            teacher=str(location),
            knowledge=str(tmp_path / "knowledge"),
        )

        def report(metrics: EpochMetrics, curve: list[EpochMetrics] = curve) -> Decision:
            curve.append(metrics)
            return Decision.CONTINUE

        run_trial(tiny_study.trial(clt_weight=0.5, label_embedding_weight=0.1), inputs, report)
    for cached, online in zip(*curves.values(), strict=True):
        assert cached.losses["clt"] > 0
        assert cached.losses == pytest.approx(dict(online.losses), rel=2e-3)


@pytest.fixture(scope="session")
def crossed_job(tiny_study: "TinyStudy") -> TeacherJob:
    """What it takes to train a teacher with three networks that miss patients."""
    return replace(tiny_study.job, config=replace(tiny_study.job.config, epochs=1, cross_fitting=3))


def test_a_cross_fitted_teacher_is_the_same_teacher_and_has_networks_that_miss_patients(
    tiny_study: "TinyStudy",
    crossed_job: TeacherJob,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Split] = []
    begin = TrainLoader.__init__

    def noted(loader: TrainLoader, shards: Shards, split: Split, *rest: Any, **more: Any) -> None:
        seen.append(split)
        begin(loader, shards, split, *rest, **more)

    monkeypatch.setattr(TrainLoader, "__init__", noted)
    out, heard = tmp_path / "teacher", list[EpochMetrics]()
    manifest = train_teacher(crossed_job, str(out), listening(heard))
    assert [metrics.epoch for metrics in heard] == [1, 2, 3, 4]
    train = tiny_study.splits.train
    everyone, *others = [set(split.record_ids) for split in seen]
    assert everyone == set(train.record_ids)
    group_N = groups_of(train, 3, 0)
    for group, known in enumerate(others):
        assert known == set(train.record_ids[group_N != group])

    plain = replace(crossed_job, config=replace(crossed_job.config, cross_fitting=0))
    train_teacher(plain, str(tmp_path / "plain"), listening([]))
    crossed, alone = (open_teacher(str(at)) for at in (out, tmp_path / "plain"))
    for name, weight in crossed.network.state_dict().items():
        assert torch.equal(weight, alone.network.state_dict()[name])
    assert crossed.macro_auroc == alone.macro_auroc
    assert len(crossed.cross_fitted) == len(manifest.details["cross_fitted"]) == 3
    assert alone.cross_fitted == ()
    files = sorted(path.name for path in out.iterdir())
    assert files == ["cross_fitted.safetensors", "manifest.json", "teacher.safetensors"]


def test_what_is_said_of_a_recording_is_said_by_a_network_that_has_not_seen_its_patient(
    tiny_study: "TinyStudy", crossed_job: TeacherJob, tmp_path: Path
) -> None:
    train_teacher(crossed_job, str(tmp_path / "teacher"), listening([]))
    teacher = open_teacher(str(tmp_path / "teacher"))
    split, view = tiny_study.splits.train, crossed_job.view
    asked = AskedTeacher(shards=crossed_job.shards, teacher=str(tmp_path / "teacher"), view=view)
    speaker_N = speakers_of(split, 3, 0)
    write_knowledge(
        str(tmp_path / "knowledge"),
        ask=partial(answer, asked),
        shards=tiny_study.shards,
        split=split,
        view=view,
        teacher_fingerprint=teacher.fingerprint,
        embedding_dim=teacher.network.embedding_dim,
        speaker_N=speaker_N,
        crops_per_part=70,
    )
    found = open_knowledge(str(tmp_path / "knowledge"), shards=tiny_study.shards)
    first = 0
    for batch in GridLoader(tiny_study.shards, split.rows, view, batch_size=64).batches():
        with torch.no_grad():
            _, embedding_BD = teacher.network(batch.signal_BLS)
            said = torch.stack([network(batch.signal_BLS)[0] for network in teacher.cross_fitted])
        speaker_B = torch.from_numpy(speaker_N[batch.example_B.numpy()])
        logits_BC = said[speaker_B, torch.arange(len(speaker_B))]
        rows = slice(first, first + len(speaker_B))
        np.testing.assert_allclose(found.logits_RC[rows], logits_BC, rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(found.embedding_RD[rows], embedding_BD, rtol=2e-3, atol=2e-3)
        first += len(speaker_B)
    assert first == len(found.logits_RC)
