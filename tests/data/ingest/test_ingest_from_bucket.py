"""The same dataset in a bucket and in a folder: the same shards, byte for byte."""

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.sources import open_source
from mvkt_ray.errors import StoreError
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest
from tests.object_store import S3Server
from tests.tiny_datasets import make_cinc2021, make_cpsc2018, make_ptbxl, make_wfdb

MAKERS = {
    "ptbxl": make_ptbxl,
    "cpsc2018": make_cpsc2018,
    "cinc2021": make_cinc2021,
    "wfdb": make_wfdb,
}
SMALL = IngestSettings(rows_per_shard=16)


def store(server: S3Server, folder: Path, key: str = "set/1.0") -> Location:
    location = server.make_bucket("physionet-open") / key
    for path in folder.rglob("*"):
        if path.is_file():
            (location / str(path.relative_to(folder))).upload(path)
    server.forget_requests()
    return location


def run(name: str, location: object, out: Path, settings: IngestSettings = SMALL) -> Manifest:
    return ingest(open_source(name, str(location), {}), str(out), settings, resume=True)


def shards_of(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.arrow")}


def expect_same(near: Path, far: Path) -> None:
    assert shards_of(near) == shards_of(far)
    columns = ["record_id", "reason"]
    kept = [pq.read_table(out / "quarantine.parquet", columns=columns) for out in (near, far)]
    assert kept[0].equals(kept[1])


@pytest.mark.parametrize("name", MAKERS)
def test_shards_from_a_bucket_are_those_from_a_folder(
    s3_server: S3Server, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "set"
    MAKERS[name](folder)
    first, second, _ = sorted(folder.rglob("*.dat"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-2])
    location = store(s3_server, folder)
    settings = IngestSettings(rows_per_shard=2, n_folds=3)
    near = run(name, folder, tmp_path / "near", settings)
    far = run(name, location, tmp_path / "far", settings)
    assert near.details["quarantine"] == {"missing_file": 1, "truncated": 1}
    assert far.recipe == near.recipe
    expect_same(tmp_path / "near", tmp_path / "far")
    messages = pq.read_table(tmp_path / "far" / "quarantine.parquet")["message"].to_pylist()
    assert all(f"{location}/" in message for message in messages)


def test_real_ptbxl_costs_two_files_a_recording_and_one_table_a_listing(
    s3_server: S3Server, shared_data: Path, tmp_path: Path
) -> None:
    n_recordings = 40
    copy_ptbxl(shared_data / "ptbxl", tmp_path / "set", n_recordings)
    location = store(s3_server, tmp_path / "set")
    near = run("ptbxl", tmp_path / "set", tmp_path / "near")
    far = run("ptbxl", location, tmp_path / "far")
    assert near.counts["n_recordings"] > 0.9 * n_recordings
    assert far.recipe == near.recipe
    expect_same(tmp_path / "near", tmp_path / "far")

    prefix = "set/1.0/records100/"
    read = s3_server.asked("GET", prefix)
    assert len(read) == 2 * n_recordings == len({request.key for request in read})
    size = sum(path.stat().st_size for path in (tmp_path / "set/records100").rglob("*.*"))
    assert s3_server.n_bytes_read(prefix) == size
    # All that is besides: the tables and the looks at folders, whatever the number of recordings.
    assert len(s3_server.asked("GET")) - len(read) < 20


def copy_ptbxl(source: Path, target: Path, n_recordings: int) -> None:
    target.mkdir()
    (target / "scp_statements.csv").write_bytes((source / "scp_statements.csv").read_bytes())
    with (source / "ptbxl_database.csv").open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        kept = [row for row, _ in zip(rows, range(n_recordings), strict=False)]
    with (target / "ptbxl_database.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, kept[0])
        writer.writeheader()
        writer.writerows(kept)
    for row in kept:
        for suffix in (".hea", ".dat"):
            name = row["filename_lr"] + suffix
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((source / name).read_bytes())


@pytest.mark.parametrize(
    ("name", "folder"),
    [("cpsc2018", "cpsc2018_original"), ("cinc2021", "cinc2021/training/chapman_shaoxing")],
)
def test_real_recordings_of_the_challenge_are_the_same(
    s3_server: S3Server, shared_data: Path, tmp_path: Path, name: str, folder: str
) -> None:
    # The source of one database knows it by the name of its folder.
    location = store(s3_server, shared_data / folder, "data/" + folder)
    settings = IngestSettings(rows_per_shard=4, n_folds=3)
    near = run(name, shared_data / folder, tmp_path / "near", settings)
    far = run(name, location, tmp_path / "far", settings)
    assert near.counts["n_recordings"] > 3
    assert far.recipe == near.recipe
    expect_same(tmp_path / "near", tmp_path / "far")


def test_a_store_that_closes_in_the_middle_stops_the_ingest_which_then_goes_on(
    s3_server: S3Server, tmp_path: Path
) -> None:
    make_ptbxl(tmp_path / "set")
    location = store(s3_server, tmp_path / "set")
    settings = IngestSettings(rows_per_shard=1)
    source = open_source("ptbxl", str(location), {})

    def close(state: object) -> None:
        s3_server.closed.add("physionet-open")

    with pytest.raises(StoreError, match="access is denied"):
        ingest(source, str(tmp_path / "far"), settings, on_progress=close)
    assert not (tmp_path / "far").exists()
    s3_server.closed.clear()
    s3_server.forget_requests()
    run("ptbxl", location, tmp_path / "far", settings)
    run("ptbxl", tmp_path / "set", tmp_path / "near", settings)
    expect_same(tmp_path / "near", tmp_path / "far")
    # The shard that was there already was not built again.
    assert len(s3_server.asked("GET", "set/1.0/records100/")) == 2 * 2
