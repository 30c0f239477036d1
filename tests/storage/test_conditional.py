"""Writes under a condition: of two at once one is refused, in a store and in a folder."""

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mvkt_ray.errors import StoreError, StoreUnreachableError
from mvkt_ray.storage import conditional
from mvkt_ray.storage.conditional import SharedObject, Version, expect_conditions
from mvkt_ray.storage.location import Location
from tests.object_store import S3Server


@pytest.fixture(params=["a bucket", "a folder"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "a folder":
        return Location.parse(tmp_path) / "ledger"
    server: S3Server = request.getfixturevalue("s3_server")
    return server.make_bucket("ecg") / "a study" / "ü%20"


def test_it_is_written_where_nothing_is_and_over_what_was_seen_only(folder: Location) -> None:
    file = SharedObject(folder / "lease.json")
    assert file.read() is None
    first = file.put(b"1", None)
    assert first is not None
    assert file.put(b"2", None) is None
    second = file.put(b"2", first)
    assert second is not None
    assert file.put(b"3", first) is None
    found = file.read()
    assert found is not None
    assert (found.content, found.version) == (b"2", second)
    assert (folder / "lease.json").read_bytes() == b"2"
    assert folder.names() == ["lease.json"]


def test_what_was_removed_is_not_written_over(folder: Location) -> None:
    file = SharedObject(folder / "lease.json")
    first = file.put(b"1", None)
    file.location.delete()
    assert file.put(b"2", first) is None
    assert file.put(b"3", None) is not None


def test_a_write_that_arrived_though_nothing_was_heard_of_it_is_known_as_ones_own(
    folder: Location,
) -> None:
    file = SharedObject(folder / "piece")
    first = file.put(b"mine", None)
    assert file.put(b"mine", None) == first
    # And one whose answer named another version.
    wrong = Version(etag='"wrong"')
    assert file.put(b"mine too", wrong) is None
    assert file.put(b"mine too", wrong, is_own=lambda content: content == b"mine") is not None
    assert file.put(b"mine too", first) is not None


def test_of_many_that_write_at_once_one_is_not_refused(folder: Location) -> None:
    def write(n_writer: int) -> bool:
        return SharedObject(folder / "head").put(f"{n_writer}".encode(), None) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 1


def test_no_addition_is_lost(folder: Location) -> None:
    SharedObject(folder / "sum").put(b"0 nobody", None)

    def add(n_writer: int) -> None:
        file, n_done = SharedObject(folder / "sum"), 0
        while n_done < 3:
            found = file.read()
            assert found is not None
            total = int(found.content.split()[0]) + 1
            is_written = file.put(f"{total} {n_writer}".encode(), found.version) is not None
            n_done += is_written

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    found = SharedObject(folder / "sum").read()
    assert found is not None
    assert found.content.split()[0] == b"12"


def test_a_store_that_looks_at_conditions_is_tried_out_and_nothing_stays(folder: Location) -> None:
    expect_conditions(folder)
    assert folder.names() == []


def test_a_store_that_does_not_is_refused(s3_server: S3Server) -> None:
    s3_server.ignores_conditions = True
    bucket = s3_server.make_bucket("ecg")
    with pytest.raises(StoreError, match=r"ignores the conditions.*Give --out"):
        expect_conditions(bucket / "study")
    assert (bucket / "study").names() == []


def test_what_a_store_refuses_is_explained_in_a_paragraph(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.make_bucket("public", read_only=True)
    for location, told in (
        (Location("s3://missing/x"), "no such bucket"),
        (Location("s3://public/x"), "access is denied"),
    ):
        with pytest.raises(StoreError, match=told) as caught:
            SharedObject(location).put(b"1", None)
        assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="no such bucket"):
        SharedObject(Location("s3://missing/x")).read()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreUnreachableError, match="does not answer") as unreachable:
        SharedObject(Location("s3://ecg/x")).read()
    assert unreachable.value.retriable
    assert "\n" not in str(unreachable.value)


def test_versions_differ_by_what_a_store_tells_them_by() -> None:
    assert Version(etag="a", generation="1") != replace(Version(etag="a"), generation="2")


def test_a_folder_that_a_stopped_process_has_locked_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditional, "LOCKED_WITHIN_S", 0.0)
    file = SharedObject(Location.parse(tmp_path / "lease.json"))
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(StoreUnreachableError, match="another process has held the folder"):
        file.put(b"1", None)
    os.close(holder)
    assert file.put(b"1", None) is not None
