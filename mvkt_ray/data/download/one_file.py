"""Brings one file from a mirror: what is right is kept, what is there of it is gone on with.

Not by pooch, which begins a file anew (1.9), nor by urllib3's `Retry`, which repeats requests but
not a body that breaks off, and whose waits nothing ends: here Ctrl-C does.

Writes: `NAME.part`, which becomes `NAME` by one rename when its hash is right.
"""

import errno
import hashlib
import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mvkt_ray.data.download.checksums import PART_SUFFIX
from mvkt_ray.data.download.mirrors import AbsentError, Body, Mirror, TransferError
from mvkt_ray.errors import DataError, MachineError, StoreUnreachableError
from mvkt_ray.machine_faults import room_at

_MOST_WHOLE_TRANSFERS = 3
"""A hash that is wrong as often is the mirror's fault, not that of the way here."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How often, and how long apart, a transfer is tried again."""

    n_attempts: int = 7
    """Number of attempts in a row without progress after which a download stops."""
    first_wait_s: float = 0.5
    """Doubles with every attempt that brought nothing."""
    longest_wait_s: float = 60.0

    def wait_s(self, n_failed: int, asked_s: float | None) -> float:
        """Return how long to wait; threads that failed together do not come back together."""
        wait = asked_s or self.first_wait_s * 2 ** (n_failed - 1) * random.uniform(0.5, 1.0)
        return min(wait, self.longest_wait_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileOutcome:
    """Outcome of one file."""

    name: str
    state: Literal["kept", "fetched", "repaired", "failed"]
    n_bytes: int = 0
    """Brought now."""
    problem: str = ""
    """Why it failed."""


class Stopped(Exception):  # noqa: N818
    """Nobody waits for the file any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFetcher:
    """Brings files of a mirror into a folder; called by several threads at once."""

    mirror: Mirror
    folder: Path
    patience: Patience
    _stop: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        """End what other threads have under way; partial files stay."""
        self._stop.set()
        self.mirror.close()

    def bring(self, name: str, sha256: str) -> FileOutcome:
        """Make sure that the file is there and right.

        A file that the mirror has not, or has with another hash, fails alone.

        Raises:
            StoreError: The mirror cannot be used.
            DataError: The folder cannot be written to.
            MachineError: The disk is full.
        """
        if self._stop.is_set():
            raise Stopped
        path = self.folder / name
        part = path.with_name(path.name + PART_SUFFIX)
        try:
            was_there = path.is_file()
            if was_there and _sha256(path) == sha256:
                part.unlink(missing_ok=True)
                return FileOutcome(name=name, state="kept")
            path.parent.mkdir(parents=True, exist_ok=True)
            return self._replace(name, sha256, part, "repaired" if was_there else "fetched")
        except AbsentError:
            return FileOutcome(name=name, state="failed", problem="the mirror has no such file")
        except OSError as error:
            raise _cannot_write(self.folder, error) from None

    def read_whole(self, name: str) -> bytes:
        """Return a file that has no hash.

        Raises:
            DataError: The mirror has no such file.
            StoreError: The mirror cannot be used.
        """
        n_failed = 0
        while True:
            try:
                with self.mirror.open(name, 0) as body:
                    return b"".join(body.chunks)
            except AbsentError:
                raise DataError(
                    f"{self.mirror} has no {name}, which every PhysioNet dataset has at its root. "
                    "Name a mirror of the dataset with --from: a URL, a URI or a folder."
                ) from None
            except TransferError as error:
                n_failed += 1
                self._wait(n_failed, error)

    def _replace(
        self, name: str, sha256: str, part: Path, state: Literal["fetched", "repaired"]
    ) -> FileOutcome:
        n_bytes = 0
        for _ in range(_MOST_WHOLE_TRANSFERS):
            n_bytes += self._transfer(name, part)
            if _sha256(part) == sha256:
                # Not synced: what a power failure spoils is found by its hash the next time.
                os.replace(part, self.folder / name)
                return FileOutcome(name=name, state=state, n_bytes=n_bytes)
            part.unlink()
        problem = f"the mirror's file does not have the listed hash {sha256[:12]}"
        return FileOutcome(name=name, state="failed", n_bytes=n_bytes, problem=problem)

    def _transfer(self, name: str, part: Path) -> int:
        """Append what is missing; return the bytes brought."""
        n_bytes = n_failed = 0
        furthest = _size(part)
        while True:
            begin, failure = _size(part), None
            try:
                with self.mirror.open(name, begin) as body:
                    begin = body.start
                    self._append(body, part)
            except TransferError as error:
                failure = error
            n_bytes += max(_size(part) - begin, 0)
            if failure is None:
                return n_bytes
            # A server that begins anew each time, and breaks off each time, gets nowhere.
            n_failed = 1 if _size(part) > furthest else n_failed + 1
            furthest = max(furthest, _size(part))
            self._wait(n_failed, failure)

    def _wait(self, n_failed: int, failure: TransferError) -> None:
        if n_failed >= self.patience.n_attempts:
            raise StoreUnreachableError(
                f"the download stops: {n_failed} attempts in a row made no progress: {failure}. "
                "Check the network, or name another mirror with --from; the same command resumes "
                "the download."
            )
        if self._stop.wait(self.patience.wait_s(n_failed, failure.wait_s)):
            raise Stopped

    def _append(self, body: Body, part: Path) -> None:
        with part.open("ab" if body.start else "wb") as stream:
            for chunk in body.chunks:
                if self._stop.is_set():
                    raise Stopped
                stream.write(chunk)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _cannot_write(folder: Path, error: OSError) -> DataError | MachineError:
    if error.errno in _NO_ROOM:
        return MachineError(
            f"{folder} is full ({error.strerror}), or its quota is used up.{room_at(str(folder))} "
            "Make room and run the same command again: it resumes the download."
        )
    return DataError(
        f"{error.filename or folder} cannot be written ({error.strerror}). Give a folder that you "
        "may write to; no folder in it may have the name of a file of the dataset."
    )
