"""What folders of files share: tables of labels, paths, patients, readers that are not there."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mvkt_ray.data.identity import header_patient, own_patient
from mvkt_ray.data.recording import Recording
from mvkt_ray.data.sources import open_source
from mvkt_ray.errors import ConfigError, DataError, RecordingError
from tests.hospital_files import MAKE, TABLE_OPTIONS
from tests.hospital_xml import PATIENT_ID, muse_text, write_xml

HEADER = "record,codes,patient_id\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.xml", "b/c.xml", "b/d.xml"):
        write_xml(tmp_path / name, muse_text())
    (tmp_path / "notes.txt").write_text("none")
    return tmp_path


def read_all(folder: Path, **options: object) -> list[Recording]:
    source = open_source("muse", str(folder), options)
    return [source.read(ref) for ref in source.references(100)]


def test_without_a_table_every_file_is_a_recording_without_labels(folder: Path) -> None:
    source = open_source("muse", str(folder), {})
    found = read_all(folder)
    assert [each.record_id for each in found] == ["a.xml", "b/c.xml", "b/d.xml"]
    assert {each.patient_id for each in found} == {header_patient(PATIENT_ID)}
    assert {each.codes for each in found} == {()}
    assert (source.tasks(), source.has_folds, source.not_listed(100).n_records) == ({}, False, 0)


def test_the_table_goes_before_the_header_and_what_it_leaves_out_is_counted(folder: Path) -> None:
    (folder / "labels.csv").write_text(
        "record,codes,patient_id,age,sex\nb/c,AF;MI,p1,61,M\na.xml,,,,\n"
    )
    one, two = read_all(folder)
    assert (one.record_id, one.codes, one.patient_id) == ("b/c.xml", ("AF", "MI"), "p1")
    assert (one.age, one.sex) == (61.0, "male")
    assert (two.patient_id, two.age, two.sex) == (own_patient("a.xml"), 51.0, "female")
    source = open_source("muse", str(folder), {})
    assert source.tasks()["all"].classes == ("AF", "MI")
    left = source.not_listed(100)
    assert (left.n_records, left.examples) == (1, ("b/d.xml",))


def test_a_table_without_patients_leaves_them_to_the_headers(folder: Path) -> None:
    (folder / "labels.csv").write_text("record,AF,MI\na,1,0\nb/c.xml,0,0\n")
    one, two = read_all(folder)
    assert one.patient_id == two.patient_id == header_patient(PATIENT_ID)
    assert (one.codes, two.codes) == (("AF",), ())


def test_a_table_may_be_parquet_anywhere(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    elsewhere = tmp_path_factory.mktemp("tables") / "ours.parquet"
    frame = pd.DataFrame(
        {
            "record": ["b/d", "a.xml"], "codes": [["AF", "MI"], []], "age": [61.0, np.nan],
            "patient_id": [7, 8], "fold": [1, 2], "letter": [b"x", b"y"],
        }
    )  # fmt: skip
    frame.to_parquet(elsewhere)
    one, two = read_all(folder, labels=str(elsewhere))
    assert (one.record_id, one.codes, one.age, one.patient_id, one.fold) == (
        "b/d.xml", ("AF", "MI"), 61.0, "7", 1,
    )  # fmt: skip
    assert (two.codes, two.age, two.patient_id, two.fold) == ((), 51.0, "8", 2)


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        (f"{HEADER}../x.xml,AF,p\n", "not below the folder"),
        (f"{HEADER}b/../../x.xml,AF,p\n", "not below the folder"),
        (f"{HEADER}/etc/passwd,AF,p\n", "not below the folder"),
        (f"{HEADER}s3://bucket/x.xml,AF,p\n", "not below the folder"),
        (f"{HEADER}..\\x.xml,AF,p\n", "not below the folder"),
        (f"{HEADER},AF,p\n", "'record' is empty"),
        (f"{HEADER}.,AF,p\n", "'record' is empty"),
        (f"{HEADER}a,AF,p\na.xml,MI,p\n", "is in line 2 too"),
        ("record,codes,Patient\na,AF,p\n", "did you mean 'patient_id'"),
        ("file,codes\na,AF\n", "did you mean 'record'|no column 'record'"),
        ("record,codes,fold\na,AF,1\n", "'fold' but no 'patient_id'"),
        (f"{HEADER}a,'AF','MI',p\n", "more than the 3 columns"),
    ],
)
def test_a_wrong_table_is_one_paragraph(folder: Path, rows: str, part: str) -> None:
    (folder / "labels.csv").write_text(rows)
    with pytest.raises(DataError, match=part) as caught:
        read_all(folder)
    assert "labels.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_without_suffix_must_be_that_of_one_file(tmp_path: Path) -> None:
    MAKE["table"](tmp_path)
    (tmp_path / "r1.npy").write_bytes((tmp_path / "r3.npy").read_bytes())
    with pytest.raises(DataError, match=r"'r1' may be 'r1\.csv' or 'r1\.npy'"):
        list(open_source("table", str(tmp_path), TABLE_OPTIONS).references(100))


def test_a_file_that_is_listed_and_not_there_is_quarantined(folder: Path) -> None:
    (folder / "labels.csv").write_text(f"{HEADER}nowhere.xml,AF,p\n")
    with pytest.raises(RecordingError, match="there is no file") as caught:
        read_all(folder)
    assert caught.value.reason == "missing_file"


def test_two_usual_tables_or_a_named_one_that_is_missing_stop_at_once(folder: Path) -> None:
    (folder / "labels.csv").write_text(f"{HEADER}a,AF,p\n")
    with pytest.raises(DataError, match="there is no table of labels"):
        open_source("muse", str(folder), {"labels": "other.csv"}).references(100)
    (folder / "labels.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="only one can be used"):
        open_source("muse", str(folder), {}).references(100)
    with pytest.raises(DataError, match=r"labels\.parquet cannot be read"):
        open_source("muse", str(folder), {"labels": "labels.parquet"}).references(100)


def test_a_file_that_is_too_large_is_not_taken_into_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source("muse", str(folder), {})
    monkeypatch.setattr(type(source), "largest_bytes", 1000)
    with pytest.raises(RecordingError, match="more than 0 MiB") as caught:
        source.read(next(iter(source.references(100))))
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("dicom", "pydicom", "dicom"), ("edf", "edfio", "edf"), ("aecg", "defusedxml", "xml"),
        ("muse", "defusedxml", "xml"),
    ],
)  # fmt: skip
def test_a_reader_that_is_not_installed_is_one_paragraph_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
) -> None:
    MAKE[name](tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'mvkt-ray\[{extra}\]'"):
        open_source(name, str(tmp_path), {}).references(100)
