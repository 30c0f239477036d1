"""Small objects that several processes may write, each only over the version that it has read.

S3 (`If-None-Match`, `If-Match`), Google (generations) and Azure (etags) decide such a conditional
write atomically: of two concurrent writes one is refused, however long its request was under way.
In a local folder a lock of the operating system does the same.
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
"""Limit for a folder's lock: its holder only compares and writes one small file."""

_LOOKS_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Version:
    """The version of an object: differs between any two writes."""

    etag: str | None
    generation: str | None = None
    """Google's number of a write."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object's content and version."""

    content: bytes
    version: Version


@dataclass(frozen=True, slots=True)
class SharedObject:
    """An object that is written only if no other process has written it meanwhile."""

    location: Location

    def read(self) -> Found | None:
        """Return content and version; None if there is no object.

        Raises:
            StoreError: The store refuses, or does not answer.
        """
        if self.location.is_local:
            return _read_local(self.location.local_path)
        store, key = open_conditional(self.location.uri)
        try:
            with _explaining(self.location.uri):
                answer = obstore.get(store, key)
                # One answer has content and version; obstore raises if the body is incomplete.
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
        """Write the object if its version is still the expected one.

        Args:
            content: The new content, unique to this process: after a request whose answer was
                lost, the stored content shows whether that request was executed.
            replaces: Version that the object must have; None: there must be no object.
            is_own: Whether a stored content of another version was written by this process, by a
                request whose answer was lost, and may be replaced.

        Returns:
            The new version; None: refused, since another process has written the object.

        Raises:
            StoreUnreachableError: The store does not answer; it may have written all the same.
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
            # S3 refuses one of two concurrent writes with 409, before either is stored.
        raise StoreUnreachableError(
            f"{self.location}: the store refused {_MOST_CONFLICTS} conditional writes, although no "
            "other process has written the object. Start again."
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
    """Raise unless a store honours the conditions of writes, which some stores ignore.

    Args:
        folder: Folder in which a small object may be created and removed.

    Raises:
        StoreError: The store has no conditional writes, or cannot be written at all.
    """
    if folder.is_local:
        return
    probe = SharedObject(folder / f".conditions-{secrets.token_hex(4)}")
    try:
        first = probe.put(b"1", None)
        overwritten = probe.put(b"2", None)
        # Well-formed, but of no existing object.
        stale = Version(etag='"0"', generation="1")
        if first is None or overwritten is not None or probe.put(b"3", stale) is not None:
            raise StoreError(
                f"{folder} is in a store that ignores the conditions of writes, so that two "
                "drivers could write one study. A study needs a store with conditional writes "
                "(If-None-Match and If-Match on PUT), as S3, Google, Azure, and current versions "
                "of MinIO, Ceph and R2 have. Give --out in such a store, or in a local folder."
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
    """Explain errors as `explaining` does, but pass on those of an unmet condition."""
    with explaining(uri):
        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except BaseError as error:
            # Behind "Debug source" Rust prints the same causes again.
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
                    f"{path}: another process has held the folder's lock for "
                    f"{LOCKED_WITHIN_S:.0f} s. Check whether that process is suspended, end or "
                    "continue it, and start again."
                ) from None
        time.sleep(_LOOKS_EVERY_S)
