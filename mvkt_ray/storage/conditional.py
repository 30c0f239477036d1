"""Small objects that several processes may write, none of them over what it has not seen.

S3 (`If-None-Match`, `If-Match`), Google (generations) and Azure (etags) decide such a write in one
step, so that of two who write at once one is refused, however long its request was under way. In a
folder a lock of the system does the same.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from mvkt_ray.errors import StoreError, StoreUnreachableError
from mvkt_ray.storage.conditional_clients import open_conditional
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.object_store import expect_bucket, explaining

_MOST_CONFLICTS = 5

LOCKED_WITHIN_S = 60.0
"""Who holds the lock of a folder compares and writes one small file, unless it is stopped."""

_LOOKS_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Version:
    """Tells what an object held at one time from what it held at any other."""

    etag: str | None
    generation: str | None = None
    """Google's number of a write."""


@dataclass(frozen=True, slots=True)
class Found:
    """What an object holds."""

    content: bytes
    version: Version


@dataclass(frozen=True, slots=True)
class SharedObject:
    """An object that is written under the condition that nobody else has written it meanwhile."""

    location: Location

    def read(self) -> Found | None:
        """Return what is there; None when nothing is.

        Raises:
            StoreError: The store refuses, or does not answer.
        """
        if self.location.is_local:
            return _read_local(self.location.local_path)
        store, key = open_conditional(self.location.uri)
        try:
            with _explaining(self.location.uri):
                answer = obstore.get(store, key)
                # One answer holds both, so they belong together; a body cut short is an error.
                return Found(bytes(answer.bytes()), _version(answer.meta))
        except FileNotFoundError:
            expect_bucket(self.location.uri)
            return None

    def put(
        self,
        content: bytes,
        replaces: Version | None,
        *,
        is_own: Callable[[bytes], bool] = lambda _: False,
    ) -> Version | None:
        """Write it, if it still is what was seen.

        Args:
            content: Which no other process writes: when a request was tried twice, since nobody
                knew what became of the first, what is there tells whether it was one's own.
            replaces: What must be there; None: nothing.
            is_own: Whether what is found there instead may be replaced all the same: this process
                has written it, by a request of which it heard nothing.

        Returns:
            What is there now; None when it was refused, for somebody else has written.

        Raises:
            StoreUnreachableError: The store does not answer; it may have been written all the same.
            StoreError: The store refuses for another reason.
        """
        for _ in range(_MOST_CONFLICTS):
            written = self._try_put(content, replaces)
            if written is not None:
                return written
            found = self.read()
            if found is not None and found.content == content:
                return found.version
            if found is not None and is_own(found.content):
                replaces = found.version
            elif (None if found is None else found.version) != replaces:
                return None
            # S3 refuses one of two at the same moment with 409, where neither may be there yet.
        raise StoreUnreachableError(
            f"{self.location}: the store refuses to write it, though nobody else has. Start again."
        )

    def _try_put(self, content: bytes, replaces: Version | None) -> Version | None:
        if self.location.is_local:
            return _put_local(self.location, content, replaces)
        store, key = open_conditional(self.location.uri)
        mode = "create" if replaces is None else _mode(replaces)
        try:
            with _explaining(self.location.uri):
                return _version(obstore.put(store, key, content, mode=mode, use_multipart=False))
        except (AlreadyExistsError, PreconditionError):
            return None
        except FileNotFoundError as error:
            expect_bucket(self.location.uri)
            raise StoreError(f"{self.location} cannot be written: {error}") from None


def expect_conditions(folder: Location) -> None:
    """Raise unless a store refuses writes whose condition does not hold; some do not look at it.

    Args:
        folder: In which a small object may be made and removed.

    Raises:
        StoreError: The store has no conditional writes, or cannot be written at all.
    """
    if folder.is_local:
        return
    probe = SharedObject(folder / f".conditions-{secrets.token_hex(4)}")
    try:
        first = probe.put(b"1", None)
        overwritten = probe.put(b"2", None)
        # It is what is there, but for one character: no store may take it for the same.
        stale = Version(etag='"0"', generation="1")
        if first is None or overwritten is not None or probe.put(b"3", stale) is not None:
            raise StoreError(
                f"{folder} is in a store that does not look at the conditions of a write, so that "
                "two drivers could write one study. A study needs a store with conditional "
                "writes (If-None-Match and If-Match on PUT), as S3, Google, Azure, and MinIO, Ceph "
                "and R2 of today have. Give --out in such a store, or in a local folder."
            )
    finally:
        with contextlib.suppress(StoreError):
            probe.location.delete()


def _version(meta: Mapping[str, Any]) -> Version:
    return Version(etag=meta["e_tag"], generation=meta["version"])


def _mode(version: Version) -> Any:
    named = {"e_tag": version.etag, "version": version.generation}
    return {name: value for name, value in named.items() if value is not None}


@contextlib.contextmanager
def _explaining(uri: str) -> Generator[None]:
    """Explain as `explaining` does; a condition that does not hold is no error."""
    with explaining(uri):
        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except BaseError as error:
            # Behind it are the same causes once more, as Rust prints them.
            raise OSError(str(error).partition("Debug source:")[0]) from None


def _read_local(path: Path) -> Found | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return Found(content, Version(etag=hashlib.sha256(content).hexdigest()))


def _put_local(location: Location, content: bytes, replaces: Version | None) -> Version | None:
    path = location.local_path
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        _lock(folder, path.parent)
        found = _read_local(path)
        if (None if found is None else found.version) != replaces:
            return None
        location.write_bytes(content)
    finally:
        os.close(folder)
    return Version(etag=hashlib.sha256(content).hexdigest())


def _lock(folder: int, path: Path) -> None:
    deadline = time.monotonic() + LOCKED_WITHIN_S
    while True:
        try:
            return fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreUnreachableError(
                    f"{path}: another process has held its lock for {LOCKED_WITHIN_S:.0f} s. See "
                    "whether that process is stopped, and start again."
                ) from None
        time.sleep(_LOOKS_EVERY_S)
