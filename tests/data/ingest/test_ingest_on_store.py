"""Ingest to an object store: the bytes of a disk, whatever is killed, with nothing else shared."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.shard_file import PARTS_NAME, measure_parts, read_parts
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources import open_source
from mvkt_ray.errors import ArtifactError, StoreError
from mvkt_ray.storage.artifacts import partial_location, read_manifest, verify_artifact
from mvkt_ray.storage.location import Location
from tests.object_store import S3Server
from tests.patience import PATIENCE_S

T = TypeVar("T")
R = TypeVar("R")
Make = Callable[..., Any]
SMALL_SHARDS = IngestSettings(rows_per_shard=7)


def synthetic(n_recordings: int = 30) -> Any:
    return open_source("synthetic", "", {"n_recordings": n_recordings, "duration_s": 10.0})


def hashes(location: Path | Location) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in read_manifest(location).files.items()}


@pytest.fixture
def bucket(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    monkeypatch.setenv("MVKT_CACHE_DIR", str(tmp_path / "cache"))
    return s3_server.make_bucket("data")


def test_shards_in_a_store_are_those_of_a_disk(
    tmp_path: Path, bucket: Location, s3_server: S3Server
) -> None:
    out = bucket / "deep" / "shards"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as another:
        ingest(synthetic(), out, SMALL_SHARDS, map_function=another.map)
    ingest(synthetic(), str(tmp_path / "disk"), SMALL_SHARDS)
    assert hashes(out) == hashes(tmp_path / "disk")
    assert verify_artifact(out) == read_manifest(out, "shards")
    assert partial_location(out).names() == []
    keys = [request.key for request in s3_server.asked("PUT", "deep/shards/")]
    assert keys[-1] == "deep/shards/manifest.json"

    ours, theirs = open_shards(out), open_shards(tmp_path / "disk")
    assert ours.fingerprint == theirs.fingerprint
    np.testing.assert_array_equal(ours.record_ids(), theirs.record_ids())
    task = next(iter(ours.tasks.values()))
    np.testing.assert_array_equal(ours.labels(task), theirs.labels(task))
    for lead in ("II", "V6"):
        assert len(ours.lead(lead).values) == len(ours.row_starts) - 1
        for mine, other in zip(ours.lead(lead).values, theirs.lead(lead).values, strict=True):
            np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(ours.recording(9).signal_mv, theirs.recording(9).signal_mv)
    assert ours.quarantine() == theirs.quarantine()


def test_one_lead_is_a_twelfth_of_the_bytes_and_is_fetched_once(
    bucket: Location, s3_server: S3Server
) -> None:
    settings = IngestSettings(rows_per_shard=30)
    manifest = ingest(synthetic(60), bucket / "shards", settings)
    total = sum(
        entry.size_bytes for name, entry in manifest.files.items() if name.endswith(".arrow")
    )
    s3_server.forget_requests()
    open_shards(bucket / "shards").lead("II")
    shards = open_shards(bucket / "shards")
    shards.patient_ids()
    shards.lead("II")
    fetched = s3_server.n_bytes_read("shards/recordings/")
    assert 0.9 / 12 < fetched / total < 1.3 / 12
    first_lead = fetched
    shards.lead("V1")
    assert s3_server.n_bytes_read("shards/recordings/") - first_lead < 1.02 / 12 * total
    whole = sum(request.n_bytes_out for request in s3_server.asked("GET", "shards/parts"))
    assert whole == manifest.files[PARTS_NAME].size_bytes


def test_the_parts_of_a_shard_are_all_of_it(tmp_path: Path) -> None:
    ingest(synthetic(), str(tmp_path / "s"), SMALL_SHARDS)
    listed = read_parts(tmp_path / "s" / PARTS_NAME)
    shards = sorted((tmp_path / "s" / "recordings").iterdir())
    assert sorted(listed) == [f"recordings/{path.name}" for path in shards]
    for path in shards:
        parts = listed[f"recordings/{path.name}"]
        assert parts == measure_parts(path, read_manifest(tmp_path / "s").details["leads"])
        ends = [piece.begin + piece.n_bytes for piece in parts.values()]
        assert [piece.begin for piece in parts.values()] == [0, *ends[:-1]]
        assert ends[-1] == path.stat().st_size


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_shards_of_any_content_are_read_from_a_store(
    bucket: Location, list_source: Make, make_recording: Make, compression: Any
) -> None:
    """A shard without a usable recording, recordings that lack a lead, compression."""
    flat = [make_recording(number, signal_mv=np.zeros((12, 40))) for number in range(7)]
    short = [make_recording(number, n_leads=2) for number in range(7, 10)]
    good = [make_recording(number) for number in range(10, 18)]
    settings = IngestSettings(rows_per_shard=7, missing_leads="keep", compression=compression)
    source = list_source([*flat, *short, *good], has_folds=False)
    ingest(source, bucket / "shards", settings)
    shards = open_shards(bucket / "shards")
    assert shards.n_recordings == 11
    assert set(shards.folds()) <= set(range(1, 11))
    assert shards.has_all_leads().tolist() == [False] * 3 + [True] * 8
    for row, expected in enumerate([*short, *good]):
        found = shards.recording(row)
        assert found.leads == expected.leads
        np.testing.assert_allclose(found.signal_mv, expected.signal_mv, atol=1e-6)


@pytest.mark.parametrize("has_folds", [True, False])
def test_resume_keeps_what_is_built_and_removes_what_is_not_wanted(
    bucket: Location,
    s3_server: S3Server,
    list_source: Make,
    make_recording: Make,
    has_folds: bool,
) -> None:
    def source(n_recordings: int) -> Any:
        recordings = [make_recording(number) for number in range(n_recordings)]
        return list_source(recordings, has_folds=has_folds)

    def interrupted_map(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        yield function(items[0])
        yield function(items[1])
        raise KeyboardInterrupt

    out = bucket / "shards"
    with pytest.raises(KeyboardInterrupt):
        ingest(source(20), out, SMALL_SHARDS, map_function=interrupted_map)
    with pytest.raises(ArtifactError, match="--resume"):
        ingest(source(20), out, SMALL_SHARDS)
    s3_server.forget_requests()
    ingest(source(20), out, SMALL_SHARDS, resume=True)
    built = "shards" if has_folds else "shards.partial"
    assert len(s3_server.asked("PUT", f"{built}/recordings/shard-00000")) == 0
    assert len(s3_server.asked("PUT", f"{built}/recordings/shard-00002")) == 1
    verify_artifact(out)

    with pytest.raises(KeyboardInterrupt):
        ingest(source(20), bucket / "more", SMALL_SHARDS, map_function=interrupted_map)
    ingest(source(7), bucket / "more", SMALL_SHARDS, resume=True)
    assert (bucket / "more" / "recordings").names() == ["shard-00000.arrow"]
    verify_artifact(bucket / "more")


def test_a_store_that_refuses_is_named_before_anything_is_read(s3_server: S3Server) -> None:
    with pytest.raises(StoreError, match="access is denied"):
        ingest(synthetic(), s3_server.make_bucket("public", read_only=True) / "shards")
    with pytest.raises(StoreError, match=r"^s3://missing/shards: there is no such bucket"):
        ingest(synthetic(), "s3://missing/shards")


def test_finished_shards_in_a_bucket_that_may_only_be_read_are_used(
    bucket: Location, s3_server: S3Server
) -> None:
    made = ingest(synthetic(), bucket / "shards", SMALL_SHARDS)
    s3_server.read_only.add("data")
    again = ingest(synthetic(), bucket / "shards", SMALL_SHARDS)
    assert again.fingerprint == made.fingerprint


KILLED_AT_EACH_PUT = """
import os, signal, sys
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.storage.location import Location

class Foldless(Synthetic):
    has_folds = False

source = Foldless(n_recordings=20, duration_s=1.0)
settings = IngestSettings(rows_per_shard=10)
if len(sys.argv) > 2:
    ingest(source, sys.argv[2], settings)

def run(n_puts):
    count = 0
    def counted(put):
        def wrapped(self, *arguments):
            nonlocal count
            count += not self.is_local
            if count > n_puts:
                os.kill(os.getpid(), signal.SIGKILL)
            put(self, *arguments)
        return wrapped
    Location.write_bytes = counted(Location.write_bytes)
    Location.upload = counted(Location.upload)
    ingest(source, sys.argv[1], settings, resume=True)

n_kills = 0
while True:
    child = os.fork()
    if child == 0:
        run(n_puts=n_kills)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        print(n_kills)
        sys.exit(os.WEXITSTATUS(status))
    assert os.WTERMSIG(status) == signal.SIGKILL
    n_kills += 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills children that it forks")
def test_an_ingest_killed_before_each_of_its_puts_ends_with_the_same_bytes(
    bucket: Location, tmp_path: Path
) -> None:
    """Attempt n is killed with SIGKILL at its n-th PUT; folds are made, so shards change once."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_PUT, str(bucket / "killed"), str(tmp_path / "calm")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 7
    assert hashes(bucket / "killed") == hashes(tmp_path / "calm")
    verify_artifact(bucket / "killed")
    assert partial_location(bucket / "killed").names() == []
