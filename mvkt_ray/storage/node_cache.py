"""What a node has fetched from object stores: once for all its processes, checked, and bounded.

An entry is a file of the same length and layout as the one in the store, of which only the pieces
that somebody asked for are there; the rest are holes, which take no disk. So an Arrow file is
mapped as it is, although a student that sees one lead of twelve has fetched one lead.

- *Once*: a lock per entry; whoever comes second waits, and finds it.
- *Whole or not at all*: pieces are written aside, hashed as they come, and renamed when all of them
  have the hash that the manifest says. A killed fetch leaves nothing that looks finished.
- *Unchanged*: a finished entry is given one fixed time of modification. Whatever writes to it later
  changes that, and the entry is fetched again.
- *Bounded*: `MVKT_CACHE_BYTES`, by default half of what is free on the disk. Entries that were not
  opened for longest go first. Those that are mapped may go too: their pages stay until the last
  process that maps them ends.

It lies in `MVKT_CACHE_DIR`, by default `mvkt-cache-UID` in the folder for temporary files, and may
be removed at any time. An entry's name has the hash of its content, so nothing in it gets stale.
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
"""Time of modification of all finished entries, in 2001."""
_SAYS_S, _PATIENCE_S = 30.0, 3600.0
"""Who waits for another process's fetch says so as often, and gives up after that. The lock of a
process that has ended is free at once."""
_N_LOCKS = 256
_N_AT_ONCE = 8
_ATTEMPTS = 3
_SHARE_KEPT = 0.9
"""Of the limit, after entries were removed: not every fetch after that must remove some."""
_ABANDONED_S = 3600.0
"""A file aside that nobody has written to for so long is a killed process's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of a file."""

    begin: int
    n_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheEntry:
    """Some pieces of a file in a store, which an entry holds."""

    location: Location
    sha256: str
    """Of the whole file: names the entry, and is checked where one piece is all of it."""
    size_bytes: int
    part: str = "all"
    """Name of the pieces among those of the file."""
    pieces: tuple[Piece, ...]
    beside: "CacheEntry | None" = None
    """Another entry of the same file, whose pieces this one has too; they are copied, locally."""

    @classmethod
    def of_file(cls, location: Location, sha256: str, size_bytes: int) -> "CacheEntry":
        """All of a file."""
        whole = Piece(begin=0, n_bytes=size_bytes, sha256=sha256)
        return cls(location=location, sha256=sha256, size_bytes=size_bytes, pieces=(whole,))

    @property
    def name(self) -> str:
        """Name of its file in the cache."""
        return f"{self.sha256}.{self.part}"

    @property
    def n_bytes(self) -> int:
        """What it takes on disk."""
        own = sum(piece.n_bytes for piece in self.pieces)
        return own + (self.beside.n_bytes if self.beside else 0)


class NodeCache:
    """A folder of this node, shared by all processes of one user."""

    def __init__(self, folder: Path, limit_bytes: int | None = None) -> None:
        """Make the folder.

        Args:
            folder: Of this node's own disk.
            limit_bytes: What all entries may take; None: half of what is free, or is theirs.

        Raises:
            ConfigError: The folder cannot be made, or belongs to somebody else.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / "locks").mkdir(exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the cache {folder} cannot be made ({error.strerror}). Set {FOLDER_VARIABLE} to a "
                "folder of this node's own disk that you may write to."
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
        """Return what `read` makes of the entry's file, fetched if need be.

        Raises:
            ArtifactError: The file in the store is not the one that was published.
            MachineError: The cache may not hold it, or cannot be written.
            StoreError: The store cannot be read.
        """
        return _once_more(lambda: read(self._find_or_fetch(entry)))

    def provide(self, entries: Sequence[CacheEntry]) -> None:
        """Fetch all entries that are not there yet, several at once."""

        def provide(entry: CacheEntry) -> None:
            _once_more(lambda: self._find_or_fetch(entry))

        with ThreadPoolExecutor(max_workers=_N_AT_ONCE) as pool:
            list(pool.map(provide, entries))

    def size_bytes(self) -> int:
        """What all entries take on disk."""
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
                f"{FOLDER_VARIABLE} to a folder of this node's own disk with room, or "
                f"{LIMIT_VARIABLE} to what its entries may take. {GOES_ON}"
            ) from None
        finally:
            aside.unlink(missing_ok=True)

    def _make_room(self, n_bytes: int, entry: CacheEntry) -> None:
        """Count what is about to be written, and remove what was not used for longest."""
        if n_bytes > self.limit_bytes:
            raise MachineError(
                f"The machine fails: {entry.location} takes {n_bytes:,} bytes of this node's cache "
                f"{self.folder}, which may take {self.limit_bytes:,}. Set {LIMIT_VARIABLE} to "
                f"more, or {FOLDER_VARIABLE} to a folder of a larger disk. {GOES_ON}"
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
        """Return bytes in all, and (time of last use, bytes, path) of every entry."""
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
        # Somebody may have removed the whole cache since it was opened.
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
                    f"this node's cache for {waited_s / 60:.0f} minutes. See whether it is stopped,"
                    f" or set {FOLDER_VARIABLE} to another folder. {GOES_ON}"
                ) from None
            _LOG.warning(
                "waiting for another process, which fetches into the cache %s: %.0f s so far, "
                "%.0f s more at most",
                *(self.folder, waited_s, _PATIENCE_S - waited_s),
            )


def node_cache() -> NodeCache:
    """Return this node's cache, as the environment says.

    Raises:
        ConfigError: A variable is wrong, or the folder cannot be used.
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
    """Return a number that is the same for a name in every process."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest())


def _once_more(act: Callable[[], Opened]) -> Opened:
    """Do it again when another process has just removed an entry to make room."""
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
    # Set by us, for many disks are mounted so that reading sets no times.
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
            f"{location} is not there, though its artifact was published: somebody removed it. "
            "Restore it from a copy, or make the artifact again."
        ) from None
    if digest.hexdigest() != piece.sha256:
        raise ArtifactError(
            f"{location} was changed after it was published: {piece.n_bytes:,} bytes from "
            f"{piece.begin:,} on have hash {digest.hexdigest()[:12]}, must have "
            f"{piece.sha256[:12]}. Restore it from a copy, or make the artifact again."
        )
