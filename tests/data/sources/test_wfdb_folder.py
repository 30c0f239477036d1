"""Any folder of WFDB records with a CSV file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources import open_source
from mvkt_ray.data.sources.wfdb_folder import WfdbFolder
from mvkt_ray.errors import DataError

WriteRecord = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, write_record: WriteRecord, synthetic_recording: Recording) -> Path:
    write_record(tmp_path, "a", synthetic_recording.signal_mv, 100)
    write_record(tmp_path / "ward2", "b", synthetic_recording.signal_mv[::-1], 250)
    return tmp_path


def with_labels(folder: Path, text: str) -> tuple[WfdbFolder, list[RecordingRef]]:
    (folder / "labels.csv").write_text(text)
    source = WfdbFolder(location=str(folder))
    return source, list(source.references(100))


def test_every_column_arrives(folder: Path, synthetic_recording: Recording) -> None:
    source, refs = with_labels(
        folder,
        "fold,record,patient_id,age,sex,codes\n"
        "3,a,p1,61.5,F,AFIB; LVH;AFIB;\n"
        "4,ward2/b.hea,p2,,male,\n",
    )
    one, two = (source.read(ref) for ref in refs)
    assert source.has_folds
    assert (one.record_id, one.patient_id, one.fold) == ("a", "p1", 3)
    assert (one.age, one.sex) == (61.5, "female")
    assert (one.codes, one.likelihoods) == (("AFIB", "LVH"), (100.0, 100.0))
    assert (two.record_id, two.patient_id, two.fold) == ("ward2/b", "p2", 4)
    assert (two.age, two.sex, two.codes) == (None, "male", ())
    assert two.sampling_rate_hz == 250
    np.testing.assert_allclose(one.signal_mv, synthetic_recording.signal_mv, atol=6e-4)


def test_only_record_and_codes_are_needed(folder: Path) -> None:
    source, refs = with_labels(folder, "record,codes\na,X\nward2/b,Y;X\n")
    recordings = [source.read(ref) for ref in refs]
    assert not source.has_folds
    assert len({recording.patient_id for recording in recordings}) == 2
    assert all(recording.fold is None for recording in recordings)
    assert source.tasks()["all"].classes == ("X", "Y")


def test_one_column_per_code(folder: Path) -> None:
    source, refs = with_labels(folder, "record,age,AFIB,MI,X\na,50,1,0,\nward2/b,,true,1.0,no\n")
    assert [source.read(ref).codes for ref in refs] == [("AFIB",), ("AFIB", "MI")]
    assert source.tasks()["all"].classes == ("AFIB", "MI")


def test_other_columns_are_left_alone_where_there_are_codes(folder: Path) -> None:
    source, refs = with_labels(folder, "record,note,codes\na,see letter,X\n")
    assert source.read(refs[0]).codes == ("X",)


def test_a_record_has_the_leads_that_are_there(
    tmp_path: Path, write_record: WriteRecord, synthetic_recording: Recording
) -> None:
    write_record(tmp_path, "patch", synthetic_recording.signal_mv[:2], 100, leads=["v5", "II"])
    source, refs = with_labels(tmp_path, "record,codes\npatch,X\n")
    recording = source.read(refs[0])
    assert recording.leads == ("II", "V5")
    wanted = synthetic_recording.signal_mv[[1, 0]]
    np.testing.assert_allclose(recording.signal_mv, wanted, atol=6e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rec,codes\na,X\n", "no column 'record'.*its columns are 'rec', 'codes'"),
        ("", "is empty.*column 'record'"),
        ("record,A,A\na,1,0\n", "2 columns 'A'.*Rename"),
        ("record,codes,codes\na,X,Y\n", "2 columns 'codes'"),
        ("record,codes,fold\na,X,99999\n", "line 2: .*'fold' is '99999'.*0 to 32767"),
        ("record,codes,fold\na,X,-1\n", "line 2: .*'fold' is '-1'"),
        ("record\na\n", "no column 'codes', nor columns with one code each"),
        ("record,age,sex\na,50,F\n", "no column 'codes'"),
        ("record,codes\n,X\n", "line 2: .*'record' is empty"),
        ("record,codes,fold\na,X,1\nb,X,\n", "line 3: .*'fold' is ''.*whole number"),
        ("record,codes,fold\na,X,train\n", "line 2: .*'fold' is 'train'"),
        ("record,codes,sex\na,X,1\n", "'sex' is '1'.*write female or male"),
        ("record,AFIB,note\na,1,see letter\n", "'note' is 'see letter'.*add a column 'codes'"),
    ],
)
def test_a_mistake_in_the_table_is_named(folder: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        with_labels(folder, text)
    assert "labels.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_table_says_what_it_must_hold(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no CSV file of labels.*'record' and 'codes'.*labels="):
        WfdbFolder(location=str(folder)).references(100)
    (folder / "other.csv").write_text("record,codes\na,X\n")
    source = open_source("wfdb", str(folder), {"labels": "other.csv"})
    assert len(list(source.references(100))) == 1


def test_a_table_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / "labels.csv").write_bytes(b"record,codes\n\xff\xfe\x00a,X\n")
    with pytest.raises(DataError, match="UTF-8"):
        list(WfdbFolder(location=str(folder)).references(100))


def test_a_dataset_without_any_label_is_refused_as_a_task(folder: Path) -> None:
    source, _ = with_labels(folder, "record,codes\na,\n")
    with pytest.raises(DataError, match="no label at all"):
        source.tasks()
