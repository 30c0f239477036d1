"""One driver at a time on an object store; a folder stands in for the store where none is named."""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.errors import ArtifactError, StoreError, StoreUnreachableError
from mvkt_ray.search.ledger.lease import LEASE, Holder, Lease, LeaseTimes, is_leased
from mvkt_ray.storage.conditional import SharedObject, Version
from mvkt_ray.storage.location import Location
from tests.object_store import S3Server

LONG = LeaseTimes(lasts_s=3600.0, renewed_s=3600.0, looks_s=0.01)
"""Nothing happens by itself within the time of a test."""
SHORT = replace(LONG, lasts_s=0.0)
"""Whoever comes takes the study over."""


@pytest.fixture
def root(tmp_path: Path) -> Location:
    (tmp_path / "study" / "ledger").mkdir(parents=True)
    return Location.parse(tmp_path / "study" / "ledger")


def elsewhere(**fields: object) -> Holder:
    """A driver on another machine."""
    return replace(Holder.here(), host="node-7", pid_space="another", pid=4711, **fields)


def said(root: Location) -> dict[str, object]:
    return json.loads((root / LEASE).read_bytes())


def test_a_lease_is_held_until_it_is_given_back(root: Location) -> None:
    lease = Lease.take(root, LONG)
    lease.expect_held()
    lease.give_back()
    assert root.names() == [LEASE]
    assert said(root)["is_given_back"]
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
    assert said(root)["is_given_back"]


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
    assert root.names() == [LEASE]


def test_who_waits_for_a_dead_driver_refuses_when_it_turns_out_to_be_alive(
    root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, read = elsewhere(), SharedObject.read
    (root / LEASE).write_bytes(holder.to_json())

    def renewed_then(file: SharedObject) -> object:
        found = read(file)
        (root / LEASE).write_bytes(replace(holder, n_renewals=1).to_json())
        return found

    monkeypatch.setattr(SharedObject, "read", renewed_then)
    with pytest.raises(ArtifactError, match=r"on node-7 \(process 4711\)"):
        Lease.take(root, LONG)


def test_who_waits_says_at_once_and_again_for_what_and_until_when(
    root: Location, caplog: pytest.LogCaptureFixture
) -> None:
    (root / LEASE).write_bytes(elsewhere().to_json())
    with caplog.at_level(logging.WARNING):
        Lease.take(root, replace(LONG, lasts_s=0.3, says_s=0.1)).give_back()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) > 1
    for line in lines:
        assert "study: waiting until" in line
        assert "at most" in line
        assert "on node-7 (process 4711)" in line


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


def test_a_driver_whose_lease_was_taken_learns_it_and_leaves_the_other_alone(
    root: Location,
) -> None:
    lease = Lease.take(root, LONG)
    other = elsewhere()
    (root / LEASE).write_bytes(other.to_json())
    for look in (lease.renew, lease.expect_held, lease.renew):
        with pytest.raises(ArtifactError, match=r"another driver .* over: .*node-7"):
            look()
    lease.give_back()
    assert (root / LEASE).read_bytes() == other.to_json()


def test_a_driver_that_slept_goes_on_if_nobody_took_its_study(root: Location) -> None:
    lease = Lease.take(root, SHORT)
    lease.renew()
    lease.expect_held()
    assert said(root)["n_renewals"] == 1
    lease.give_back()


@pytest.mark.parametrize("arrived", [False, True])
def test_a_renewal_of_which_nothing_was_heard_costs_no_lease(
    root: Location, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    lease, put = Lease.take(root, LONG), SharedObject.put

    def lose(file: SharedObject, content: bytes, replaces: Version | None, **_: object) -> None:
        if arrived:
            put(file, content, replaces)
        raise StoreUnreachableError("the store does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(SharedObject, "put", lose)
        with pytest.raises(StoreUnreachableError):
            lease.renew()
    lease.expect_held()
    lease.renew()
    lease.give_back()
    assert said(root)["is_given_back"]


def test_of_two_that_take_a_study_at_the_same_moment_one_goes_on(
    root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, rival = SharedObject.put, elsewhere()

    def overtaken(file: SharedObject, content: bytes, replaces: Version | None) -> object:
        (root / LEASE).write_bytes(rival.to_json())
        return put(file, content, replaces)

    with monkeypatch.context() as patch:
        patch.setattr(SharedObject, "put", overtaken)
        with pytest.raises(ArtifactError, match="node-7"):
            Lease.take(root, LONG)
    assert (root / LEASE).read_bytes() == rival.to_json()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["take", "renew", "give back"]))))
def test_whatever_three_drivers_do_the_last_that_took_it_has_it_and_no_other(
    steps: list[tuple[int, str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, leases, holder = Location.parse(folder), dict[int, Lease](), None
        for driver, step in steps:
            if step == "take":
                # All are this process, which lives; each takes what the one before still holds.
                leases[driver] = Lease.take(root, SHORT)
                holder = driver
            elif step == "renew" and driver in leases and driver == holder:
                leases[driver].renew()
            elif step == "renew" and driver in leases:
                with pytest.raises(ArtifactError, match="another driver"):
                    leases[driver].renew()
            elif step == "give back" and driver in leases:
                leases.pop(driver).give_back()
                holder = None if driver == holder else holder
        if holder is not None:
            leases[holder].renew()
        for lease in leases.values():
            lease.give_back()


def test_a_store_without_conditional_writes_is_refused_before_anything_is_written(
    s3_server: S3Server,
) -> None:
    root = s3_server.make_bucket("old-clone") / "study" / "ledger"
    s3_server.ignores_conditions = True
    with pytest.raises(StoreError, match="ignores the conditions") as caught:
        Lease.take(root)
    assert "\n" not in str(caught.value)
    assert root.names() == []
    s3_server.ignores_conditions = False
    Lease.take(root).give_back()
    assert root.names() == [LEASE]


def test_a_store_whose_clock_was_set_back_is_not_waited_for(root: Location) -> None:
    (root / LEASE).write_bytes(elsewhere().to_json())
    in_an_hour = time.time() + 3600.0
    os.utime((root / LEASE).local_path, (in_an_hour, in_an_hour))
    Lease.take(root, SHORT).give_back()


def test_a_damaged_lease_is_told_in_one_paragraph(root: Location) -> None:
    (root / LEASE).write_bytes(b"{}")
    with pytest.raises(ArtifactError, match=r"lease\.json, the lease .*cannot be read.*remove"):
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
