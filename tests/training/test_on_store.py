"""Teacher, knowledge and trials in an object store: the same numbers, resumed from anywhere."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mvkt_ray.config.resources import ResourcesConfig
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.shard_columns import shard_name
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.distill.knowledge import open_knowledge
from mvkt_ray.distill.knowledge_parts import ask_teacher, crops_of, parts_of
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.records import Decision, EpochMetrics, TrialResult, TrialState
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.storage.artifacts import verify_artifact
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import read_predictions
from mvkt_ray.training.student import run_trial
from mvkt_ray.training.teacher import open_teacher, train_teacher
from mvkt_ray.training.teaching.asked_teacher import AskedTeacher, answer
from mvkt_ray.training.trial_files import TrialFolder
from tests.object_store import S3Server

if TYPE_CHECKING:
    from conftest import TinyStudy

Report = Callable[[EpochMetrics], Decision]


class KilledError(Exception):
    """Stands for a process that dies."""


@pytest.fixture
def bucket(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    monkeypatch.setenv("MVKT_CACHE_DIR", str(tmp_path / "cache"))
    return s3_server.make_bucket("study")


@pytest.fixture
def ingested_in_three(tmp_path: Path) -> Path:
    source = Synthetic(n_recordings=60, duration_s=4.0)
    settings = IngestSettings(sampling_rate_hz=50, rows_per_shard=20)
    ingest(source, str(tmp_path / "three"), settings)
    return tmp_path / "three"


def copied(folder: Path, runner: Location) -> str:
    """Put an artifact into a store as any tool would."""
    for name in Location.parse(folder).file_names():
        (runner / name).upload(folder / name)
    return str(runner)


def dying_in_epoch(epoch: int, seen: list[EpochMetrics]) -> Report:
    def report(metrics: EpochMetrics) -> Decision:
        seen.append(metrics)
        if metrics.epoch == epoch:
            raise KilledError
        return Decision.CONTINUE

    return report


def test_a_teacher_goes_on_in_a_store_and_is_the_one_of_a_disk(
    tiny_study: "TinyStudy", bucket: Location, s3_server: S3Server
) -> None:
    out, seen = bucket / "teacher", []
    die = dying_in_epoch(2, seen)
    with pytest.raises(KilledError):
        train_teacher(tiny_study.job, out, lambda metrics: (die(metrics), None)[1])
    assert (bucket / "teacher.partial" / ".checkpoint-0.pt").exists()
    train_teacher(tiny_study.job, out, seen.append)
    # One PUT per epoch, and the third epoch is the only one that was trained twice by nobody.
    assert len(s3_server.asked("PUT", "teacher.partial/.checkpoint-0.pt")) == 3
    assert bucket.names() == ["teacher"]
    ours, theirs = (
        open_teacher(runner, shards=tiny_study.shards, task=tiny_study.job.task)
        for runner in (out, str(tiny_study.folder / "teacher"))
    )
    assert ours.macro_auroc == theirs.macro_auroc
    assert ours.fingerprint == theirs.fingerprint
    verify_artifact(out)


def test_a_trial_goes_on_elsewhere_and_its_numbers_are_those_of_a_disk(
    tiny_study: "TinyStudy",
    bucket: Location,
    s3_server: S3Server,
    go_on: Report,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    trial = tiny_study.trial()
    on_disk = run_trial(trial, tiny_study.trials_in(tmp_path_factory.mktemp("disk")), go_on)
    inputs = replace(tiny_study.inputs, trials=str(bucket / "trials"))
    seen: list[EpochMetrics] = []
    with pytest.raises(KilledError):
        run_trial(trial, inputs, dying_in_epoch(2, seen))
    result = run_trial(trial, inputs, go_on)
    assert result.state is TrialState.COMPLETE
    assert result.per_class_auroc == on_disk.per_class_auroc

    puts = [
        request.key for request in s3_server.asked("PUT", "trials/00000/") if request.n_bytes_in
    ]
    checkpoints = [key for key in puts if key.endswith("checkpoint.pt")]
    assert len(checkpoints) == inputs.student.epochs
    assert puts[-1] == "trials/00000/result.json"
    folder = TrialFolder.of(inputs.trials, 0)
    assert folder.location.file_names() == [
        "result.json",
        "student.safetensors",
        "validation.arrow",
    ]
    predictions = read_predictions(folder.validation)
    np.testing.assert_array_equal(predictions.labels_NC, tiny_study.splits.val.labels)
    s3_server.forget_requests()
    assert run_trial(trial, inputs, go_on) == result
    assert s3_server.asked("PUT") == []


def test_a_trial_that_fails_leaves_its_traceback_in_the_store(
    tiny_study: "TinyStudy", bucket: Location
) -> None:
    class Deal:
        config = SimpleNamespace(resources=ResourcesConfig())
        dealt = False

        def ask(self):
            self.dealt, again = True, self.dealt
            return None if again else tiny_study.trial(lead="V9")

        def tell(self, result: TrialResult, used: object) -> None:
            self.result = result

    deal = Deal()
    inputs = replace(tiny_study.inputs, trials=str(bucket / "trials"))
    InProcess().run_trials(deal, inputs, lambda: None)  # pyright: ignore[reportArgumentType]
    assert deal.result.state is TrialState.FAILED
    assert b"V9" in (bucket / "trials" / "00000" / "error.txt").read_bytes()


def test_knowledge_is_built_here_and_published_there(
    tiny_study: "TinyStudy", bucket: Location
) -> None:
    teacher = open_teacher(str(tiny_study.folder / "teacher"))
    manifest = write_knowledge(
        bucket / "knowledge",
        ask=partial(ask_teacher, teacher.network, tiny_study.shards, tiny_study.job.view),
        shards=tiny_study.shards,
        split=tiny_study.splits.train,
        view=tiny_study.job.view,
        teacher_fingerprint=teacher.fingerprint,
        embedding_dim=teacher.network.embedding_dim,
    )
    assert verify_artifact(bucket / "knowledge") == manifest
    local = open_knowledge(str(tiny_study.folder / "knowledge"), shards=tiny_study.shards)
    assert manifest.fingerprint == local.manifest.fingerprint
    assert bucket.names() == ["knowledge"]


def test_who_has_knowledge_written_reads_no_lead_and_who_answers_only_the_shards_that_it_needs(
    bucket: Location, s3_server: S3Server, ingested_in_three: Path, tiny_study: "TinyStudy"
) -> None:
    job = tiny_study.job
    train_teacher(replace(job, shards=str(ingested_in_three)), bucket / "teacher", lambda _: None)
    location = copied(ingested_in_three, bucket / "shards")
    shards = open_shards(location)
    split = open_training_splits(shards, job.task, job.folds).train
    s3_server.forget_requests()
    parts = parts_of(split, crops_of(shards, split, job.view), crops_per_part=20)
    assert s3_server.n_bytes_read("shards/recordings/") == 0, "lengths are in the small columns"
    asked = AskedTeacher(shards=location, teacher=str(bucket / "teacher"), view=job.view)
    assert answer(asked, parts[-1]).n_crops > 0
    sizes = (bucket / "shards").file_sizes()
    touched = {name for name in sizes if s3_server.n_bytes_read(f"shards/{name}")}
    assert {name for name in touched if name.startswith("recordings/")} == {shard_name(2)}


@pytest.mark.parametrize("knowledge", ["cached", "online"])
def test_a_trial_whose_inputs_are_in_a_store_reads_its_lead_and_no_other(
    tiny_study: "TinyStudy",
    bucket: Location,
    s3_server: S3Server,
    go_on: Report,
    tmp_path: Path,
    knowledge: Any,
) -> None:
    student = replace(tiny_study.inputs.student, knowledge=knowledge)
    local = replace(tiny_study.inputs, student=student)
    in_store = replace(
        local,
        shards=copied(tiny_study.folder / "shards", bucket / "shards"),
        knowledge=copied(tiny_study.folder / "knowledge", bucket / "knowledge"),
        teacher=copied(tiny_study.folder / "teacher", bucket / "teacher"),
    )
    trial = tiny_study.trial()
    expected = run_trial(trial, replace(local, trials=str(tmp_path / "disk")), go_on)
    s3_server.forget_requests()
    result = run_trial(trial, replace(in_store, trials=str(bucket / "trials")), go_on)
    assert result.per_class_auroc == expected.per_class_auroc
    total = sum(
        size for name, size in (bucket / "shards").file_sizes().items() if name.endswith(".arrow")
    )
    fetched = s3_server.n_bytes_read("shards/recordings/")
    assert (fetched < total / 2) == (knowledge == "cached")
    s3_server.forget_requests()
    another = tiny_study.trial(number=1, lead="V1")
    run_trial(another, replace(in_store, trials=str(bucket / "trials")), go_on)
    assert s3_server.n_bytes_read("knowledge/crops") == 0
    assert s3_server.n_bytes_read("teacher/teacher.safetensors") == 0
