"""Records in an object store: exactly the files that they name come here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.data.wfdb_format.wfdb_files import names_in_header
from mvkt_ray.data.wfdb_format.wfdb_formats import wfdb
from mvkt_ray.data.wfdb_format.wfdb_header import parse_header
from mvkt_ray.errors import RecordingError
from tests.object_store import S3Server
from tests.tiny_datasets import N_SAMPLES, SIGNAL_MV, write_record

HEADER = "r 12 100 300\n" + "".join(f"r.dat 16 1000/mV 16 0 0 0 0 {lead}\n" for lead in LEADS)


def test_every_file_of_a_header_is_named_once() -> None:
    def names(text: str) -> list[str]:
        return names_in_header(parse_header(text.encode(), "r.hea"))

    assert names(HEADER) == ["r.dat"]
    assert names("# a comment\n\nr 3 100 9\na.dat 16\nb.dat 16\n~ 0\n") == ["a.dat", "b.dat"]
    assert names("r/3 12 100 900\ns1 300\n~ 300\ns2 300\n") == ["s1", "s2"]


def test_a_record_of_several_segments_is_joined(s3_server: S3Server, tmp_path: Path) -> None:
    write_record(tmp_path, "s1", LEADS)
    write_record(tmp_path, "s2", LEADS)
    (tmp_path / "m.hea").write_text(f"m/2 12 100 {2 * N_SAMPLES}\ns1 {N_SAMPLES}\ns2 {N_SAMPLES}\n")
    location = s3_server.make_bucket("data") / "records"
    for path in tmp_path.iterdir():
        (location / path.name).upload(path)
    s3_server.forget_requests()
    signal_mv = read_wfdb(f"{location}/m").signal_mv
    np.testing.assert_array_equal(signal_mv, read_wfdb(str(tmp_path / "m")).signal_mv)
    np.testing.assert_allclose(signal_mv, np.tile(SIGNAL_MV, 2), atol=1e-6)
    assert len(s3_server.asked("GET")) == 5


def test_files_in_upper_case_are_brought(s3_server: S3Server, tmp_path: Path) -> None:
    write_record(tmp_path, "r", LEADS)
    location = s3_server.make_bucket("data") / "records"
    (location / "R.HEA").upload(tmp_path / "r.hea")
    (location / "R.DAT").upload(tmp_path / "r.dat")
    found = read_wfdb(f"{location}/R").signal_mv
    np.testing.assert_array_equal(found, read_wfdb(str(tmp_path / "r")).signal_mv)
    with pytest.raises(RecordingError, match="no file"):
        read_wfdb(f"{location}/r")


@pytest.mark.parametrize("name", ["../secret.dat", "/etc/passwd"])
def test_a_header_cannot_name_files_of_this_machine(
    s3_server: S3Server, tmp_path: Path, name: str
) -> None:
    location = s3_server.make_bucket("data")
    (location / "records/r.hea").write_bytes(HEADER.replace("r.dat", name).encode())
    with pytest.raises(RecordingError, match="not below its folder"):
        read_wfdb(f"{location}/records/r")


def test_files_that_are_links_out_of_the_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "annex").mkdir()
    (tmp_path / "records").mkdir()
    write_record(tmp_path / "annex", "r", LEADS)
    for suffix in (".hea", ".dat"):
        (tmp_path / "records" / f"r{suffix}").symlink_to(tmp_path / "annex" / f"r{suffix}")
    found = read_wfdb(str(tmp_path / "records" / "r")).signal_mv
    np.testing.assert_allclose(found, SIGNAL_MV, atol=1e-6)


def test_segments_that_name_each_other_end(s3_server: S3Server) -> None:
    location = s3_server.make_bucket("data")
    for one, other in (("a", "b"), ("b", "a")):
        (location / f"{one}.hea").write_bytes(f"{one}/1 12 100 300\n{other} 300\n".encode())
    with pytest.raises(RecordingError):
        read_wfdb(f"{location}/a")


def test_what_was_brought_is_gone_afterwards(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path / "record", "r", LEADS)
    location = s3_server.make_bucket("data")
    for path in (tmp_path / "record").iterdir():
        (location / path.name).upload(path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    record: Any = wfdb.rdrecord(str(tmp_path / "record" / "r"))
    assert read_wfdb(f"{location}/r").sampling_rate_hz == record.fs
    assert not list((tmp_path / "temporary").iterdir())
