"""Any folder of WFDB records with a CSV file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources import open_source
from mvkt_ray.data.sources.wfdb_folder import WfdbFolder
from mvkt_ray.errors import DataError

WriteRecord = Callable[..., Path]


@pytest.fixture(scope="module")
def records(
    tmp_path_factory: pytest.TempPathFactory,
    write_record: WriteRecord,
    synthetic_recording: Recording,
) -> Path:
    folder = tmp_path_factory.mktemp("records")
    write_record(folder, "a", synthetic_recording.signal_mv, 100)
    write_record(folder / "ward2", "b", synthetic_recording.signal_mv[::-1], 250)
    return folder


@pytest.fixture
def folder(tmp_path: Path, records: Path) -> Path:
    return Path(shutil.copytree(records, tmp_path, dirs_exist_ok=True))


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
        ("record\na\n", "neither a column 'codes' nor a column per code"),
        ("record,age,sex\na,50,F\n", "neither a column 'codes'"),
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


def test_a_link_to_a_recording_is_that_recording(folder: Path) -> None:
    (folder / "c.hea").symlink_to("a.hea")
    with pytest.raises(DataError, match="line 3: the record 'c' is in line 2 too"):
        with_labels(folder, "record,codes\na,X\nc,Y\n")


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


def all_labels(folder: Path, text: str) -> list[tuple[str, ...]]:
    source, refs = with_labels(folder, text)
    return [source.read(ref).codes for ref in refs]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0.1"])
def test_an_index_that_was_saved_along_is_no_code(folder: Path, name: str) -> None:
    assert all_labels(folder, f"{name},record,AFIB\n0,a,1\n1,ward2/b,0\n") == [("AFIB",), ()]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("record,codes,Patient_ID", "'Patient_ID' would be ignored; did you mean 'patient_id'"),
        ("record,codes,patientid", "did you mean 'patient_id'"),
        ("record,codes,subject_id", "did you mean 'patient_id'"),
        ("record,codes,pateint_id", "did you mean 'patient_id'"),
        ("record,codes,Age", "did you mean 'age'"),
        ("record,codes,gender", "did you mean 'sex'"),
        ("record,codes,strat_fold", "did you mean 'fold'"),
        ("record,AFIB,Fold", "'Fold' would be read as a label code; did you mean 'fold'"),
        ("record,AFIB,Sex", "did you mean 'sex'"),
        ("record,AFIB,labels", "did you mean 'codes'"),
        ("record,patient_id,patient", "'patient' would be read as a label code"),
        ("record,AFIB,index", "'index' would be read as a label code.*Remove it"),
    ],
)
def test_a_column_that_nearly_describes_a_recording_is_not_left_alone(
    folder: Path, columns: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        with_labels(folder, f"{columns}\na,1,1\n")


@pytest.mark.parametrize("column", ["note", "stage", "hospital", "filename", "usage"])
def test_a_column_of_something_else_is_left_alone(folder: Path, column: str) -> None:
    assert all_labels(folder, f"record,codes,{column}\na,X,7\n") == [("X",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("record,codes,age\na,X,abc\n", "line 2: 'age' is 'abc'.*empty if unknown"),
        ("record,codes,age\na,X,-5\n", "'age' is '-5'"),
        ("record,codes,age\na,X,190\n", "'age' is '190'"),
        ("record,codes,age\na,X,1e5\n", "'age' is '1e5'"),
        ("record,codes,sex\na,X,Frau\n", "'sex' is 'Frau'.*female, male"),
        ("record,codes\na,\"['X', 'Y']\"\n", "looks like a list.*separated by ';'"),
        ("record,codes\na,X\n./a.hea,Y\n", "line 3: the record './a.hea' is in line 2 too"),
    ],
)
def test_a_value_that_cannot_be_read_is_no_silent_gap(
    folder: Path, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        with_labels(folder, text)


def test_a_record_is_the_same_by_its_whole_path(folder: Path) -> None:
    source, refs = with_labels(folder, f"record,codes\n{folder}/ward2//b,X\n./a.dat,Y\n")
    assert [ref.record_id for ref in refs] == ["ward2/b", "a"]
    assert [source.read(ref).codes for ref in refs] == [("X",), ("Y",)]
    with pytest.raises(DataError, match="is in line 2 too"):
        with_labels(folder, f"record,codes\na,X\n{folder}/a,X\n")


def test_a_record_with_an_accent_is_found_in_either_form_of_unicode(
    folder: Path, write_record: WriteRecord, synthetic_recording: Recording
) -> None:
    write_record(folder, "a", synthetic_recording.signal_mv, 100)
    for suffix in (".hea", ".dat"):
        (folder / f"a{suffix}").rename(folder / f"e\u0301{suffix}")
    source, refs = with_labels(folder, "record,codes\n\u00e9,X\nward2/b,X\n")
    assert refs[0].path == f"{folder}/e\u0301"
    assert source.not_listed(100).n_records == 0


def test_words_for_no_patient_are_no_patient_together(folder: Path) -> None:
    source, refs = with_labels(folder, "record,codes,patient_id\na,X,nan\nward2/b,X,NaN\n")
    assert {source.read(ref).patient_id for ref in refs} == {"record a", "record ward2/b"}


def test_a_code_in_two_spellings_is_one_class(folder: Path) -> None:
    source, refs = with_labels(folder, "record,codes\na,NORM;MI\nward2/b,Norm; mi\n")
    task = source.tasks()["all"]
    assert task.classes == ("MI", "NORM")
    assert task.labels([source.read(ref).codes for ref in refs]).tolist() == [[1, 1], [1, 1]]


def test_codes_that_commas_separate_are_refused(folder: Path) -> None:
    source, _ = with_labels(folder, 'record,codes\na,"MI,AF"\nward2/b,MI;AF\n')
    with pytest.raises(DataError, match=r"'MI,AF'.*separate codes by ';'"):
        source.tasks()
