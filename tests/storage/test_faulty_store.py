"""A store that answers wrongly, late in parts, or not at all: what is written is read back."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mvkt_ray.search.ledger.ledger_shipping import Shipment, ShippingTimes, connect
from mvkt_ray.search.ledger.shipped_ledger import claim, restore
from mvkt_ray.storage.conditional import SharedObject
from mvkt_ray.storage.location import Location
from tests.object_store import S3Server
from tests.store_faults import KINDS, Faults

# What is late costs seconds each: `benchmarks.store_faults` has them too.
QUICK = tuple(kind for kind in KINDS if kind != "answered late")


@pytest.fixture
def bucket(s3_server: S3Server) -> Location:
    return s3_server.make_bucket("ecg")


def test_files_and_shared_objects_are_as_they_were_written(
    s3_server: S3Server, bucket: Location, tmp_path: Path
) -> None:
    faults = Faults(seed=5, share=0.2, kinds=QUICK)
    s3_server.around = faults.around
    for n in range(5):
        content, file = bytes([n]) * 100_000, bucket / "shards" / f"{n}.arrow"
        file.write_bytes(content)
        assert file.read_bytes() == content
        assert file.size_bytes() == len(content)
        file.fetch(tmp_path / "fetched")
        assert (tmp_path / "fetched").read_bytes() == content
        lease = SharedObject(bucket / f"{n}.json")
        version = lease.put(b"first", None)
        assert version is not None
        assert lease.put(b"second", version, is_own=lambda said: said == b"first") is not None
        found = lease.read()
        assert found is not None
        assert found.content == b"second"
    assert len(bucket.file_names()) == 10
    assert len(faults.counts) > 3
    assert faults.counts.total() > 5, dict(faults.counts)


def test_a_ledger_is_shipped_and_read_by_the_next_driver(
    s3_server: S3Server, bucket: Location, tmp_path: Path
) -> None:
    faults, root, said = Faults(seed=2, share=0.25, kinds=QUICK), bucket / "ledger", list[str]()
    s3_server.around = faults.around
    times = replace(ShippingTimes(), generation_bytes=1, first_pause_s=0.01)
    for n_driver in range(2):
        database = tmp_path / f"{n_driver}.db"
        claimed = claim(root)
        restore(root, database)
        shipment = Shipment(root, database, claimed, times=times)
        for n_answer in range(4):
            with shipment.writing(), closing(connect(database)) as connection, connection:
                connection.execute("CREATE TABLE IF NOT EXISTS notes (said TEXT)")
                connection.execute("INSERT INTO notes VALUES (?)", (f"{n_driver}.{n_answer}",))
            said.append(f"{n_driver}.{n_answer}")
        shipment.abandon()
    restore(root, tmp_path / "read.db")
    with closing(sqlite3.connect(tmp_path / "read.db")) as connection:
        assert [row[0] for row in connection.execute("SELECT said FROM notes")] == said
    assert faults.counts.total() > 3, dict(faults.counts)
