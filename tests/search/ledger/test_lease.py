"""One driver at a time on an object store; a folder stands in for the store here."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mvkt_ray.errors import ArtifactError, StoreUnreachableError
from mvkt_ray.search.ledger.lease import LEASE, Holder, Lease, LeaseTimes, is_leased
from mvkt_ray.storage.location import Location

LONG = LeaseTimes(lasts_s=3600.0, renewed_s=3600.0, settles_s=0.0, looks_s=0.01)
"""Nothing happens by itself within the time of a test."""


@pytest.fixture
def root(tmp_path: Path) -> Location:
    (tmp_path / "study" / "ledger").mkdir(parents=True)
    return Location.parse(tmp_path / "study" / "ledger")


def elsewhere(**fields: object) -> Holder:
    """A driver on another machine."""
    return replace(Holder.here(), host="node-7", pid_space="another", pid=4711, **fields)


def test_a_lease_is_held_until_it_is_given_back(root: Location) -> None:
    lease = Lease.take(root, LONG)
    lease.expect_held()
    lease.give_back()
    assert root.names() == []
    Lease.take(root, LONG).give_back()


def test_a_driver_that_is_alive_is_not_displaced_and_is_named(root: Location) -> None:
    times = replace(LONG, renewed_s=0.05)
    lease = Lease.take(root, times)
    with pytest.raises(ArtifactError, match=r"study is in use: one driver.*process") as caught:
        Lease.take(root, times)
    assert str(os.getpid()) in str(caught.value)
    assert "\n" not in str(caught.value)
    lease.expect_held()
    lease.give_back()
    assert root.names() == []


def test_a_lease_that_was_not_renewed_for_its_time_is_taken_over(root: Location) -> None:
    (root / LEASE).write_bytes(elsewhere().to_json())
    lease = Lease.take(root, replace(LONG, lasts_s=0.2))
    # The clock of the machine that wrote it plays no part: only the file's own age does.
    (root / LEASE).local_path.touch()
    lease.give_back()


def test_the_age_of_a_lease_is_told_by_the_stores_clock_alone(root: Location) -> None:
    (root / LEASE).write_bytes(elsewhere(since="2099-01-01T00:00:00+00:00").to_json())
    old = (root / LEASE).modified_at().timestamp() - 2 * LONG.lasts_s
    os.utime((root / LEASE).local_path, (old, old))
    # Without a wait, although it says that it was taken in the future and lasts for an hour.
    Lease.take(root, LONG).give_back()
    assert root.names() == []


def test_who_waits_for_a_dead_driver_refuses_when_it_turns_out_to_be_alive(
    root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, read = elsewhere(), Location.read_bytes
    (root / LEASE).write_bytes(holder.to_json())

    def renewed_then(runner: Location) -> bytes:
        content = read(runner)
        (root / LEASE).write_bytes(replace(holder, n_renewals=1).to_json())
        return content

    monkeypatch.setattr(Location, "read_bytes", renewed_then)
    with pytest.raises(ArtifactError, match=r"on node-7 \(process 4711\)"):
        Lease.take(root, LONG)


def test_a_driver_that_died_on_this_machine_is_not_waited_for(root: Location) -> None:
    code = (
        "import os, signal, sys\n"
        "from mvkt_ray.storage.location import Location\n"
        "from mvkt_ray.search.ledger.lease import Lease\n"
        "Lease.take(Location(sys.argv[1]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(root)]).returncode < 0
    assert root.names() == [LEASE]
    Lease.take(root, LONG).give_back()


def test_a_driver_whose_lease_was_taken_may_not_write(root: Location) -> None:
    lease = Lease.take(root, replace(LONG, lasts_s=0.0))
    other = elsewhere()
    (root / LEASE).write_bytes(other.to_json())
    for _ in range(2):
        with pytest.raises(ArtifactError, match=r"another driver has taken this study over"):
            lease.expect_held()
    lease.give_back()
    # The other's lease is left alone.
    assert (root / LEASE).read_bytes() == other.to_json()


def test_a_driver_that_slept_goes_on_if_nobody_took_its_study(root: Location) -> None:
    lease = Lease.take(root, replace(LONG, lasts_s=0.0))
    lease.expect_held()
    assert b'"n_renewals": 1' in (root / LEASE).read_bytes()
    lease.give_back()


def test_a_driver_that_cannot_renew_in_time_may_not_write(
    root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease.take(root, replace(LONG, lasts_s=0.0))

    def fail(*_: object) -> None:
        raise StoreUnreachableError("the store does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Location, "write_bytes", fail)
        with pytest.raises(StoreUnreachableError):
            lease.expect_held()
    lease.expect_held()
    lease.give_back()


def test_of_two_that_take_a_study_at_the_same_moment_one_goes_on(
    root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, rival = Location.write_bytes, elsewhere()

    def overtaken(runner: Location, content: bytes) -> None:
        put(runner, content)
        put(runner, rival.to_json())

    with monkeypatch.context() as patch:
        patch.setattr(Location, "write_bytes", overtaken)
        with pytest.raises(ArtifactError, match="node-7"):
            Lease.take(root, LONG)
    assert (root / LEASE).read_bytes() == rival.to_json()


def test_a_damaged_lease_is_told_in_one_paragraph(root: Location) -> None:
    (root / LEASE).write_bytes(b"{}")
    with pytest.raises(ArtifactError, match=r"lease\.json cannot be read as the lease.*Remove it"):
        Lease.take(root, LONG)


def test_a_lease_is_seen_without_writing_while_its_driver_may_be_alive(root: Location) -> None:
    assert not is_leased(root)
    (root / LEASE).write_bytes(elsewhere().to_json())
    assert is_leased(root, LONG)
    os.utime((root / LEASE).local_path, (0, 0))
    assert not is_leased(root, LONG)
    lease = Lease.take(root, LONG)
    assert is_leased(root, LONG)
    lease.give_back()
    assert not is_leased(root, LONG)
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    (root / LEASE).write_bytes(replace(Holder.here(), pid=int(gone.stdout)).to_json())
    assert not is_leased(root, LONG), "its process was on this machine, and has ended"
    assert root.names() == [LEASE]
