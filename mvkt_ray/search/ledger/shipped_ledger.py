"""A ledger in an object store: the layout of its objects, claiming it, and restoring a database.

    STUDY/ledger/head.json                       names the generation that counts
    STUDY/ledger/000003-9f2c41aa/snapshot.db     a generation begins with the database as one file;
    STUDY/ledger/000003-9f2c41aa/wal-00000000..  later transactions follow in pieces

Pieces are SQLite's write-ahead log, cut at the end of a transaction and named by the offset of
their first byte. A generation belongs to one driver and is never continued by another, so pieces of
two histories are never mixed. `head.json` is written after its snapshot: a driver killed in between
leaves the previous generation, which is complete.

Every answer of a driver to a runner is in the ledger of its successor. After that a replaced driver
answers nothing more, however long it slept, even if a request of its own is still under way. The
store decides this by conditional writes (`conditional`):

- A head is written only over the previous head of the same driver. A new driver claims the ledger:
  it rewrites the head with its own token. From then on no other driver can begin a generation.
- A piece is written only where no object exists, each behind its predecessor. A driver that has
  claimed the ledger closes the log by an empty piece in the first free place, and only then reads.
  From then on no other driver can add a piece, and all earlier pieces are visible. The empty piece
  stays for ever, also when the rest of its generation is removed.

So clocks and the lease decide only which driver should start, not which writes are valid.

Each object is verified when it is read: the head is sealed, the snapshot's hash is in the head, and
a piece begins with a hash of its name and content. An empty piece has a hash as well, so that a
piece which lost its content does not end a log.

Reads: the objects above. Writes: `head.json`, an empty piece, a database on this machine.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mvkt_ray.errors import ArtifactError
from mvkt_ray.file_guards import reading
from mvkt_ray.storage.conditional import SharedObject, Version
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.sealed import sealed_json, unsealed_json

HEAD, SNAPSHOT = "head.json", "snapshot.db"
PIECE = "wal-"
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
"""Of SQLite's file format, https://www.sqlite.org/fileformat2.html#the_write_ahead_log."""

_HASH_BYTES = hashlib.sha256().digest_size
"""In front of each piece."""

_FETCHED_AT_ONCE = 16
_MOST_TRIES = 10
"""Enough: a driver that writes meanwhile begins one generation per some megabytes of log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The content of `head.json`."""

    number: int
    """Number of the generation, from 1, over all drivers of the study; 0: there is none yet."""
    token: str
    """Token of the driver that wrote the generation."""
    driver: str
    """Token of the only driver that may write the next head."""
    snapshot_bytes: int
    snapshot_sha256: str

    @property
    def generation(self) -> str:
        """Name of the generation's folder."""
        return f"{self.number:06d}-{self.token}"

    @classmethod
    def of(cls, snapshot: bytes, *, number: int, token: str) -> "Head":
        """Describe a generation that begins with this snapshot."""
        sha256 = hashlib.sha256(snapshot).hexdigest()
        return cls(
            number=number,
            token=token,
            driver=token,
            snapshot_bytes=len(snapshot),
            snapshot_sha256=sha256,
        )

    def to_json(self) -> bytes:
        """Return the head as sealed JSON."""
        return sealed_json(asdict(self))


_NOTHING = Head(number=0, token="", driver="", snapshot_bytes=0, snapshot_sha256="")
"""The head of a claim before the first generation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One driver's claim of a ledger, valid until another driver claims it."""

    head: Head
    version: Version
    """Version of the head, over which the next head is written."""


def piece_name(start: int) -> str:
    """Return the name of the piece whose first byte has this offset in the log."""
    return f"{PIECE}{start:015d}"


def sealed_piece(generation: str, start: int, log: bytes) -> bytes:
    """Return the content of a piece: a hash, then a part of the log.

    Args:
        generation: Name of the generation's folder.
        start: Offset of the part in the log, in bytes.
        log: The part; empty in the piece that ends the log.
    """
    return _piece_hash(generation, piece_name(start), log) + log


def ends_log(name: str, n_bytes: int) -> bool:
    """Whether a file of a generation is the piece that ends its log."""
    return name.startswith(PIECE) and n_bytes == _HASH_BYTES


def read_head(root: Location) -> Head | None:
    """Return the head, which names the valid generation; None if no ledger was shipped.

    Raises:
        ArtifactError: The file is damaged.
        StoreError: The store refuses, or does not answer.
    """
    file = root / HEAD
    if not file.exists():
        return None
    head = parse_head(root, file.read_bytes())
    return head if head.number else None


def parse_head(root: Location, content: bytes) -> Head:
    """Parse the output of `Head.to_json`.

    Raises:
        ArtifactError: The content is damaged or was changed.
    """
    advice = "Restore it from a copy, such as an older version of the object."
    with reading(f"{root / HEAD}, the head of a ledger,", advice, ArtifactError):
        return Head(**unsealed_json(content))


def claim(root: Location) -> Claim:
    """Make this process the only driver whose writes are valid, and close the log for all others.

    Args:
        root: Folder of the ledger's objects.

    Raises:
        ArtifactError: Objects are missing or damaged, or other drivers claim it repeatedly.
        StoreError: The store refuses, or does not answer.
    """
    file, driver = SharedObject(root / HEAD), secrets.token_hex(4)
    for _ in range(_MOST_TRIES):
        found = file.read()
        before = _NOTHING if found is None else parse_head(root, found.content)
        head = replace(before, driver=driver)
        version = file.put(head.to_json(), None if found is None else found.version)
        if version is not None:
            if head.number:
                _close_log(root / head.generation)
            return Claim(head=head, version=version)
    raise _restless(root)


def restore(root: Location, database: Path) -> Head | None:
    """Restore the database up to the last shipped piece.

    Args:
        root: Folder of the ledger's objects; a driver may be writing there.
        database: Path of the database; an existing file is replaced.

    Returns:
        The head of the restored generation; None if no ledger was shipped.

    Raises:
        ArtifactError: Objects are missing or damaged.
        StoreError: The store refuses, or does not answer.
    """
    head = read_head(root)
    for _ in range(_MOST_TRIES):
        if head is None:
            return None
        try:
            _fetch(root / head.generation, head, database)
        except ArtifactError:
            newer = read_head(root)
            if newer == head:
                raise
        else:
            newer = read_head(root)
            if newer == head:
                return head
        # A driver began another generation meanwhile, and removed this one.
        head = newer
    raise _restless(root)


def _fetch(folder: Location, head: Head, database: Path) -> None:
    try:
        snapshot = (folder / SNAPSHOT).read_bytes()
    except ArtifactError:
        raise _damaged(folder / SNAPSHOT, f"the file that {HEAD} names is missing") from None
    if hashlib.sha256(snapshot).hexdigest() != head.snapshot_sha256:
        raise _damaged(folder / SNAPSHOT, f"its hash is not the one in {HEAD}")
    sizes = _log_bytes_of_pieces(folder)
    _expect_no_gap(folder, sizes)
    with ThreadPoolExecutor(max_workers=_FETCHED_AT_ONCE) as pool:
        log = b"".join(pool.map(partial(_read_piece, folder), sorted(sizes)))
    database.write_bytes(snapshot)
    database.with_name(f"{database.name}-shm").unlink(missing_ok=True)
    database.with_name(f"{database.name}-wal").write_bytes(log)
    n_bytes = _take_over_log(database)
    if n_bytes != len(log):
        raise _damaged(folder, f"SQLite accepts {n_bytes} bytes of {len(log)} of its log")


def _close_log(folder: Location) -> None:
    """Prevent further pieces by an empty piece at the log's end, unless there is one."""
    for _ in range(_MOST_TRIES):
        sizes = _log_bytes_of_pieces(folder)
        end = _expect_no_gap(folder, sizes)
        if sizes:
            # Verified: a truncated last piece would close the log in the wrong place, for ever.
            _read_piece(folder, max(sizes))
        name = piece_name(end)
        last = sealed_piece(folder.name, end, b"")
        if name in sizes or SharedObject(folder / name).put(last, None) is not None:
            return
    raise _restless(folder)


def _log_bytes_of_pieces(folder: Location) -> dict[str, int]:
    """Return the bytes of log in each piece, by its name."""
    sizes = {name: size for name, size in folder.file_sizes().items() if name.startswith(PIECE)}
    return {name: max(0, size - _HASH_BYTES) for name, size in sizes.items()}


def _read_piece(folder: Location, name: str) -> bytes:
    content = (folder / name).read_bytes()
    log = content[_HASH_BYTES:]
    if content[:_HASH_BYTES] != _piece_hash(folder.name, name, log):
        raise _damaged(folder / name, "its content does not have the hash at its beginning")
    return log


def _piece_hash(generation: str, name: str, log: bytes) -> bytes:
    return hashlib.sha256(f"{generation}/{name}\n".encode() + log).digest()


def _expect_no_gap(folder: Location, sizes: Mapping[str, int]) -> int:
    """Return the log's bytes; raise unless each piece begins at the end of its predecessor."""
    end = 0
    for name, size in sorted(sizes.items()):
        if name != piece_name(end):
            raise _damaged(folder / name, f"its predecessor, which ends at byte {end}, is missing")
        end += size
    return end


def _take_over_log(database: Path) -> int:
    """Checkpoint SQLite's log into the database; return the bytes with valid checksums."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        try:
            page_bytes = _one_row(connection, "PRAGMA page_size")[0]
            _, n_frames, _ = _one_row(connection, "PRAGMA wal_checkpoint(PASSIVE)")
            _one_row(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError as error:
            raise _damaged(database, str(error)) from None
    return WAL_HEADER_BYTES + n_frames * (FRAME_HEADER_BYTES + page_bytes) if n_frames > 0 else 0


def _one_row(connection: sqlite3.Connection, statement: str) -> tuple[Any, ...]:
    return connection.execute(statement).fetchone()


def _restless(root: Location) -> ArtifactError:
    return ArtifactError(
        f"the ledger {root} changed {_MOST_TRIES} times while it was read. Repeat the command; if "
        "it fails again, check that only one search of this study runs."
    )


def _damaged(damaged: Location | Path, why: str) -> ArtifactError:
    return ArtifactError(
        f"the ledger is damaged: {damaged}: {why}. Restore its folder from a copy, such as older "
        "versions of the objects: a study cannot be continued without it."
    )
