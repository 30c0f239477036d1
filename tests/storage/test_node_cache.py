"""The node's cache: fetched once, whole or not at all, never stale, and within its limit."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import filelock
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.shard_file import PARTS_NAME, read_parts
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.errors import ArtifactError, ConfigError, MachineError
from mvkt_ray.storage import node_cache as node_cache_module
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.node_cache import CacheEntry, NodeCache, Piece, node_cache
from tests.object_store import S3Server
from tests.patience import PATIENCE_S

BLOCK = 4096


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(folder: Path, name: str, content: bytes) -> CacheEntry:
    """Any location will do as a store, a local one is the fastest."""
    (folder / name).write_bytes(content)
    return CacheEntry.of_file(Location.parse(folder / name), sha256(content), len(content))


@pytest.fixture
def cache(tmp_path: Path) -> NodeCache:
    return NodeCache(tmp_path / "cache", 100 * BLOCK)


def test_a_file_is_fetched_once(cache: NodeCache, tmp_path: Path) -> None:
    entry = put(tmp_path, "weights", b"w" * 9000)
    assert cache.open(entry, Path.read_bytes) == b"w" * 9000
    (tmp_path / "weights").unlink()
    assert cache.open(entry, Path.read_bytes) == b"w" * 9000


def test_pieces_lie_where_they_lie_in_the_file_and_the_rest_takes_no_disk(
    cache: NodeCache, tmp_path: Path
) -> None:
    content = os.urandom(64 * BLOCK)
    path = tmp_path / "shard"
    path.write_bytes(content)

    def piece(begin: int, end: int) -> Piece:
        return Piece(begin=begin, n_bytes=end - begin, sha256=sha256(content[begin:end]))

    def entry(part: str, pieces: tuple[Piece, ...], beside: CacheEntry | None) -> CacheEntry:
        return CacheEntry(
            location=Location.parse(path),
            sha256=sha256(content),
            size_bytes=len(content),
            part=part,
            pieces=pieces,
            beside=beside,
        )

    ends = entry("columns", (piece(0, BLOCK), piece(63 * BLOCK, 64 * BLOCK)), None)
    lead = entry("II", (piece(8 * BLOCK, 9 * BLOCK),), ends)
    found = cache.open(lead, Path.read_bytes)
    assert len(found) == len(content)
    for begin, end in ((0, 1), (8, 9), (63, 64)):
        assert found[begin * BLOCK : end * BLOCK] == content[begin * BLOCK : end * BLOCK]
    assert not any(found[BLOCK : 8 * BLOCK])
    assert cache.size_bytes() <= 6 * BLOCK


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"x" * 9000),
        lambda path: os.truncate(path, 5000),
        lambda path: path.unlink(),
    ],
)
def test_an_entry_that_was_changed_is_fetched_again(
    cache: NodeCache, tmp_path: Path, damage
) -> None:
    entry = put(tmp_path, "weights", b"w" * 9000)
    cache.open(entry, damage)
    assert cache.open(entry, Path.read_bytes) == b"w" * 9000


def test_what_was_changed_in_the_store_is_refused(cache: NodeCache, tmp_path: Path) -> None:
    entry = put(tmp_path, "weights", b"w" * 9000)
    (tmp_path / "weights").write_bytes(b"v" * 9000)
    with pytest.raises(ArtifactError, match=r"weights was changed after it was published"):
        cache.open(entry, Path.read_bytes)
    (tmp_path / "weights").unlink()
    with pytest.raises(ArtifactError, match="it was removed after"):
        cache.open(entry, Path.read_bytes)
    assert cache.size_bytes() == 0


def test_a_fetch_that_was_killed_leaves_nothing_that_counts(tmp_path: Path) -> None:
    entry = put(tmp_path, "weights", b"w" * 9000)
    script = """
import os, signal, sys
from pathlib import Path
from mvkt_ray.storage import node_cache
from mvkt_ray.storage import node_cache as node_cache_module
from mvkt_ray.storage.location import Location

fsync = os.fsync
os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)
cache = node_cache.NodeCache(Path(sys.argv[1]), 10**6)
cache.open(node_cache.CacheEntry.of_file(Location(sys.argv[2]), sys.argv[3], 9000), Path.read_bytes)
"""
    folder = tmp_path / "cache"
    arguments = [str(folder), str(tmp_path / "weights"), entry.sha256]
    done = subprocess.run([sys.executable, "-c", script, *arguments], check=False)
    assert done.returncode < 0
    assert [path.name for path in folder.iterdir() if path.name.endswith(".aside")]
    assert NodeCache(folder, 10**6).open(entry, Path.read_bytes) == b"w" * 9000
    assert not [path.name for path in folder.iterdir() if path.name.endswith(".aside")]


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(0, 20 * BLOCK), min_size=1, max_size=8),
    order=st.lists(st.integers(0, 7), max_size=30),
)
def test_whatever_is_opened_the_limit_holds_and_the_content_is_right(
    sizes: list[int], order: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        contents = [bytes([number]) * size for number, size in enumerate(sizes)]
        entries = [put(Path(folder), str(n), content) for n, content in enumerate(contents)]
        cache = NodeCache(Path(folder) / "cache", 40 * BLOCK)
        for number in order:
            chosen = number % len(entries)
            assert cache.open(entries[chosen], Path.read_bytes) == contents[chosen]
            # Each file may take a part of a block more than it has bytes.
            assert cache.size_bytes() <= (40 + len(entries)) * BLOCK


def test_what_was_not_used_for_longest_goes_first_and_stays_mapped(
    cache: NodeCache, tmp_path: Path
) -> None:
    a, b, c = (put(tmp_path, name, name.encode() * 40 * BLOCK) for name in "abc")
    mapped = cache.open(a, lambda path: np.memmap(path, np.uint8, "r"))
    cache.open(b, Path.read_bytes)
    cache.open(a, Path.read_bytes)
    cache.open(c, Path.read_bytes)
    kept = {path.name for path in cache.folder.iterdir()}
    assert {a.name, c.name} <= kept
    assert b.name not in kept
    cache.open(b, Path.read_bytes)
    assert a.name not in {path.name for path in cache.folder.iterdir()}
    assert (mapped == ord("a")).all()


def test_a_cache_that_was_removed_is_made_anew(cache: NodeCache, tmp_path: Path) -> None:
    entry = put(tmp_path, "weights", b"w" * 9000)
    cache.open(entry, Path.read_bytes)
    shutil.rmtree(cache.folder)
    assert cache.open(entry, Path.read_bytes) == b"w" * 9000


def test_who_waits_for_another_process_says_so_and_does_not_wait_for_ever(
    cache: NodeCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(node_cache_module, "_SAYS_S", 0.01)
    monkeypatch.setattr(node_cache_module, "_PATIENCE_S", 0.3)
    entry = put(tmp_path, "shard", b"ecg")
    with filelock.FileLock(cache.folder / "locks" / "room"):
        with pytest.raises(MachineError, match=r"another process has held the lock .*room") as told:
            cache.open(entry, Path.read_bytes)
        assert "waiting for another process" in caplog.text
        assert "s more at most" in caplog.text
    assert "\n" not in str(told.value)
    assert cache.open(entry, Path.read_bytes) == b"ecg"


def test_what_the_cache_cannot_hold_is_refused(cache: NodeCache, tmp_path: Path) -> None:
    entry = put(tmp_path, "huge", b"w" * 101 * BLOCK)
    with pytest.raises(MachineError, match="MVKT_CACHE_BYTES"):
        cache.open(entry, Path.read_bytes)


def test_a_disk_that_is_full_is_no_fault_of_what_reads(
    cache: NodeCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No trial that reads its shards through the cache may be ended by it."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    entry = put(tmp_path, "weights", b"w" * 9000)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match=r"No space left on device.*9,000 bytes, .* are free"):
        cache.open(entry, Path.read_bytes)
    monkeypatch.undo()
    assert cache.open(entry, Path.read_bytes) == b"w" * 9000


def test_the_environment_says_where_it_is_and_how_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MVKT_CACHE_DIR", str(tmp_path / "here"))
    monkeypatch.delenv("MVKT_CACHE_BYTES", raising=False)
    assert node_cache().folder == tmp_path / "here"
    assert node_cache().limit_bytes > 0
    monkeypatch.setenv("MVKT_CACHE_BYTES", "50e9")
    assert node_cache().limit_bytes == 50_000_000_000
    for wrong in ("much", "-1", "inf"):
        monkeypatch.setenv("MVKT_CACHE_BYTES", wrong)
        with pytest.raises(ConfigError, match="must be a number of bytes"):
            node_cache()
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("MVKT_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.delenv("MVKT_CACHE_BYTES")
    with pytest.raises(ConfigError, match="MVKT_CACHE_DIR"):
        node_cache()


SIXTEEN = """
import os, sys
from mvkt_ray.data.shards import open_shards

begin, release = os.pipe()
children = []
for _ in range(16):
    child = os.fork()
    if child == 0:
        os.close(release)
        os.read(begin, 1)  # returns when the parent closes its end
        shards = open_shards(sys.argv[1])
        total = sum(int(values.astype("int64").sum()) for values in shards.lead("II").values)
        os._exit(0 if (total, len(shards.patient_ids())) == (int(sys.argv[2]), 40) else 1)
    children.append(child)
os.close(begin)
os.close(release)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts sixteen processes by forking")
def test_sixteen_processes_that_start_at_once_fetch_each_byte_once(
    s3_server: S3Server, tmp_path: Path
) -> None:
    bucket = s3_server.make_bucket("data")
    source = Synthetic(n_recordings=40, duration_s=10.0)
    manifest = ingest(source, str(tmp_path / "disk"), IngestSettings(rows_per_shard=10))
    for name in Location.parse(tmp_path / "disk").file_names():
        (bucket / "shards" / name).upload(tmp_path / "disk" / name)
    values = open_shards(tmp_path / "disk").lead("II").values
    total = sum(int(part.astype(np.int64).sum()) for part in values)
    s3_server.forget_requests()
    done = subprocess.run(
        [sys.executable, "-c", SIXTEEN, str(bucket / "shards"), str(total)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "MVKT_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    parts = read_parts(tmp_path / "disk" / PARTS_NAME)
    wanted = sum(
        shard[name].n_bytes for shard in parts.values() for name in ("columns", "footer", "II")
    )
    assert s3_server.n_bytes_read("shards/recordings/") == wanted
    n_bytes_parts = s3_server.n_bytes_read(f"shards/{PARTS_NAME}")
    assert n_bytes_parts == manifest.files[PARTS_NAME].size_bytes
