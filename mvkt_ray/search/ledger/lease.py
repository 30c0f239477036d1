"""One driver at a time for a study on an object store, which has no locks.

`lease.json` says who drives the study and is written anew by its driver every few seconds. Whoever
wants to drive waits until it has either been renewed, and is refused, or has not been for too long,
and takes it over. Its age is told by the store's clock alone, so wrong clocks of machines do no
harm; a holder whose process was on this machine and is gone is not waited for.

It is taken and renewed by writes under the condition that nobody else has written it meanwhile, so
of two that take it at the same moment one is refused, and a driver learns from a refusal that it
has lost it. A driver that sleeps may learn so late, but can do nothing with it: what it then writes
to the ledger is refused by itself (`shipped_ledger`).

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
"""Of taking one whose driver renews it under our hands."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseTimes:
    """How long a lease lasts, and how often it is looked at; seconds."""

    lasts_s: float = 60.0
    """After its last renewal, until others may take it over."""
    renewed_s: float = 15.0
    """Between renewals."""
    looks_s: float = 1.0
    """Between looks of one who waits."""
    says_s: float = 10.0
    """Between lines that say for what."""


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
        """Whether it is known that it drives no more; of other machines' processes that is not."""
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
        """Write it for other drivers, and for people."""
        return sealed_json(asdict(self))


class Lease:
    """That this process is the driver of a study; renewed by a thread until it is given back."""

    def __init__(
        self, file: SharedObject, holder: Holder, version: Version, times: LeaseTimes
    ) -> None:
        """Take over what was written; use `take`."""
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
            times: How patient to be.

        Raises:
            ArtifactError: Another driver is alive; the message says which.
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
        """Raise if it is known that another driver has taken the study over.

        Raises:
            ArtifactError: Another has.
        """
        if self._lost is not None:
            raise self._lost

    def renew(self) -> None:
        """Say that this driver is alive; its thread does so every few seconds.

        Raises:
            ArtifactError: Another has taken the study over.
            StoreError: The store refuses, or does not answer.
        """
        self._write(replace(self._holder, n_renewals=self._holder.n_renewals + 1))

    def give_back(self) -> None:
        """Let others drive at once."""
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
        # An earlier renewal may have arrived of which nothing was heard.
        version = self._file.put(holder.to_json(), self._version, is_own=lambda said: own in said)
        if version is None:
            found = _read(self._file.location.parent)
            by = "" if found is None else f": {_describe(found)}"
            self._lost = ArtifactError(
                f"another driver has taken this study over{by}. This one stops and writes nothing "
                "more; every trial that it was told of is in the ledger."
            )
            raise self._lost
        self._holder, self._version = holder, version


def is_leased(root: Location, times: LeaseTimes | None = None) -> bool:
    """Whether a driver of a study on a store is alive, as far as can be seen without writing.

    Here alone the clock of this machine is compared with the store's.

    Args:
        root: Folder of the ledger's objects.
        times: Of the lease.
    """
    holder = _read(root)
    if holder is None or holder.has_ended:
        return False
    age_s = (datetime.now(UTC) - (root / LEASE).modified_at()).total_seconds()
    return age_s < 2 * (times or LeaseTimes()).lasts_s


def _wait_until_free(root: Location, first: Found, times: LeaseTimes) -> Found | None:
    """Return what is there when it may be taken over, once it has not been renewed for its time."""
    # Nobody who lives lets that time pass, so it suffices where the store's clock was set back.
    holder, left_s = _parse(root, first.content), times.lasts_s - max(0.0, _age_s(root))
    started, said_at = _awake_s(), -math.inf
    until = datetime.now().astimezone() + timedelta(seconds=left_s)
    while (waited_s := _awake_s() - started) < left_s:
        if waited_s - said_at >= times.says_s:
            said_at = waited_s
            _LOG.warning(
                "%s: waiting until %s at most, another %.0f s, whether the search that holds the "
                "study is alive: %s",
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
    """Return how old the lease is by the store's clock, of which a new object tells the time."""
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
    advice = "Remove it, if no search of this study runs."
    with reading(f"{root / LEASE}, the lease of a study,", advice, ArtifactError):
        return Holder(**unsealed_json(content))


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
