"""Ships a ledger's committed transactions to an object store, before the driver answers a runner.

The driver works on a SQLite database on its own machine, in WAL mode. Only this module checkpoints
the log into the database, so every transaction is a run of bytes at the log's end, and shipping it
is one PUT. `shipped_ledger` describes the objects' layout and restores a database from them.

Reads: the database's log. Writes: objects under `STUDY/ledger/`.
"""

import contextlib
import logging
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mvkt_ray.errors import ArtifactError, DataError, StoreError, StoreUnreachableError
from mvkt_ray.search.ledger.shipped_ledger import (
    FRAME_HEADER_BYTES,
    HEAD,
    SNAPSHOT,
    WAL_HEADER_BYTES,
    Claim,
    Head,
    ends_log,
    parse_head,
    piece_name,
    sealed_piece,
)
from mvkt_ray.storage.conditional import SharedObject, Version
from mvkt_ray.storage.location import Location

Answer = TypeVar("Answer")

LOCK_TIMEOUT_S = 2
"""SQLite's wait for a lock, in seconds."""

_GENERATION = re.compile(r"\d{6}-[0-9a-f]{8}")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippingTimes:
    """Times of shipping, in seconds, and the size of a generation."""

    late_s: float = 4.0
    """Longest delay of writes that may be late, to within a second."""
    patience_s: float = 60.0
    """For this time a request without an answer is repeated; then the search stops."""
    first_pause_s: float = 0.5
    """Pause before the second try; each further pause is twice as long."""
    generation_bytes: int = 4 << 20
    """Bytes of log after which a new generation begins; the size of the database, if that is
    larger, so that snapshots at most double the bytes written."""


class Shipment:
    """Ships the log of one driver's database to a store.

    All writes to the database happen inside `writing`. Writes with `at_once` are in the store when
    the outermost block ends. If the block raises instead, the driver must answer nothing any more.
    """

    def __init__(
        self,
        root: Location,
        database: Path,
        claim: Claim,
        *,
        may_write: Callable[[], None] = lambda: None,
        times: ShippingTimes | None = None,
    ) -> None:
        """Take over a database; nothing is written to the store before the first transaction.

        Args:
            root: Folder of the ledger's objects.
            database: Path on this machine, of a restored or a new database.
            claim: The claim, made before the database was restored.
            may_write: Raises if another driver is known to have taken the study over; before that
                is known, the store refuses the writes.
            times: Delays and limits.
        """
        self._root = root
        self._database = database
        self._head = claim.head
        self._head_version = claim.version
        self._token = claim.head.driver
        self._n_begun = claim.head.number
        """Number of the newest generation that was begun, whether or not a head names it."""
        self._may_write = may_write
        self._times = times or ShippingTimes()
        self._lock = threading.RLock()
        self._depth = 0
        self._is_due = False
        self._waits_since: float | None = None
        self._must_begin = False
        """The log was moved into the database, and the next generation is not complete yet."""
        self._shipped_bytes = 0
        self._piece = b""
        """A piece whose PUT was tried: repeated unchanged, since a PUT that seems to have failed
        may still arrive, and the object must then be recognised as this driver's."""
        self._failure: DataError | None = None
        # Kept open: SQLite checkpoints the log when the last connection closes, and a connection
        # counts from its first read on.
        self._keeper = connect(database, isolation_level=None)
        self._keeper.execute("SELECT count(*) FROM sqlite_master").fetchone()
        self._closing = threading.Event()
        self._late = threading.Thread(target=self._ship_late, name="ledger-shipping", daemon=True)
        self._late.start()

    @contextlib.contextmanager
    def writing(self, *, at_once: bool = True) -> Generator[None]:
        """Ship the block's transactions together, at the end of the outermost block.

        Args:
            at_once: Ship before the block ends; else with the next write, or within `late_s`.

        Raises:
            StoreError: The store refuses, or did not answer in time.
            ArtifactError: Another driver has taken the study over.
        """
        with self._lock:
            self._depth += 1
            try:
                yield
                self._is_due |= at_once
            finally:
                self._depth -= 1
            if self._depth:
                return
            if self._is_due:
                self._ship()
            elif self._waits_since is None:
                self._waits_since = time.monotonic()

    def close(self) -> None:
        """Ship the delayed writes, unless shipping has failed before; then `abandon`.

        Raises:
            StoreError: The store refuses, or did not answer in time.
            ArtifactError: Another driver has taken the study over.
        """
        try:
            with self._lock:
                if self._failure is None:
                    self._ship()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """End the thread and close the connection without shipping; may be called again."""
        self._closing.set()
        self._late.join()
        self._keeper.close()

    def _ship_late(self) -> None:
        while not self._closing.wait(min(1.0, self._times.late_s)):
            with self._lock:
                since = self._waits_since
                if since is None or time.monotonic() - since < self._times.late_s - 1.0:
                    continue
                # `_failure` keeps the error; the driver's next write raises it.
                with contextlib.suppress(StoreError, ArtifactError):
                    self._ship()

    def _ship(self) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._must_begin and not committed(self._log, self._shipped_bytes):
            return
        try:
            self._may_write()
            if self._must_begin or self._head.token != self._token:
                self._begin_generation()
            else:
                self._ship_pieces(self._head)
        except StoreError as error:
            self._failure = type(error)(
                f"{error} The search has stopped; all trials that it recorded are in the store. "
                "Continue it by the same command with --resume."
            )
            raise self._failure from None
        except ArtifactError as error:
            self._failure = error
            raise
        self._is_due, self._waits_since = False, None

    def _ship_pieces(self, head: Head) -> None:
        while piece := self._piece or committed(self._log, self._shipped_bytes):
            self._piece = piece
            sealed = sealed_piece(head.generation, self._shipped_bytes, piece)
            self._put(f"{head.generation}/{piece_name(self._shipped_bytes)}", sealed, None)
            self._shipped_bytes += len(piece)
            self._piece = b""
        if self._shipped_bytes > max(self._times.generation_bytes, head.snapshot_bytes):
            self._begin_generation()

    def _begin_generation(self) -> None:
        """Move the log into the database, ship that as a snapshot, and name it in the head."""
        self._must_begin = True
        is_busy, *_ = self._keeper.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not is_busy, "a connection reads the ledger while it is written"
        snapshot = self._database.read_bytes()
        self._n_begun += 1
        head = Head.of(snapshot, number=self._n_begun, token=self._token)
        file = self._root / head.generation / SNAPSHOT
        self._patiently(lambda: file.write_bytes(snapshot))
        self._head_version = self._put(
            HEAD, head.to_json(), self._head_version, is_own=self._is_own_head
        )
        self._head, self._shipped_bytes, self._must_begin = head, 0, False
        self._remove_older_generations(head)

    def _remove_older_generations(self, head: Head) -> None:
        """Remove all older generations, also those of killed drivers.

        Newer ones stay: a driver that took over while this one slept may have begun them. Empty
        pieces stay: without the end of its log, an older driver could add pieces again.
        """
        try:
            sizes = self._root.file_sizes()
            for generation in {name.partition("/")[0] for name in sizes}:
                if not _GENERATION.fullmatch(generation) or generation >= f"{head.number:06d}":
                    continue
                folder = f"{generation}/"
                files = [name.removeprefix(folder) for name in sizes if name.startswith(folder)]
                useless = [name for name in files if not ends_log(name, sizes[folder + name])]
                if len(useless) == len(files):
                    (self._root / generation).delete_tree()
                    continue
                for name in useless:
                    (self._root / generation / name).delete()
        except StoreError as error:
            _LOG.warning("old generations of the ledger remain in %s: %s", self._root, error)

    def _put(
        self, name: str, content: bytes, replaces: Version | None, **is_own: Callable[[bytes], bool]
    ) -> Version:
        file = SharedObject(self._root / name)
        version = self._patiently(lambda: file.put(content, replaces, **is_own))
        if version is None:
            raise ArtifactError(
                f"another driver has taken the ledger {self._root} over. This driver stops and "
                "writes nothing more; all trials that it recorded are there. Run one search of a "
                "study at a time."
            )
        return version

    def _is_own_head(self, content: bytes) -> bool:
        """Whether a stored head was written by this driver, by a request whose answer was lost."""
        return parse_head(self._root, content).driver == self._token

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Repeat a request while the store does not answer, with growing pauses."""
        started, pause_s = time.monotonic(), self._times.first_pause_s
        while True:
            try:
                return ask()
            except StoreUnreachableError as error:
                if time.monotonic() + pause_s - started > self._times.patience_s:
                    raise
                left_s = self._times.patience_s - (time.monotonic() - started)
                _LOG.warning(
                    "waiting for the store of the ledger, %.0f s more at most; next request in "
                    "%.1f s: %s",
                    *(left_s, pause_s, error),
                )
            time.sleep(pause_s)
            pause_s *= 2

    @property
    def _log(self) -> Path:
        return self._database.with_name(f"{self._database.name}-wal")


def connect(database: Path, *, isolation_level: Any = "") -> sqlite3.Connection:
    """Open a shipped database: no automatic checkpoints, and no waiting for this machine's disk.

    The store makes writes durable; the file here is deleted with its driver.

    Args:
        database: Path on this machine.
        isolation_level: As of `sqlite3.connect`; None for statements outside of transactions.
    """
    connection = sqlite3.connect(
        database, timeout=LOCK_TIMEOUT_S, isolation_level=isolation_level, check_same_thread=False
    )
    for setting in ("journal_mode=WAL", "wal_autocheckpoint=0", "synchronous=OFF"):
        connection.execute(f"PRAGMA {setting}").close()
    return connection


def committed(log: Path, start: int) -> bytes:
    """Return the bytes of a write-ahead log from offset `start` to its last commit."""
    if not log.exists():
        return b""
    with log.open("rb") as file:
        header = file.read(WAL_HEADER_BYTES)
        file.seek(start)
        content = file.read()
    if len(header) < WAL_HEADER_BYTES:
        return b""
    frame_bytes = FRAME_HEADER_BYTES + int.from_bytes(header[8:12], "big")
    end = 0
    position = WAL_HEADER_BYTES if start == 0 else 0
    while position + frame_bytes <= len(content):
        n_pages_after_commit = int.from_bytes(content[position + 4 : position + 8], "big")
        position += frame_bytes
        if n_pages_after_commit:
            end = position
    return content[:end]
