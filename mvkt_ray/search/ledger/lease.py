"""One driver at a time for a study in an object store, which has no locks.

`lease.json` names the driver, which rewrites the file every few seconds. A second process waits: if
the lease is renewed meanwhile, it gives up; if the lease expires, it takes the study over. The
lease's age is measured by the store's clock alone, so wrong clocks of machines do no harm. There is
no wait for a holder whose process ran on this machine and has ended.

The lease is taken and renewed by conditional writes. So of two processes that take it at the same
moment one is refused, and a driver whose renewal is refused has lost the study. A sleeping driver
may notice that late, but the store refuses its writes to the ledger (`shipped_ledger`).

Reads and writes: `STUDY/ledger/lease.json`.
"""

import contextlib
import logging
import math
import os
import platform
import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mvkt_ray.errors import ArtifactError, StoreError
from mvkt_ray.file_guards import reading
from mvkt_ray.storage.conditional import Found, SharedObject, Version, expect_conditions
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import command_line
from mvkt_ray.storage.sealed import sealed_json, unsealed_json

LEASE = "lease.json"
_MOST_TRIES = 3
"""Of taking a lease: another process may write it between our read and our write."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseTimes:
    """Duration and intervals of a lease, in seconds."""

    lasts_s: float = 60.0
    """Validity after the last renewal; then another driver may take the lease over."""
    renewed_s: float = 15.0
    """Interval of renewals."""
    looks_s: float = 1.0
    """Interval in which a waiting process reads the lease."""
    says_s: float = 10.0
    """Interval in which a waiting process logs the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """The content of `lease.json`."""

    token: str
    """Unique for each driver."""
    host: str
    pid: int
    pid_space: str
    """Scope in which the process number is valid: boot of the machine, and namespace."""
    command: str
    since: str
    """ISO 8601, UTC."""
    n_renewals: int = 0
    is_given_back: bool = False

    @classmethod
    def here(cls) -> "Holder":
        """Describe this process."""
        return cls(
            token=secrets.token_hex(8),
            host=platform.node(),
            pid=os.getpid(),
            pid_space=_pid_space(),
            command=command_line(),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    @property
    def has_ended(self) -> bool:
        """Whether the driver is known to have ended; unknown of processes on other machines."""
        if self.is_given_back:
            return True
        if not self.pid_space or self.pid_space != _pid_space():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False

    def to_json(self) -> bytes:
        """Return the content of `lease.json`."""
        return sealed_json(asdict(self))


class Lease:
    """This process's lease on a study; a thread renews it until it is given back."""

    def __init__(
        self, file: SharedObject, holder: Holder, version: Version, times: LeaseTimes
    ) -> None:
        """Start the renewals of a lease that was written; use `take`."""
        self._file = file
        self._holder = holder
        self._version = version
        self._times = times
        self._lost: ArtifactError | None = None
        self._giving_back = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    @classmethod
    def take(cls, root: Location, times: LeaseTimes | None = None) -> "Lease":
        """Become the driver of a study.

        Args:
            root: Folder of the ledger's objects.
            times: Duration and intervals.

        Raises:
            ArtifactError: Another driver, named in the message, is alive.
            StoreError: The store refuses, does not answer, or has no conditional writes.
        """
        times, file = times or LeaseTimes(), SharedObject(root / LEASE)
        holder = Holder.here()
        for _ in range(_MOST_TRIES):
            found = file.read()
            if found is None:
                expect_conditions(root)
            elif not _parse(root, found.content).has_ended:
                found = _wait_until_free(root, found, times)
            version = file.put(holder.to_json(), None if found is None else found.version)
            if version is not None:
                return cls(file, holder, version, times)
            now, before = _read(root), None if found is None else _parse(root, found.content)
            if now is not None and (before is None or now.token != before.token):
                raise _refusal(root, now)
        raise _refusal(root, _read(root))

    def expect_held(self) -> None:
        """Raise if another driver is known to have taken the study over.

        Raises:
            ArtifactError: Another driver has the study.
        """
        if self._lost is not None:
            raise self._lost

    def renew(self) -> None:
        """Renew the lease; the thread does so every `renewed_s` seconds.

        Raises:
            ArtifactError: Another driver has taken the study over.
            StoreError: The store refuses, or does not answer.
        """
        self._write(replace(self._holder, n_renewals=self._holder.n_renewals + 1))

    def give_back(self) -> None:
        """End the renewals, and mark the lease as given back, so that no driver waits for it."""
        self._giving_back.set()
        self._thread.join()
        with contextlib.suppress(StoreError, ArtifactError):
            self._write(replace(self._holder, is_given_back=True))

    def _keep(self) -> None:
        while not self._giving_back.wait(self._times.renewed_s):
            try:
                self.renew()
            except ArtifactError:
                return
            except StoreError as error:
                _LOG.warning("the lease of the study was not renewed: %s", error)

    def _write(self, holder: Holder) -> None:
        self.expect_held()
        own = holder.token.encode()
        # An earlier renewal may have been written although its answer was lost.
        version = self._file.put(holder.to_json(), self._version, is_own=lambda found: own in found)
        if version is None:
            found = _read(self._file.location.parent)
            by = "" if found is None else f": {_describe(found)}"
            self._lost = ArtifactError(
                f"another driver has taken this study over{by}. This driver stops and writes "
                "nothing more; all trials that it recorded are in the ledger."
            )
            raise self._lost
        self._holder, self._version = holder, version


def is_leased(root: Location, times: LeaseTimes | None = None) -> bool:
    """Whether a driver of a study in a store seems to be alive; nothing is written.

    The only comparison of this machine's clock with the store's: hence twice the duration.

    Args:
        root: Folder of the ledger's objects.
        times: Duration and intervals of the lease.
    """
    holder = _read(root)
    if holder is None or holder.has_ended:
        return False
    age_s = (datetime.now(UTC) - (root / LEASE).modified_at()).total_seconds()
    return age_s < 2 * (times or LeaseTimes()).lasts_s


def _wait_until_free(root: Location, first: Found, times: LeaseTimes) -> Found | None:
    """Wait until a lease expires or is given back; return it, or None if it was removed.

    Raises:
        ArtifactError: The lease was renewed meanwhile: its driver is alive.
    """
    # At most `lasts_s`, also if the store's clock was set back and the age is negative.
    holder, left_s = _parse(root, first.content), times.lasts_s - max(0.0, _age_s(root))
    started, said_at = _awake_s(), -math.inf
    until = datetime.now().astimezone() + timedelta(seconds=left_s)
    while (waited_s := _awake_s() - started) < left_s:
        if waited_s - said_at >= times.says_s:
            said_at = waited_s
            _LOG.warning(
                "%s: waiting until %s at most, another %.0f s, to see whether the search that "
                "holds the study is alive: %s",
                *(root.parent, f"{until:%H:%M:%S}", left_s - waited_s, _describe(holder)),
            )
        time.sleep(min(times.looks_s, left_s - waited_s))
        found = SharedObject(root / LEASE).read()
        if found is None or _parse(root, found.content).has_ended:
            return found
        if found.content != first.content:
            raise _refusal(root, _parse(root, found.content))
    return first


def _age_s(root: Location) -> float:
    """Return the lease's age in seconds by the store's clock, read from a new object's time."""
    probe = root / f".now-{secrets.token_hex(4)}"
    probe.write_bytes(b"\n")
    try:
        return (probe.modified_at() - (root / LEASE).modified_at()).total_seconds()
    finally:
        probe.delete()


def _read(root: Location) -> Holder | None:
    found = SharedObject(root / LEASE).read()
    return None if found is None else _parse(root, found.content)


def _parse(root: Location, content: bytes) -> Holder:
    advice = "If no search of this study runs, remove the file."
    with reading(f"{root / LEASE}, the lease of a study,", advice, ArtifactError):
        return Holder(**unsealed_json(content))


def _refusal(root: Location, holder: Holder | None) -> ArtifactError:
    who = "another search took it at this moment" if holder is None else _describe(holder)
    return ArtifactError(
        f"{root.parent} is in use: one driver writes a study at a time, and {who}, and is alive. "
        "Wait until that search ends, or stop it on its machine; a search that was killed is "
        "taken over automatically. `mvkt status` shows its progress."
    )


def _describe(holder: Holder) -> str:
    return (
        f"`{holder.command}` holds it since {holder.since} on {holder.host} (process {holder.pid})"
    )


def _pid_space() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


# Continues while the machine sleeps, unlike Python's monotonic clock on Linux.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _awake_s() -> float:
    return time.clock_gettime(_CLOCK)
