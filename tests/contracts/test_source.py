"""Every source keeps the same promises; a source without a case here fails."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvkt_ray.data.recording import LEADS, Recording
from mvkt_ray.data.sources import SOURCES, Source, open_source
from mvkt_ray.data.wfdb_format.wfdb_formats import wfdb  # there its warnings on import are silenced
from mvkt_ray.errors import DataError, RecordingError, StoreError
from mvkt_ray.storage.location import Location
from mvkt_ray.testing import SourceContract
from tests.hospital_files import MAKE, OPTIONS
from tests.object_store import S3Server
from tests.tiny_datasets import (
    HEADER_LEADS,
    N_SAMPLES,
    RATE_HZ,
    SIGNAL_MV,
    make_cinc2021,
    make_cpsc2018,
    make_ptbxl,
    make_wfdb,
    write_record,
)


def make_nothing(folder: Path) -> None:
    assert folder.is_dir()


CASES: dict[str, tuple[Callable[[Path], None], Mapping[str, object]]] = {
    "ptbxl": (make_ptbxl, {}),
    "cpsc2018": (make_cpsc2018, {}),
    "cinc2021": (make_cinc2021, {}),
    "wfdb": (make_wfdb, {}),
    **{name: (make, OPTIONS.get(name, {})) for name, make in MAKE.items()},
    "synthetic": (make_nothing, {"n_recordings": 3, "duration_s": N_SAMPLES / RATE_HZ}),
}
WITH_FILES = [name for name in CASES if name != "synthetic"]
FILES = {name: ("",) if name in MAKE else (".dat", ".hea") for name in WITH_FILES}
"""What is behind the path of a recording in the names of its files."""
EACH_FILE = [(name, suffix) for name in WITH_FILES for suffix in FILES[name]]


def test_every_source_has_a_case() -> None:
    assert CASES.keys() == SOURCES.keys()
    assert all(SOURCES[name].name == name for name in SOURCES)


def build(name: str, folder: Path) -> Source:
    make, options = CASES[name]
    make(folder)
    return open_source(name, str(folder), options)


def copy_to_store(folder: Path, bucket: Location) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            (bucket / str(path.relative_to(folder))).upload(path)


def build_in_store(name: str, folder: Path, server: S3Server) -> Source:
    """Make the same dataset as `build`, in a bucket."""
    make, options = CASES[name]
    make(folder)
    bucket = server.make_bucket("data") / "sets" / name
    copy_to_store(folder, bucket)
    return open_source(name, str(bucket), options)


@pytest.fixture(params=[*CASES, *(f"{name} in a bucket" for name in WITH_FILES)])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    name, _, where = request.param.partition(" ")
    if where:
        return build_in_store(name, tmp_path, request.getfixturevalue("s3_server"))
    return build(name, tmp_path)


def read_all(source: Source) -> list[Recording]:
    return [source.read(ref) for ref in source.references(RATE_HZ)]


class TestSources(SourceContract):
    sampling_rate_hz = RATE_HZ

    @pytest.fixture
    def source(self, source: Source) -> Source:
        return source


def test_all_twelve_leads_are_read_as_they_were_written(source: Source) -> None:
    found = read_all(source)
    assert len(found) == 3
    for recording in found:
        assert recording.leads == LEADS
        assert recording.signal_mv.shape == (12, N_SAMPLES)
        assert recording.sampling_rate_hz == RATE_HZ
        assert recording.codes
        assert (recording.fold is not None) == source.has_folds
        if source.name != "synthetic":
            assert recording.sex == "female"
            np.testing.assert_allclose(recording.signal_mv, SIGNAL_MV, atol=1e-6)


@pytest.mark.parametrize("name", WITH_FILES)
@pytest.mark.parametrize(
    "path",
    ["nowhere", "empty", "a_file", "", "s3://nowhere/data", "s3://bucket/data", "ftp://a/b"],
)
def test_a_wrong_folder_is_one_paragraph_at_once(
    tmp_path: Path, s3_server: S3Server, name: str, path: str
) -> None:
    s3_server.make_bucket("bucket")
    (tmp_path / "empty").mkdir()
    (tmp_path / "a_file").write_text("")
    location = path if "://" in path or not path else str(tmp_path / path)
    source = open_source(name, location, CASES[name][1])
    with pytest.raises(DataError) as caught:
        source.references(RATE_HZ)
    message = str(caught.value)
    assert "\n" not in message
    assert location in message
    assert message.endswith((".", ")"))  # of what the store says


@pytest.mark.parametrize("name", WITH_FILES)
def test_a_relative_folder_is_found_from_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    source = build(name, Path("data"))
    refs = list(source.references(RATE_HZ))
    monkeypatch.chdir("/")
    assert source.read(refs[0]).signal_mv.shape == (12, N_SAMPLES)


@pytest.mark.parametrize(("name", "suffix"), EACH_FILE)
def test_one_bad_recording_says_why_and_leaves_the_others(
    tmp_path: Path, name: str, suffix: str
) -> None:
    source = build(name, tmp_path)
    first, *rest = source.references(RATE_HZ)
    path = Path(first.path + suffix)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RecordingError) as caught:
        source.read(first)
    assert caught.value.reason in ("truncated", "header_mismatch", "unreadable")
    assert Path(first.path).name in str(caught.value)
    assert all(source.read(ref).signal_mv.shape == (12, N_SAMPLES) for ref in rest)


@pytest.mark.parametrize("name", WITH_FILES)
def test_a_bucket_gives_what_a_folder_gives(tmp_path: Path, s3_server: S3Server, name: str) -> None:
    there = build_in_store(name, tmp_path, s3_server)
    here = open_source(name, str(tmp_path), CASES[name][1])
    assert there.tasks() == here.tasks()
    assert there.has_folds == here.has_folds
    far_refs, near_refs = list(there.references(RATE_HZ)), list(here.references(RATE_HZ))
    for far, near in zip(far_refs, near_refs, strict=True):
        assert far.path.removeprefix("s3://data/sets/") == near.path.replace(str(tmp_path), name)
        assert dataclasses.replace(far, path=near.path) == near
        s3_server.forget_requests()
        one, two = there.read(far), here.read(near)
        n_requests = 2 if name == "parquet" else len(FILES[name])  # its footer, and the rows
        assert len(s3_server.asked("GET")) == n_requests
        np.testing.assert_array_equal(one.signal_mv, two.signal_mv)
        for fact in ("record_id", "patient_id", "leads", "age", "sex", "fold", "codes"):
            assert getattr(one, fact) == getattr(two, fact)


@pytest.mark.parametrize(("name", "suffix"), EACH_FILE)
@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_a_bad_recording_in_a_bucket_has_the_reason_that_it_has_in_a_folder(
    tmp_path: Path, s3_server: S3Server, name: str, suffix: str, harm: str
) -> None:
    there = build_in_store(name, tmp_path, s3_server)
    here = open_source(name, str(tmp_path), CASES[name][1])
    near, far = next(here.references(RATE_HZ)), next(there.references(RATE_HZ))
    content = Path(near.path + suffix).read_bytes()[:100]
    Path(near.path + suffix).unlink()
    Location(far.path + suffix).delete()
    if harm == "truncated":
        Path(near.path + suffix).write_bytes(content)
        Location(far.path + suffix).write_bytes(content)
    with pytest.raises(RecordingError) as expected:
        here.read(near)
    with pytest.raises(RecordingError) as caught:
        there.read(far)
    assert caught.value.reason == expected.value.reason
    assert str(caught.value) == str(expected.value).replace(near.path, far.path)


@pytest.mark.parametrize("name", WITH_FILES)
def test_a_store_that_is_down_or_closed_is_no_bad_recording(
    tmp_path: Path, s3_server: S3Server, name: str
) -> None:
    there = build_in_store(name, tmp_path, s3_server)
    ref = next(there.references(RATE_HZ))
    s3_server.closed.add("data")
    with pytest.raises(StoreError, match="access is denied") as caught:
        there.read(ref)
    assert not isinstance(caught.value, RecordingError)
    with pytest.raises(StoreError, match="access is denied"):
        there.references(RATE_HZ)


def test_the_records_of_this_file_are_what_wfdb_reads(tmp_path: Path) -> None:
    write_record(tmp_path, "r", HEADER_LEADS)
    record: Any = wfdb.rdrecord(str(tmp_path / "r"))
    assert record.sig_name == list(HEADER_LEADS)
    order = [name.lower() for name in HEADER_LEADS]
    wanted = SIGNAL_MV[[[lead.lower() for lead in LEADS].index(name) for name in order]]
    np.testing.assert_allclose(record.p_signal.T, wanted)
