"""CPSC 2018 in both of its layouts, with one vocabulary of codes."""

import errno
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mvkt_ray.data.recording import Recording
from mvkt_ray.data.sources.challenge import CPSC_CLASSES
from mvkt_ray.data.sources.cpsc2018 import Cpsc2018
from mvkt_ray.errors import DataError, RecordingError
from mvkt_ray.machine_faults import machine_fault
from mvkt_ray.storage.location import Location

WriteRecord = Callable[..., Path]


def read_all(location: Path) -> list[Recording]:
    source = Cpsc2018(location=str(location))
    return [source.read(ref) for ref in source.references(500)]


def test_the_original_records_are_as_the_readme_says(shared_data: Path) -> None:
    folder = shared_data / "cpsc2018_original"
    rows = re.findall(
        r"^\| (A\d+) \| (\w+) \| (\d+) \| 12x(\d+) \| float64 \| ([\w-]+) \|$",
        (folder / "README.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) == 10
    for recording, (name, sex, age, n_samples, label) in zip(read_all(folder), rows, strict=True):
        assert recording.record_id == name
        assert recording.sex == sex.lower()
        assert recording.age == float(age)
        assert recording.signal_mv.shape == (12, int(n_samples))
        assert recording.sampling_rate_hz == 500
        assert recording.codes == (CPSC_CLASSES[label],)


def test_the_original_records_obey_einthoven_so_the_leads_are_in_order(shared_data: Path) -> None:
    for recording in read_all(shared_data / "cpsc2018_original"):
        one, two, three, right, left, foot = recording.signal_mv[:6]
        np.testing.assert_allclose(three, two - one, atol=0.02)
        np.testing.assert_allclose(right, -(one + two) / 2, atol=0.02)
        np.testing.assert_allclose(left + foot, one / 2 + two / 2, atol=0.03)


def test_the_challenge_layout_has_the_classes_of_the_readme(shared_data: Path) -> None:
    recordings = read_all(shared_data / "cinc2021")
    task = Cpsc2018(location="").tasks()["icbeb9"]
    counts = task.labels([r.codes for r in recordings]).sum(axis=0).astype(int)
    text = (shared_data / "cinc2021" / "README.md").read_text()
    line = re.search(r"^CPSC 2018 classes in cpsc_2018: (.*)\.$", text, re.MULTILINE)
    assert line is not None
    wanted = {name: int(n) for name, n in re.findall(r"([\w-]+) (\d+)", line[1])}
    assert dict(zip(task.classes, counts.tolist(), strict=True)) == wanted
    assert len(recordings) == 104


@pytest.fixture
def original(tmp_path: Path, synthetic_recording: Recording) -> Path:
    for subfolder, name in [("TrainingSet1", "A0001"), ("TrainingSet2", "A0002")]:
        (tmp_path / subfolder).mkdir()
        ecg = {"sex": "Female", "age": 61, "data": synthetic_recording.signal_mv.astype(np.float64)}
        savemat(tmp_path / subfolder / f"{name}.mat", {"ECG": ecg})
    (tmp_path / "REFERENCE.csv").write_text(
        "Recording,First_label,Second_label,Third_label\nA0001,6,6,1\nA0002,9,,\nA0003,2,,\n"
    )
    return tmp_path


def test_one_reference_serves_several_folders(
    original: Path, synthetic_recording: Recording
) -> None:
    source = Cpsc2018(location=str(original))
    first, second, absent = source.references(500)
    recording = source.read(first)
    assert recording.codes == (CPSC_CLASSES["PAC"], CPSC_CLASSES["Normal"])
    assert recording.likelihoods == (100.0, 100.0)
    np.testing.assert_array_equal(recording.signal_mv, synthetic_recording.signal_mv)
    assert source.read(second).codes == (CPSC_CLASSES["STE"],)
    with pytest.raises(RecordingError) as caught:
        source.read(absent)
    assert caught.value.reason == "missing_file"


def test_a_record_that_the_reference_leaves_out_does_not_vanish(original: Path) -> None:
    (original / "REFERENCE.csv").write_text("Recording,First_label\nA0002,9\n")
    assert [(r.record_id, len(r.codes)) for r in read_all(original)] == [("A0002", 1), ("A0001", 0)]


def test_a_class_number_that_is_not_known_is_kept(original: Path) -> None:
    (original / "REFERENCE.csv").write_text("Recording,First_label\nA0001,\u00b2\nA0002,9.0\n")
    assert [r.codes for r in read_all(original)] == [("\u00b2",), (CPSC_CLASSES["STE"],)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:11], "missing_lead"),
        (lambda data: np.where(data == data[3, 5], np.nan, data), "nan"),
        (lambda data: data[:, :0], "truncated"),
    ],
)
def test_a_bad_struct_has_its_reason(
    original: Path, synthetic_recording: Recording, change: Callable[..., np.ndarray], reason: str
) -> None:
    ecg = {"sex": "Male", "age": np.nan, "data": change(synthetic_recording.signal_mv)}
    savemat(original / "TrainingSet1" / "A0001.mat", {"ECG": ecg})
    source = Cpsc2018(location=str(original))
    with pytest.raises(RecordingError) as caught:
        source.read(next(source.references(500)))
    assert caught.value.reason == reason


@pytest.mark.parametrize("keep", [0, 100, 20_000])
def test_a_cut_or_foreign_file_is_unreadable(original: Path, keep: int) -> None:
    path = original / "TrainingSet1" / "A0001.mat"
    path.write_bytes(path.read_bytes()[:keep])
    source = Cpsc2018(location=str(original))
    with pytest.raises(RecordingError) as caught:
        source.read(next(source.references(500)))
    assert caught.value.reason == "unreadable"


def test_the_challenge_layout_leaves_other_databases_alone(
    tmp_path: Path, write_record: WriteRecord, synthetic_recording: Recording
) -> None:
    for name in ("cpsc_2018", "cpsc_2018_extra"):
        subfolder = tmp_path / "training" / name / "g1"
        write_record(
            subfolder, f"of_{name}", synthetic_recording.signal_mv, 500, comments=["Dx: STE"]
        )
    assert [r.record_id for r in read_all(tmp_path)] == ["of_cpsc_2018"]
    assert [r.record_id for r in read_all(tmp_path / "training")] == ["of_cpsc_2018"]
    assert read_all(tmp_path / "training" / "cpsc_2018")[0].codes == (CPSC_CLASSES["STE"],)


def test_another_folder_is_not_cpsc2018(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not CPSC 2018.*'REFERENCE.csv'.*WFDB headers"):
        Cpsc2018(location=str(tmp_path)).references(500)


def test_a_row_may_be_there_twice_if_it_says_the_same(original: Path) -> None:
    table = "Recording,First_label\nA0001,6\nA0002,9\n"
    (original / "REFERENCE.csv").write_text(table)
    (original / "TrainingSet1" / "reference.CSV").write_text(table)
    assert [r.record_id for r in read_all(original)] == ["A0001", "A0002"]
    (original / "TrainingSet1" / "reference.CSV").write_text(table.replace(",6", ",7"))
    with pytest.raises(DataError, match=r"'A0001' has the labels '6,,' in .*line 2.*'7,,' in"):
        read_all(original)


def test_two_files_of_one_record_are_named_both(original: Path) -> None:
    first = original / "TrainingSet1" / "A0001.mat"
    (original / "TrainingSet2" / "A0001.mat").symlink_to(first)
    (original / "REFERENCE.csv").write_text("Recording,First_label\nA0001,6\n")
    assert [r.record_id for r in read_all(original)] == ["A0001", "A0002"]
    (original / "TrainingSet2" / "A0001.mat").unlink()
    (original / "TrainingSet2" / "a0001.mat").write_bytes(first.read_bytes())
    with pytest.raises(DataError, match=r"TrainingSet1/A0001 and .*TrainingSet2/a0001"):
        read_all(original)


def test_names_of_records_are_compared_without_suffix_and_case(original: Path) -> None:
    (original / "TrainingSet1" / "A0001.mat").rename(original / "TrainingSet1" / "A0001.MAT")
    (original / "TrainingSet1" / "._A0001.MAT").write_bytes(b"of macOS")
    (original / "REFERENCE.csv").write_text("Recording,First_label\na0001.mat,6\nA0002 ,9\n")
    found = [(r.record_id, len(r.codes)) for r in read_all(original)]
    assert found == [("a0001", 1), ("A0002", 1)]


def test_an_empty_name_in_the_reference_is_named_by_its_line(original: Path) -> None:
    (original / "REFERENCE.csv").write_text("Recording,First_label\nA0001,6\n,9\n")
    with pytest.raises(DataError, match=r"REFERENCE.csv, line 3: 'Recording' is empty"):
        read_all(original)


def test_training_sets_behind_links_are_entered(original: Path) -> None:
    elsewhere = original.parent / f"{original.name}_disk"
    (original / "TrainingSet2").rename(elsewhere)
    (original / "TrainingSet2").symlink_to(elsewhere)
    (original / "REFERENCE.csv").write_text("Recording,First_label\nA0001,6\nA0002,9\n")
    assert [r.record_id for r in read_all(original)] == ["A0001", "A0002"]


def test_signals_that_lie_too_deep_are_counted(original: Path) -> None:
    assert Cpsc2018(location=str(original)).not_listed(500).n_records == 0
    deep = original / "TrainingSet1" / "more"
    deep.mkdir()
    (deep / "A0009.mat").write_bytes(b"")
    left = Cpsc2018(location=str(original)).not_listed(500)
    assert (left.n_records, left.examples) == (1, ("TrainingSet1/more/A0009",))


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EIO])
def test_a_file_that_may_not_be_read_is_told_from_a_disk_that_fails(
    original: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    source = Cpsc2018(location=str(original))
    ref = next(source.references(500))

    def fail(_: Location) -> Iterator[bytes]:
        raise OSError(number, "no")
        yield b""

    monkeypatch.setattr(Location, "chunks", fail)
    with pytest.raises(RecordingError, match=r"A0001\.mat cannot be read") as caught:
        source.read(ref)
    assert (machine_fault(caught.value) is not None) == (number == errno.EIO)
