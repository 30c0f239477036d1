"""What hospitals have, through the command line: ingest, inspect, verify."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hospital_files import MAKE, OPTIONS, write_dicom
from tests.hospital_xml import PERSON


@pytest.mark.parametrize("name", MAKE)
def test_a_folder_with_labels_becomes_shards(mvkt: Any, tmp_path: Path, name: str) -> None:
    MAKE[name](tmp_path / "data")
    options: list[str] = []
    for key, value in OPTIONS.get(name, {}).items():
        text = ",".join(value) if isinstance(value, tuple) else value
        options += ["--option", f"{key}={text}"]
    line = ("ingest", name, tmp_path / "data", tmp_path / "out", "--in-process", *options)
    done = mvkt(*line, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["counts"]["n_recordings"] == done.json["counts"]["n_patients"] == 3
    assert name in mvkt("inspect", tmp_path / "out").stdout
    assert mvkt("verify", tmp_path / "out").exit_code == 0


def test_a_folder_without_labels_says_that_damaged_files_are_in_quarantine(
    mvkt: Any, tmp_path: Path
) -> None:
    for number in range(4):
        write_dicom(tmp_path / "data" / f"r{number}.dcm", PatientID=f"{number % 2 + 7}")
    (tmp_path / "data" / "r9.dcm").write_bytes(b"none")
    line = ("ingest", "dicom", tmp_path / "data", tmp_path / "out", "--in-process")
    done = mvkt(*line, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["counts"]["n_patients"] == 2
    assert done.json["quarantine"] == {"unreadable": 1}
    assert not any(name in done.stdout + done.stderr for name in PERSON)


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("table", [], ["rate_hz", "--option rate_hz=500"]),
        ("table", ["--option", "rate_hz=500"], ["unit", "--option unit=mV"]),
        ("parquet", ["--option", "unit=mV"], ["--option leads=I,II,V1"]),
        ("dicom", ["--option", "labels=none.csv"], ["none.csv", "labels"]),
    ],
)
def test_what_is_missing_is_one_paragraph(
    mvkt: Any, tmp_path: Path, name: str, options: list[str], parts: list[str]
) -> None:
    MAKE[name](tmp_path / "data")
    done = mvkt("ingest", name, tmp_path / "data", tmp_path / "out", "--in-process", *options)
    done.expect_wrong_input(*parts)


def test_a_missing_reader_names_its_extra(
    mvkt: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MAKE["dicom"](tmp_path / "data")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    done = mvkt("ingest", "dicom", tmp_path / "data", tmp_path / "out", "--in-process")
    done.expect_wrong_input("pydicom", "pip install 'mvkt-ray[dicom]'")
