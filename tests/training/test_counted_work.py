"""What a trial costs, counted: forward passes of the teacher, files opened, requests, bytes."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.shard_columns import shard_name
from mvkt_ray.data.shard_file import PARTS_NAME, ShardFile, read_parts
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.models.network import Network
from mvkt_ray.records import Decision, EpochMetrics
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import MANIFEST_NAME
from mvkt_ray.training.student import run_trial
from mvkt_ray.training.students.trial_inputs import TrialInputs
from tests.object_store import S3Server
from tests.opened_files import counts_opens, opened_files

if TYPE_CHECKING:
    from conftest import TinyStudy

Report = Callable[[EpochMetrics], Decision]
N_SHARDS = 3
PARTS_OF_A_TRIAL = ("columns", "footer", "II")
TO_OPEN = 6
"""Requests that open shards: is there a manifest, and it; what lies beside it; and the parts."""
PER_PART = 2
"""Requests for a part of a shard: Arrow asks for the size of a file before it reads of it."""


@contextmanager
def signals_seen() -> Generator[Counter[int]]:
    """Give a counter of the signals that went through a network, by the leads that they have."""
    seen: Counter[int] = Counter()

    def count(module: nn.Module, inputs: tuple[Tensor, ...], _output: Any) -> None:
        if isinstance(module, Network):
            n_signals, n_leads, _ = inputs[0].shape
            seen[n_leads] += n_signals

    hook = register_module_forward_hook(count)
    try:
        yield seen
    finally:
        hook.remove()


@pytest.mark.parametrize("knowledge", ["cached", "record", "online"])
def test_the_teacher_is_asked_in_a_trial_only_where_its_knowledge_is_not_kept(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path, knowledge: Any
) -> None:
    student = replace(tiny_study.inputs.student, knowledge=knowledge)
    trial, epochs = tiny_study.trial(kd_weight=1.0), student.epochs
    with signals_seen() as seen:
        run_trial(trial, tiny_study.trials_in(tmp_path, student=student), go_on)
    batch_size = int(str(trial.hyperparameters["batch_size"]))
    n_taught = epochs * (len(tiny_study.splits.train) // batch_size) * batch_size
    view, val = tiny_study.job.view, tiny_study.splits.val
    n_windows = int(view.n_windows(tiny_study.shards.n_samples()[val.rows]).sum())
    assert seen.pop(1) == n_taught + epochs * n_windows
    assert seen == ({len(LEADS): n_taught} if knowledge == "online" else {})


@pytest.fixture(scope="module")
def smaller_and_larger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders with shards of as many files, one with twice the recordings of the other."""
    folder = tmp_path_factory.mktemp("shards")
    for name, rows in (("smaller", 30), ("larger", 60)):
        source = Synthetic(n_recordings=N_SHARDS * rows, duration_s=4.0)
        settings = IngestSettings(sampling_rate_hz=50, rows_per_shard=rows)
        ingest(source, str(folder / name), settings)
    return folder / "smaller", folder / "larger"


def alone(tiny_study: "TinyStudy", shards: str, trials: Path, *, epochs: int = 1) -> TrialInputs:
    """Inputs of students that have no teacher."""
    student = replace(tiny_study.inputs.student, epochs=epochs)
    return replace(
        tiny_study.inputs,
        shards=shards,
        student=student,
        knowledge=None,
        teacher=None,
        trials=str(trials),
    )


@counts_opens
def test_opening_shards_opens_their_manifest_and_no_recording(
    smaller_and_larger: tuple[Path, Path],
) -> None:
    for folder in smaller_and_larger:
        with opened_files(folder) as opened:
            open_shards(str(folder))
        assert opened == {MANIFEST_NAME: 1}


@counts_opens
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_trial_opens_each_shard_twice_however_many_recordings_and_epochs(
    tiny_study: "TinyStudy",
    smaller_and_larger: tuple[Path, Path],
    go_on: Report,
    tmp_path: Path,
    epochs: int,
) -> None:
    trial = tiny_study.trial(kd_weight=0.0, clt_weight=0.0)
    for folder in smaller_and_larger:
        inputs = alone(tiny_study, str(folder), tmp_path / folder.name, epochs=epochs)
        with opened_files(folder) as opened:
            run_trial(trial, inputs, go_on)
        # For the splits, and then for good for the lead.
        assert opened == {MANIFEST_NAME: 1, **{shard_name(n): 2 for n in range(N_SHARDS)}}


@counts_opens
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_trial_opens_each_file_of_the_knowledge_once_and_of_the_teacher_its_manifest(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path, epochs: int
) -> None:
    student = replace(tiny_study.inputs.student, epochs=epochs)
    with (
        opened_files(tiny_study.folder / "knowledge") as of_knowledge,
        opened_files(tiny_study.folder / "teacher") as of_teacher,
    ):
        run_trial(tiny_study.trial(), tiny_study.trials_in(tmp_path, student=student), go_on)
    assert of_knowledge == {MANIFEST_NAME: 1, "crops.arrow": 1, "recordings.arrow": 1}
    assert of_teacher == {MANIFEST_NAME: 1}


def test_a_trial_asks_shards_for_the_lead_that_it_sees_and_no_other(
    tiny_study: "TinyStudy", go_on: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    read = ShardFile.column

    def counted(file: ShardFile, name: str) -> Any:
        asked[name] += 1
        return read(file, name)

    monkeypatch.setattr(ShardFile, "column", counted)
    run_trial(tiny_study.trial(lead="V3"), tiny_study.trials_in(tmp_path), go_on)
    n_shards = len(read_parts(tiny_study.folder / "shards" / PARTS_NAME))
    # Once for the batches of both splits, however many they are.
    assert {name: asked[name] for name in asked.keys() & set(LEADS)} == {"V3": n_shards}


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_trial_fetches_the_bytes_of_its_lead_once_however_many_epochs_it_has(
    tiny_study: "TinyStudy",
    smaller_and_larger: tuple[Path, Path],
    s3_server: S3Server,
    go_on: Report,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epochs: int,
) -> None:
    bucket = s3_server.make_bucket("study")
    trial = tiny_study.trial(kd_weight=0.0, clt_weight=0.0)
    requests: list[Counter[str]] = []
    for folder in smaller_and_larger:
        monkeypatch.setenv("MVKT_CACHE_DIR", str(tmp_path / "cache" / folder.name))
        shards = stored(folder, bucket)
        s3_server.forget_requests()
        inputs = alone(tiny_study, str(shards), tmp_path / folder.name, epochs=epochs)
        run_trial(trial, inputs, go_on)
        parts = read_parts(folder / PARTS_NAME).values()
        assert s3_server.n_bytes_read(f"{folder.name}/recordings/") == sum(
            shard[name].n_bytes for shard in parts for name in PARTS_OF_A_TRIAL
        )
        requests.append(Counter(each.method for each in s3_server.requests))
    assert requests[0] == requests[1], "they grow with the recordings"
    n_parts = len(PARTS_OF_A_TRIAL) * N_SHARDS
    assert requests[0].total() <= TO_OPEN + PER_PART * n_parts, requests


def test_opening_shards_in_a_store_takes_as_many_requests_for_any_number_of_recordings(
    tiny_study: "TinyStudy",
    smaller_and_larger: tuple[Path, Path],
    s3_server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket, job = s3_server.make_bucket("study"), tiny_study.job
    for folder in smaller_and_larger:
        monkeypatch.setenv("MVKT_CACHE_DIR", str(tmp_path / folder.name))
        location = stored(folder, bucket)
        s3_server.forget_requests()
        shards = open_shards(str(location))
        assert len(s3_server.requests) <= TO_OPEN, s3_server.requests
        s3_server.forget_requests()
        open_training_splits(shards, job.task, job.folds)
        assert len(s3_server.requests) <= PER_PART * 2 * N_SHARDS, "columns and footer"


def stored(folder: Path, bucket: Location) -> Location:
    """Put a folder into a store as any tool would."""
    for name in Location.parse(folder).file_names():
        (bucket / folder.name / name).upload(folder / name)
    return bucket / folder.name
