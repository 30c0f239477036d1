"""A node's cache of files in object stores, shared by its processes, verified and bounded.

An entry is a sparse file of the same length and layout as the file in the store: it has only the
requested pieces; the rest are holes, which take no disk space. So an Arrow file can be mapped as it
is, although the student of a single lead has fetched that lead only.

- *Fetched once*: there is a lock per entry; a second process waits, and finds the entry.
- *All or nothing*: pieces are written aside and hashed, and the file is renamed when all pieces
  have the hashes of the manifest. A killed fetch leaves nothing that looks finished.
- *Unchanged*: a finished entry has one fixed time of modification. A later write changes that time,
  and the entry is fetched again.
- *Bounded*: `MVKT_CACHE_BYTES`, by default half of the free disk space. The least recently opened
  entries are removed first, even mapped ones: their pages stay until the last process that maps
  them ends.

The cache is in `MVKT_CACHE_DIR`, by default `mvkt-cache-UID` in the folder for temporary files, and
may be removed at any time. An entry's name has the hash of its content, so it cannot become stale.
"""

import contextlib
import functools
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import filelock

from mvkt_ray.errors import ArtifactError, ConfigError, MachineError
from mvkt_ray.machine_faults import GOES_ON
from mvkt_ray.storage.location import Location

Opened = TypeVar("Opened")
_LOG = logging.getLogger(__name__)

FOLDER_VARIABLE = "MVKT_CACHE_DIR"
LIMIT_VARIABLE = "MVKT_CACHE_BYTES"

_FETCHED_NS = 1_000_000_000 * 10**9
"""Time of modification of all finished entries, in 2001: no write sets it by chance."""
_SAYS_S, _PATIENCE_S = 30.0, 3600.0
"""Interval of warnings, and limit, of a wait for another process's fetch. The lock of a process
that has ended is free at once."""
_N_LOCKS = 256
_N_AT_ONCE = 8
_ATTEMPTS = 3
_SHARE_KEPT = 0.9
"""Share of the limit that a removal of entries leaves, so that not every fetch removes some."""
_ABANDONED_S = 3600.0
"""An unfinished file without writes for this time belongs to a killed process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A range of bytes of a file."""

    begin: int
    n_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheEntry:
    """A cache entry: some pieces of a file in a store."""

    location: Location
    sha256: str
    """Hash of the whole file: names the entry, and is verified if one piece is the whole file."""
    size_bytes: int
    part: str = "all"
    """Name of the pieces among those of the file."""
    pieces: tuple[Piece, ...]
    beside: "CacheEntry | None" = None
    """Another entry of the same file, whose pieces are copied into this one locally."""

    @classmethod
    def of_file(cls, location: Location, sha256: str, size_bytes: int) -> "CacheEntry":
        """Return the entry with all of a file."""
        whole = Piece(begin=0, n_bytes=size_bytes, sha256=sha256)
        return cls(location=location, sha256=sha256, size_bytes=size_bytes, pieces=(whole,))

    @property
    def name(self) -> str:
        """Name of the entry's file in the cache."""
        return f"{self.sha256}.{self.part}"

    @property
    def n_bytes(self) -> int:
        """Bytes on disk."""
        own = sum(piece.n_bytes for piece in self.pieces)
        return own + (self.beside.n_bytes if self.beside else 0)


class NodeCache:
    """A cache folder of this node, shared by all processes of one user."""

    def __init__(self, folder: Path, limit_bytes: int | None = None) -> None:
        """Create the folder if need be.

        Args:
            folder: Folder on this node's own disk.
            limit_bytes: Limit for all entries; None: half of the space that is free or theirs.

        Raises:
            ConfigError: The folder cannot be created, or belongs to another user.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / "locks").mkdir(exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the cache {folder} cannot be created ({error.strerror}). Set {FOLDER_VARIABLE} "
                "to a folder on this node's own disk that you may write to."
            ) from None
        if folder.stat().st_uid != os.getuid():
            raise ConfigError(
                f"the cache {folder} belongs to another user. Set {FOLDER_VARIABLE} to a folder of "
                "your own."
            )
        self.folder = folder
        if limit_bytes is None:
            limit_bytes = (shutil.disk_usage(folder).free + self._scan()[0]) // 2
        self.limit_bytes = limit_bytes

    def open(self, entry: CacheEntry, read: Callable[[Path], Opened]) -> Opened:
        """Return `read`'s result for the path of the entry's file, which is fetched if need be.

        Raises:
            ArtifactError: The file in the store is missing, or was changed after it was published.
            MachineError: The entry exceeds the cache's limit, or the cache cannot be written.
            StoreError: The store cannot be read.
        """
        return _once_more(lambda: read(self._find_or_fetch(entry)))

    def provide(self, entries: Sequence[CacheEntry]) -> None:
        """Fetch all missing entries, several at once.

        Raises:
            ArtifactError, MachineError, StoreError: As `open`.
        """

        def provide(entry: CacheEntry) -> None:
            _once_more(lambda: self._find_or_fetch(entry))

        with ThreadPoolExecutor(max_workers=_N_AT_ONCE) as pool:
            list(pool.map(provide, entries))

    def size_bytes(self) -> int:
        """Return the bytes of all entries on disk."""
        return self._scan()[0]

    def _find_or_fetch(self, entry: CacheEntry) -> Path:
        path = self.folder / entry.name
        if _is_finished(path, entry.size_bytes):
            _mark_used(path)
            return path
        beside = self._find_or_fetch(entry.beside) if entry.beside else None
        with self._lock(f"{_hash_of(entry.name) % _N_LOCKS:03d}"):
            if not _is_finished(path, entry.size_bytes):
                self._fetch(entry, path, beside)
            _mark_used(path)
        return path

    def _fetch(self, entry: CacheEntry, path: Path, beside: Path | None) -> None:
        self._make_room(entry.n_bytes, entry)
        aside = path.with_name(f".{path.name}.aside")
        try:
            with aside.open("wb") as target:
                if entry.beside is not None and beside is not None:
                    _copy_pieces(beside, entry.beside.pieces, target)
                for piece in entry.pieces:
                    _fetch_piece(entry.location, piece, target)
                target.truncate(entry.size_bytes)
                target.flush()
                os.fsync(target.fileno())
            os.utime(aside, ns=(_FETCHED_NS, _FETCHED_NS))
            os.replace(aside, path)
        except FileNotFoundError:
            raise
        except OSError as error:
            free = shutil.disk_usage(self.folder).free if self.folder.exists() else 0
            raise MachineError(
                f"The machine fails: the cache {self.folder} cannot be written ({error.strerror}): "
                f"{entry.location} takes {entry.n_bytes:,} bytes, {free:,} are free there. Set "
                f"{FOLDER_VARIABLE} to a folder on this node's own disk with more space, or "
                f"{LIMIT_VARIABLE} to a limit in bytes that fits the disk. {GOES_ON}"
            ) from None
        finally:
            aside.unlink(missing_ok=True)

    def _make_room(self, n_bytes: int, entry: CacheEntry) -> None:
        """Add to the count of used bytes; beyond the limit, remove least recently used entries."""
        if n_bytes > self.limit_bytes:
            raise MachineError(
                f"The machine fails: {entry.location} takes {n_bytes:,} bytes, but the limit of "
                f"this node's cache {self.folder} is {self.limit_bytes:,}. Set {LIMIT_VARIABLE} to "
                f"more, or {FOLDER_VARIABLE} to a folder on a larger disk. {GOES_ON}"
            )
        counted = self.folder / "used_bytes"
        with self._lock("room"):
            try:
                used = int(counted.read_text())
            except (OSError, ValueError):
                used, _ = self._scan()
            if used + n_bytes > self.limit_bytes:
                used = self._remove_oldest(int(self.limit_bytes * _SHARE_KEPT) - n_bytes)
            counted.write_text(str(used + n_bytes))

    def _remove_oldest(self, until: int) -> int:
        used, entries = self._scan()
        for _, size, path in sorted(entries):
            if used <= until:
                break
            path.unlink(missing_ok=True)
            used -= size
        return used

    def _scan(self) -> tuple[int, list[tuple[int, int, Path]]]:
        """Return all bytes on disk, and (time of last use in ns, bytes, path) of every entry."""
        entries: list[tuple[int, int, Path]] = []
        used = 0
        for found in os.scandir(self.folder):
            with contextlib.suppress(FileNotFoundError):
                info = found.stat()
                if not found.is_file() or found.name == "used_bytes":
                    continue
                used += info.st_blocks * 512
                if not found.name.startswith("."):
                    size = info.st_blocks * 512
                    entries.append((info.st_atime_ns, size, Path(found.path)))
                elif time.time() - info.st_mtime > _ABANDONED_S:
                    os.unlink(found.path)
        return used, entries

    @contextlib.contextmanager
    def _lock(self, name: str) -> Generator[None]:
        # Created again: users may remove the cache at any time.
        (self.folder / "locks").mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / "locks" / name)
        self._wait_for(lock)
        try:
            yield
        finally:
            lock.release()

    def _wait_for(self, lock: filelock.BaseFileLock) -> None:
        started = time.monotonic()
        while True:
            try:
                lock.acquire(timeout=_SAYS_S)
                return
            except filelock.Timeout:
                waited_s = time.monotonic() - started
            if waited_s > _PATIENCE_S:
                raise MachineError(
                    f"The machine fails: another process has held the lock {lock.lock_file} of "
                    f"this node's cache for {waited_s / 60:.0f} minutes. Check whether that "
                    f"process is suspended, or set {FOLDER_VARIABLE} to another folder. {GOES_ON}"
                ) from None
            _LOG.warning(
                "waiting for another process that fetches files into the cache %s: %.0f s so far, "
                "%.0f s more at most",
                *(self.folder, waited_s, _PATIENCE_S - waited_s),
            )


def node_cache() -> NodeCache:
    """Return this node's cache, with folder and limit from the environment.

    Raises:
        ConfigError: A variable is invalid, or the folder cannot be used.
    """
    default = f"{tempfile.gettempdir()}/mvkt-cache-{os.getuid()}"
    return _open_once(os.environ.get(FOLDER_VARIABLE, default), os.environ.get(LIMIT_VARIABLE))


@functools.cache
def _open_once(folder: str, limit: str | None) -> NodeCache:
    if limit is None:
        return NodeCache(Path(folder))
    try:
        limit_bytes = int(float(limit))
    except (ValueError, OverflowError):
        limit_bytes = -1
    if limit_bytes < 0:
        raise ConfigError(
            f"{LIMIT_VARIABLE} is {limit!r}, must be a number of bytes, for example 50e9."
        )
    return NodeCache(Path(folder), limit_bytes)


def _hash_of(name: str) -> int:
    """Return a hash that is the same in every process, unlike Python's `hash`."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest())


def _once_more(act: Callable[[], Opened]) -> Opened:
    """Repeat `act` if another process has just removed an entry to make room."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            return act()
    return act()


def _is_finished(path: Path, size_bytes: int) -> bool:
    try:
        info = path.stat()
    except FileNotFoundError:
        return False
    return info.st_size == size_bytes and info.st_mtime_ns == _FETCHED_NS


def _mark_used(path: Path) -> None:
    # Set explicitly, since many disks are mounted with `noatime`.
    with contextlib.suppress(FileNotFoundError):
        os.utime(path, ns=(time.time_ns(), _FETCHED_NS))


def _copy_pieces(source: Path, pieces: Sequence[Piece], target: IO[bytes]) -> None:
    with source.open("rb") as stream:
        for piece in pieces:
            stream.seek(piece.begin)
            target.seek(piece.begin)
            target.write(stream.read(piece.n_bytes))


def _fetch_piece(location: Location, piece: Piece, target: IO[bytes]) -> None:
    digest = hashlib.sha256()
    target.seek(piece.begin)
    try:
        for chunk in location.chunks(piece.begin, piece.n_bytes):
            digest.update(chunk)
            target.write(chunk)
    except FileNotFoundError:
        raise ArtifactError(
            f"{location} is missing: it was removed after its artifact was published. Restore it "
            "from a copy, or make the artifact again."
        ) from None
    if digest.hexdigest() != piece.sha256:
        raise ArtifactError(
            f"{location} was changed after it was published: {piece.n_bytes:,} bytes from "
            f"{piece.begin:,} on have hash {digest.hexdigest()[:12]} instead of "
            f"{piece.sha256[:12]}. Restore it from a copy, or make the artifact again."
        )
