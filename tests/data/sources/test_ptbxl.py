"""PTB-XL: its table, its two rates, its six tasks; on the real subset and on a tiny copy."""

import csv
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.sources import open_source
from mvkt_ray.data.sources.ptbxl import PtbXl, scp_codes
from mvkt_ray.errors import ConfigError, DataError, RecordingError

WriteTree = Callable[..., Path]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> PtbXl:
    return PtbXl(location=str(shared_data / "ptbxl"))


def test_class_counts_per_fold_are_those_of_the_readme(real: PtbXl) -> None:
    readme = (Path(real.location) / "README.md").read_text()
    rows = re.findall(r"^\| (\d+|all) \|(.*)\|$", readme, re.MULTILINE)
    wanted = {fold: [int(cell) for cell in cells.split("|")] for fold, cells in rows}
    assert len(wanted) == 10
    task = real.tasks()["superdiagnostic"]
    refs = list(real.references(100))
    labels = task.labels([list(scp_codes(ref)) for ref in refs])
    folds = np.array([str(ref.metadata["fold"]) for ref in refs])
    patients = np.array([ref.metadata["patient_id"] for ref in refs])
    order = [task.classes.index(name) for name in ("NORM", "MI", "STTC", "CD", "HYP")]
    for fold, numbers in wanted.items():
        chosen = (folds == fold) | (fold == "all")
        per_class = labels[chosen].sum(axis=0).astype(int)[order].tolist()
        none = int((labels[chosen].sum(axis=1) == 0).sum())
        found = [int(chosen.sum()), len(set(patients[chosen])), *per_class, none]
        assert found == numbers, fold


def test_the_six_tasks_have_the_benchmarks_sizes(real: PtbXl) -> None:
    tasks = real.tasks()
    sizes = {name: len(task.classes) for name, task in tasks.items()}
    assert sizes == {
        "all": 71, "diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19,
        "rhythm": 12,
    }  # fmt: skip
    assert tasks["superdiagnostic"].classes == ("CD", "HYP", "MI", "NORM", "STTC")
    for task in tasks.values():
        assert list(task.classes) == sorted(task.classes)
    assert tasks["superdiagnostic"].class_of_code["LNGQT"] == ("STTC",)
    assert "IVCD" in tasks["all"].class_of_code
    codes = Counter(code for ref in real.references(100) for code in scp_codes(ref))
    assert len(codes.keys() & tasks["all"].class_of_code.keys()) == 69


def test_real_signals_equal_an_independent_decoding(real: PtbXl) -> None:
    for ref in list(real.references(100))[::150]:
        raw = np.fromfile(f"{ref.path}.dat", dtype="<i2").reshape(1000, 12).T
        recording = real.read(ref)
        np.testing.assert_array_equal(np.rint(recording.signal_mv * 1000), raw)
        assert recording.sampling_rate_hz == 100
        assert recording.fold in range(1, 10)


def test_real_500_hz_files_are_the_same_recordings(real: PtbXl) -> None:
    slow = {ref.record_id: ref for ref in real.references(100)}
    fast = [ref for ref in real.references(500) if Path(f"{ref.path}.hea").is_file()]
    assert len(fast) == 150
    for ref in fast[::30]:
        at_500, at_100 = real.read(ref), real.read(slow[ref.record_id])
        assert at_500.signal_mv.shape == (12, 5000)
        assert (at_500.patient_id, at_500.codes) == (at_100.patient_id, at_100.codes)
        # A running mean is filter enough to see that it is the same heart.
        means = at_500.signal_mv.reshape(12, 1000, 5).mean(axis=2)
        for one, other in zip(means, at_100.signal_mv, strict=True):
            assert np.corrcoef(one, other)[0, 1] > 0.9


def test_no_real_patient_is_in_two_folds(real: PtbXl) -> None:
    folds: dict[object, set[object]] = defaultdict(set)
    for ref in real.references(100):
        folds[ref.metadata["patient_id"]].add(ref.metadata["fold"])
    assert len(folds) == 2873
    assert all(len(seen) == 1 for seen in folds.values())


def test_a_row_becomes_a_recording(tiny_ptbxl: Path) -> None:
    source = PtbXl(location=str(tiny_ptbxl))
    refs = list(source.references(100))
    first, second = source.read(refs[0]), source.read(refs[1])
    assert [ref.record_id for ref in refs] == [str(number) for number in range(1, 41)]
    assert first.patient_id == "100"
    assert first.fold == 1
    assert first.age == 90.0  # written as 300
    assert second.age is not None
    assert second.age < 90
    assert first.sex in ("female", "male")
    assert dict(zip(first.codes, first.likelihoods, strict=True)) == scp_codes(refs[0])
    assert source.read(refs[36]).patient_id == first.patient_id


def test_which_files_are_read_follows_the_rate_and_the_option(tiny_ptbxl: Path) -> None:
    def path(rate_hz: int, **options: object) -> str:
        source = open_source("ptbxl", str(tiny_ptbxl), options)
        return Path(next(source.references(rate_hz)).path).name

    assert path(100) == "00001_lr"
    assert path(500) == path(250) == path(100, read_rate_hz=500) == "00001_hr"
    assert path(500, read_rate_hz="100") == "00001_lr"
    with pytest.raises(ConfigError, match=r"read_rate_hz.*is 250.*100 and of 500"):
        path(100, read_rate_hz=250)


def test_a_row_without_its_file_is_still_listed_and_says_so_when_read(tiny_ptbxl: Path) -> None:
    source = PtbXl(location=str(tiny_ptbxl))
    refs = list(source.references(500))
    assert len(refs) == 40
    assert source.read(refs[2]).signal_mv.shape == (12, 5000)
    with pytest.raises(RecordingError, match=r"00004_hr\.hea") as caught:
        source.read(refs[3])
    assert caught.value.reason == "missing_file"


@pytest.mark.parametrize("text", ["NORM", "['NORM']", "{'NORM': 'sure'}", "", "__import__('os')"])
def test_codes_that_are_no_dictionary_are_bad_labels(tiny_ptbxl: Path, text: str) -> None:
    source = PtbXl(location=str(tiny_ptbxl))
    ref = next(source.references(100))
    metadata = dict(ref.metadata) | {"scp_codes": text}
    with pytest.raises(RecordingError) as caught:
        source.read(type(ref)(source="ptbxl", record_id="1", path=ref.path, metadata=metadata))
    assert caught.value.reason == "bad_labels"


def test_a_folder_without_the_files_of_a_rate_says_which_it_has(
    tmp_path: Path, write_tiny_ptbxl: WriteTree
) -> None:
    source = PtbXl(location=str(write_tiny_ptbxl(tmp_path, n_recordings=2, n_at_500_hz=0)))
    assert len(list(source.references(100))) == 2
    with pytest.raises(DataError, match=r"no folder 'records500'.*read_rate_hz=100"):
        source.references(500)


@pytest.mark.parametrize("column", ["strat_fold", "patient_id", "filename_lr"])
def test_a_table_without_a_column_names_it(
    tmp_path: Path, write_tiny_ptbxl: WriteTree, column: str
) -> None:
    folder = write_tiny_ptbxl(tmp_path, n_recordings=2, n_at_500_hz=0)
    table = folder / "ptbxl_database.csv"
    table.write_text(table.read_text().replace(column, "other"))
    with pytest.raises(DataError, match=f"no column '{column}'"):
        PtbXl(location=str(folder)).references(100)


def test_another_folder_is_not_ptbxl(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not PTB-XL: it has no 'ptbxl_database.csv'"):
        PtbXl(location=str(tmp_path)).references(100)
    with pytest.raises(DataError, match=r"it has no 'scp_statements.csv'"):
        PtbXl(location=str(tmp_path)).tasks()


def change_row(folder: Path, line: int, **cells: str) -> PtbXl:
    """Change cells of the table; `line` as an editor counts."""
    table = folder / "ptbxl_database.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[line - 2].update(cells)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return PtbXl(location=str(folder))


@pytest.fixture(scope="module")
def three_records(tmp_path_factory: pytest.TempPathFactory, write_tiny_ptbxl: WriteTree) -> Path:
    return write_tiny_ptbxl(tmp_path_factory.mktemp("three"), n_recordings=3, n_at_500_hz=0)


@pytest.fixture
def three(tmp_path: Path, three_records: Path) -> Path:
    return Path(shutil.copytree(three_records, tmp_path, dirs_exist_ok=True))


@pytest.mark.parametrize(
    "text", ["", "nan", "-1", "2.5", "train", "1e1", "99999", "9" * 5000, "\u0663"]
)
def test_a_row_without_a_fold_goes_to_quarantine(three: Path, text: str) -> None:
    source = change_row(three, 3, strat_fold=text)
    first, second, _ = source.references(100)
    assert source.read(first).fold is not None
    with pytest.raises(RecordingError, match=rf"line 3: 'strat_fold' of record 2 is '{text}'") as e:
        source.read(second)
    assert e.value.reason == "no_fold"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"ecg_id": ""}, "line 3: 'ecg_id' is empty"),
        ({"ecg_id": "1.0"}, "line 3: the record '1' is in line 2 too"),
        ({"filename_lr": "./records100/00000/00001_lr.hea"}, "line 3: .*the file of line 2 too"),
        ({"filename_lr": "../../r1"}, r"line 3: .*'../../r1', which is not below"),
        ({"filename_lr": "a/../../r1"}, "line 3: .*which is not below"),
        ({"filename_lr": "/etc/passwd"}, "line 3: .*which is not below"),
        ({"filename_lr": "s3://bucket/r1"}, "line 3: .*which is not below"),
        ({"age": "old"}, "line 3: 'age' is 'old'"),
        ({"sex": "2"}, "line 3: 'sex' is '2'.*numbers mean"),
    ],
)
def test_a_value_that_cannot_be_read_names_its_line(
    three: Path, cells: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        list(change_row(three, 3, **cells).references(100))


def test_a_number_is_one_patient_in_whatever_way_it_is_written(three: Path) -> None:
    change_row(three, 2, patient_id="0042.0")
    change_row(three, 3, patient_id=" 42 ")
    source = change_row(three, 4, patient_id="nan", sex="", age="")
    recordings = [source.read(ref) for ref in source.references(100)]
    assert [recording.patient_id for recording in recordings] == ["42", "42", "record 3"]
    assert (recordings[2].sex, recordings[2].age) == (None, None)


def test_a_row_without_a_file_name_goes_to_quarantine(three: Path) -> None:
    source = change_row(three, 3, filename_lr="")
    with pytest.raises(RecordingError) as caught:
        source.read(list(source.references(100))[1])
    assert caught.value.reason == "missing_file"
    left = source.not_listed(100)
    assert (left.n_records, left.examples) == (1, ("records100/00000/00002_lr",))


@pytest.mark.parametrize(
    "text",
    [
        "{'NORM': 101}",
        "{'NORM': -1}",
        "{'NORM': 1e999}",
        f"{{'NORM': {'9' * 400}}}",
        "{'NORM': 5, 'NORM': 6}",
        "{1: 5}",
        "{'': 5}",
    ],
)
def test_likelihoods_out_of_range_and_codes_twice_are_bad_labels(three: Path, text: str) -> None:
    source = change_row(three, 3, scp_codes=text)
    with pytest.raises(RecordingError) as caught:
        source.read(list(source.references(100))[1])
    assert caught.value.reason == "bad_labels"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\nAMI,", "\nIMI,", "line 4: the code 'IMI' is empty, or is in an earlier line, too"),
        ("\nAMI,", "\n,", "line 4: the code '' is empty"),
        ("infarction,1.0,,,MI,AMI", "infarction,yes,,,MI,AMI", "line 4: 'diagnostic' is 'yes'"),
    ],
)
def test_a_mistake_in_the_statements_is_named(
    three: Path, old: str, new: str, message: str
) -> None:
    path = three / "scp_statements.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        PtbXl(location=str(three)).tasks()
