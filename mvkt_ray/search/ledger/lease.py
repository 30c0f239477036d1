"""One driver at a time for a study on an object store, which has no locks.

`lease.json` says who drives the study and is written anew by its driver every few seconds. Whoever
wants to drive waits until it has either been renewed, and is refused, or has not been for too long,
and takes it over. Its age is told by the store's clock alone, so wrong clocks of machines do no
harm; a holder whose process was on this machine and is gone is not waited for.

What is left: a store without conditional writes cannot refuse the write of a driver that was
stopped (by its machine, for longer than the lease lasts) between its look at the lease and its
request. Such a request goes into the driver's own generation of the ledger, which the head does not
name any more (`shipped_ledger`): it is lost, and with it the one answer that stood on it, and the
next look at the lease ends that driver. Two that start at the same moment find each other by a look
some time after their writes; both go on only if a write took longer than that.

Reads and writes: `STUDY/ledger/lease.json`.
"""

import contextlib
import json
import logging
import os
import platform
import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mvkt_ray.errors import ArtifactError, StoreError
from mvkt_ray.storage.artifacts import command_line
from mvkt_ray.storage.location import Location

LEASE = "lease.json"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseTimes:
    """How long a lease lasts, and how often it is looked at; seconds."""

    lasts_s: float = 60.0
    """After its last renewal, until others may take it over."""
    renewed_s: float = 15.0
    """Between renewals."""
    settles_s: float = 1.0
    """After it was taken, until it is known that nobody else took it at the same moment."""
    looks_s: float = 1.0
    """Between looks of one who waits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """What `lease.json` says."""

    token: str
    """Of one driver; no two have the same."""
    host: str
    pid: int
    pid_space: str
    """Where the process number means something: this start of the machine, this container."""
    command: str
    since: str
    """ISO 8601, UTC."""
    n_renewals: int = 0

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
        """Whether it is known that its process is gone; of other machines nothing is known."""
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
        """Write it for other drivers, and for people."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()


class Lease:
    """That this process is the driver of a study; renewed by a thread until it is given back."""

    def __init__(self, root: Location, holder: Holder, times: LeaseTimes) -> None:
        """Take over what was written; use `take`."""
        self._file = root / LEASE
        self._holder = holder
        self._times = times
        self._lock = threading.Lock()
        self._is_lost = False
        self._renewed_at = _awake_s()
        self._giving_back = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    @classmethod
    def take(cls, root: Location, times: LeaseTimes | None = None) -> "Lease":
        """Become the driver of a study.

        Args:
            root: Folder of the ledger's objects.
            times: How patient to be.

        Raises:
            ArtifactError: Another driver is alive; the message says which.
            StoreError: The store refuses, or does not answer.
        """
        times = times or LeaseTimes()
        _wait_until_free(root, times)
        holder = Holder.here()
        (root / LEASE).write_bytes(holder.to_json())
        time.sleep(times.settles_s)
        found = _read(root / LEASE)
        if found is None or found.token != holder.token:
            raise _refusal(root, found)
        return cls(root, holder, times)

    def expect_held(self) -> None:
        """Raise unless no other driver can have taken the study over.

        Raises:
            ArtifactError: Another has, or may have.
            StoreError: The lease is old, and the store does not answer to renew it.
        """
        with self._lock:
            if not self._is_lost and _awake_s() - self._renewed_at < self._times.lasts_s / 2:
                return
            # This machine slept, or the store was away; nobody may have noticed.
            self._renew()

    def give_back(self) -> None:
        """Let others drive at once."""
        self._giving_back.set()
        self._thread.join()
        with contextlib.suppress(StoreError):
            found = _read(self._file)
            if found is not None and found.token == self._holder.token:
                self._file.delete()

    def _keep(self) -> None:
        while not self._giving_back.wait(self._times.renewed_s):
            with self._lock:
                try:
                    self._renew()
                except ArtifactError:
                    return
                except StoreError as error:
                    _LOG.warning("the lease of the study was not renewed: %s", error)

    def _renew(self) -> None:
        asked_at = _awake_s()
        found = None if self._is_lost else _read(self._file)
        if found is None or found.token != self._holder.token:
            self._is_lost = True
            by = "" if found is None else f": {_describe(found)}"
            raise ArtifactError(
                f"another driver has taken this study over{by}. This one stops and writes nothing "
                "more; every trial that it was told of is in the ledger."
            )
        self._holder = replace(self._holder, n_renewals=self._holder.n_renewals + 1)
        self._file.write_bytes(self._holder.to_json())
        self._renewed_at = asked_at


def is_leased(root: Location, times: LeaseTimes | None = None) -> bool:
    """Whether a driver of a study on a store is alive, as far as can be seen without writing.

    Here alone the clock of this machine is compared with the store's.

    Args:
        root: Folder of the ledger's objects.
        times: Of the lease.
    """
    holder = _read(root / LEASE)
    if holder is None or holder.has_ended:
        return False
    age_s = (datetime.now(UTC) - (root / LEASE).modified_at()).total_seconds()
    return age_s < 2 * (times or LeaseTimes()).lasts_s


def _wait_until_free(root: Location, times: LeaseTimes) -> None:
    first = _read(root / LEASE)
    if first is None or first.has_ended:
        return
    left_s = times.lasts_s - _age_s(root)
    if left_s > 0:
        _LOG.warning("%s: waiting %.0f s whether %s is alive", root, left_s, _describe(first))
    started = _awake_s()
    while _awake_s() - started < left_s:
        time.sleep(times.looks_s)
        found = _read(root / LEASE)
        if found is None or found.has_ended:
            return
        if found != first:
            raise _refusal(root, found)


def _age_s(root: Location) -> float:
    """Return how old the lease is by the store's clock, of which a new object tells the time."""
    probe = root / f".now-{secrets.token_hex(4)}"
    probe.write_bytes(b"\n")
    try:
        return (probe.modified_at() - (root / LEASE).modified_at()).total_seconds()
    finally:
        probe.delete()


def _read(file: Location) -> Holder | None:
    if not file.exists():
        return None
    try:
        return Holder(**json.loads(file.read_bytes()))
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"{file} cannot be read as the lease of a study ({error}). Remove it, if no search of "
            "this study runs."
        ) from None


def _refusal(root: Location, holder: Holder | None) -> ArtifactError:
    who = "another search took it at this moment" if holder is None else _describe(holder)
    return ArtifactError(
        f"{root.parent} is in use: one driver writes a study at a time, and {who}, and is alive. "
        "Wait until it ends, or end it there; a search that is gone is taken over by itself. "
        "`mvkt status` tells how far it is."
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


# Goes on while the machine sleeps, unlike Python's monotonic clock on Linux.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _awake_s() -> float:
    return time.clock_gettime(_CLOCK)
