from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.recording import RecordingRef
from mvkt_ray.delivery.predicting.found_records import (
    Found,
    NotFound,
    find_records,
    kind_of,
    tables_and_arrays,
)
from tests.delivery.predicting.written_recordings import signal_of, write_struct, write_wfdb

V5 = {"V5": signal_of(0, 300)}


def shown(found: list[Found], folder: Path) -> list[tuple[str, str]]:
    """Name and kind, or reason, of each; names without the folder."""
    return [
        (each.record_id.removeprefix(f"{folder}/"), kind_of(each))
        if isinstance(each, RecordingRef)
        else (each.record.removeprefix(f"{folder}/"), each.error.reason)
        for each in found
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_wfdb(tmp_path / "r1", V5)
    write_wfdb(tmp_path / "deep/er/r2.5", V5)
    write_struct(tmp_path / "deep/A0001.mat", np.tile(signal_of(1, 1000), (12, 1)))
    (tmp_path / "ecg.csv").write_text("V5\n0.1\n")
    np.save(tmp_path / "ecg.npy", np.zeros(5))
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "._r1.hea").write_text("macOS")
    return tmp_path


def test_a_folder_is_searched_for_records_and_structs(folder: Path) -> None:
    expected = [("r1", "wfdb"), ("deep/A0001", "struct"), ("deep/er/r2.5", "wfdb")]
    assert shown(find_records([str(folder)]), folder) == expected
    assert shown(find_records([f"{folder}/"]), folder) == expected


@pytest.mark.parametrize("name", ["r1", "r1.hea", "r1.dat"])
def test_a_record_is_named_with_or_without_suffix(folder: Path, name: str) -> None:
    (found,) = find_records([str(folder / name)])
    assert shown([found], folder) == [("r1", "wfdb")]
    assert isinstance(found, RecordingRef)
    assert found.path == str(folder / "r1")


@pytest.mark.parametrize(
    ("name", "as_shown"),
    [
        ("deep/er/r2.5", ("deep/er/r2.5", "wfdb")),
        ("deep/er/r2.5.hea", ("deep/er/r2.5", "wfdb")),
        ("deep/A0001", ("deep/A0001", "struct")),
        ("deep/A0001.mat", ("deep/A0001", "struct")),
        ("ecg.csv", ("ecg.csv", "table")),
        ("ecg.npy", ("ecg.npy", "array")),
        ("notes.txt", ("notes.txt", "missing_file")),
        ("nowhere", ("nowhere", "missing_file")),
        ("nowhere.csv", ("nowhere.csv", "missing_file")),
    ],
)
def test_other_names(folder: Path, name: str, as_shown: tuple[str, str]) -> None:
    assert shown(find_records([str(folder / name)]), folder) == [as_shown]


def test_names_are_relative_where_they_are_given_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    found = find_records(["r1.dat", "deep", "."])
    assert [name for name, _ in shown(found, Path("/"))] == ["r1", "deep/A0001", "deep/er/r2.5"]


def test_what_is_named_twice_is_there_once(folder: Path) -> None:
    names = [folder / "r1", folder / "nowhere", folder / "r1.hea", folder, folder / "nowhere"]
    found = find_records([str(name) for name in names])
    names_found = [name for name, _ in shown(found, folder)]
    assert names_found == ["r1", "nowhere", "deep/A0001", "deep/er/r2.5"]


def test_a_folder_without_recordings_says_so(tmp_path: Path) -> None:
    (tmp_path / "ecg.csv").write_text("V5\n0.1\n")
    (found,) = find_records([str(tmp_path)])
    assert isinstance(found, NotFound)
    assert "by name" in str(found.error)


def test_segments_are_parts_of_their_record_and_no_records(tmp_path: Path) -> None:
    for name in ("r1_0001", "r1_0002", "r2_0001"):
        write_wfdb(tmp_path / name, V5)
    (tmp_path / "r1.hea").write_text("r1/2 1 100 600\nr1_0001 300\nr1_0002 300\n")
    write_wfdb(tmp_path / "r2", V5)  # an ordinary record beside one of a similar name
    assert [name for name, _ in shown(find_records([str(tmp_path)]), tmp_path)] == [
        "r1",
        "r2",
        "r2_0001",
    ]


def test_tables_and_arrays_are_those_without_a_rate(folder: Path) -> None:
    names = [str(folder / name) for name in ("r1", "ecg.csv", "nowhere", "ecg.npy")]
    refs = tables_and_arrays(find_records(names))
    assert [Path(ref.path).name for ref in refs] == ["ecg.csv", "ecg.npy"]


@pytest.mark.parametrize("name", ["a.dcm", "A.EDF", "a.bdf", "a.xml", "b/c.xml"])
def test_files_of_hospitals_are_found_alone_and_below_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    assert shown(find_records([str(tmp_path / name)]), tmp_path) == [(name, "export")]
    assert shown(find_records([str(tmp_path)]), tmp_path) == [(name, "export")]
