"""Locks of output locations: one process of a file system writes an output at a time."""

import contextlib
import fcntl
from collections.abc import Generator
from pathlib import Path

import filelock

from mvkt_ray.errors import ArtifactError
from mvkt_ray.file_guards import writing
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import MANIFEST_NAME
from mvkt_ray.storage.object_store import check_writable

_PATIENCE_S = 0.2
"""Time for which `holding` retries: `is_held` takes the lock for an instant, too."""


@contextlib.contextmanager
def holding(location: Location) -> Generator[None]:
    """Keep other processes of this file system from writing the same output at the same time.

    An object store has no locks, and needs none here. Two writers of one output each upload whole
    files, then a manifest with the recipe and a hash per file, and `publish` keeps the manifest
    that is there. Shards of one recipe are the same bytes from every writer. Weights trained on
    GPUs may differ: a file of one writer under the manifest of the other fails its hash.

    Raises:
        ArtifactError: Another process holds the lock, or the folder cannot be written.
        StoreError: The store refuses writes.
    """
    if not location.is_local:
        if not (location / MANIFEST_NAME).exists():
            check_writable(location.uri)
        yield
        return
    path = location.local_path
    lock = filelock.FileLock(_lock_path(path))
    with writing(location, "Give an output folder where you may write."):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=_PATIENCE_S, poll_interval=0.05)
        except filelock.Timeout:
            raise ArtifactError(
                f"{location} is in use: another process writes it now. Wait until it ends, or give "
                "another output folder."
            ) from None
    try:
        yield
    finally:
        lock.release()


def is_held(location: Location) -> bool:
    """Return whether a process on this file system holds the lock of a local output.

    Writes nothing, so that it works in a read-only folder; False where the lock cannot be opened.
    """
    lock = _lock_path(location.local_path)
    try:
        with lock.open("rb") as file:
            # Shared, and released at once: `holding` retries for longer than that.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")
