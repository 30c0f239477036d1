"""Datasets with a recording in each row, in the layout of Hugging Face."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvkt_ray.data.identity import own_patient
from mvkt_ray.data.recording import LEADS, Recording
from mvkt_ray.data.sources import open_source
from mvkt_ray.errors import ConfigError, DataError, RecordingError
from tests.hospital_files import write_rows
from tests.tiny_datasets import SIGNAL_MV

NESTED = {"unit": "mV", "leads": LEADS}
TRAIN = "data/train-00000-of-00001.parquet"


def read_all(folder: Path, options: dict[str, Any]) -> list[Recording]:
    source = open_source("parquet", str(folder), options)
    return [source.read(ref) for ref in source.references(100)]


def scaled(*factors: float) -> list[Any]:
    return [(SIGNAL_MV * factor).tolist() for factor in factors]


def test_every_row_of_every_group_is_its_own_recording(tmp_path: Path) -> None:
    rows = {"ecg": scaled(1, 2, 3, 4, 5), "sampling_rate": [100, 250, 500, 500, 100]}
    write_rows(tmp_path / TRAIN, rows)
    found = read_all(tmp_path, NESTED)
    assert [each.record_id for each in found] == [f"{TRAIN}#{row}" for row in range(5)]
    assert [each.sampling_rate_hz for each in found] == [100, 250, 500, 500, 100]
    assert [each.patient_id for each in found] == [own_patient(each.record_id) for each in found]
    for factor, each in enumerate(found, start=1):
        np.testing.assert_allclose(each.signal_mv, SIGNAL_MV * factor, rtol=1e-6)
    source = open_source("parquet", str(tmp_path), NESTED)
    assert (source.tasks(), source.has_folds) == ({}, False)


def test_facts_are_in_columns_and_labels_have_the_names_of_the_schema(tmp_path: Path) -> None:
    rows = {
        "ecg": scaled(1, 1, 1), "label": [[0], [1, 2], []], "subject": [7, 7, 8],
        "record": ["a", "b", "c"], "age": [61.0, None, 3.0], "sex": ["F", "M", None],
        "device": ["x", "y", "z"],
    }  # fmt: skip
    write_rows(tmp_path / TRAIN, rows, ["NORM", "MI", "AFIB"])
    options = {**NESTED, "rate_hz": 500, "codes": "label", "patient_id": "subject"}
    found = read_all(tmp_path, options)
    assert [each.record_id for each in found] == ["a", "b", "c"]
    assert [each.codes for each in found] == [("NORM",), ("MI", "AFIB"), ()]
    assert [each.patient_id for each in found] == ["7", "7", "8"]
    assert [(each.age, each.sex) for each in found] == [
        (61.0, "female"), (None, "male"), (3.0, None),
    ]  # fmt: skip
    tasks = open_source("parquet", str(tmp_path), options).tasks()
    assert tasks["all"].classes == ("AFIB", "MI", "NORM")


def test_leads_may_be_columns_of_lists_or_lists_of_samples(tmp_path: Path) -> None:
    columns = {f"lead_{lead}": [row.tolist()] for lead, row in zip(LEADS, SIGNAL_MV, strict=True)}
    write_rows(tmp_path / "a" / TRAIN, columns)
    write_rows(tmp_path / "b" / TRAIN, {"ecg": [SIGNAL_MV.T.tolist()]})
    for folder in ("a", "b"):
        [found] = read_all(tmp_path / folder, {**NESTED, "rate_hz": 100})
        assert found.leads == LEADS
        np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "options", "reason"),
    [
        ({"ecg": scaled(1)}, NESTED, "rate"),
        ({"ecg": scaled(1), "fs": [0]}, NESTED, "rate"),
        ({"ecg": [[[1.0], [1.0, 2.0]]], "fs": [100]}, NESTED, "wrong_shape"),
        ({"ecg": scaled(1), "more": scaled(1), "fs": [1]}, NESTED, "wrong_shape"),
        ({"ecg": scaled(float("nan")), "fs": [100]}, NESTED, "nan"),
        ({"x": [1], "fs": [100]}, NESTED, "missing_lead"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_reason(
    tmp_path: Path, rows: dict[str, Any], options: dict[str, Any], reason: str
) -> None:
    write_rows(tmp_path / TRAIN, rows)
    with pytest.raises(RecordingError, match=TRAIN) as caught:
        read_all(tmp_path, options)
    assert caught.value.reason == reason


def test_what_is_wrong_with_a_folder_stops_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no Parquet files"):
        read_all(tmp_path, NESTED)
    write_rows(tmp_path / TRAIN, {"ecg": scaled(1), "Patient": ["p"]})
    with pytest.raises(DataError, match=r"did you mean 'patient_id'.*--option patient_id=COLUMN"):
        read_all(tmp_path, NESTED)
    with pytest.raises(DataError, match="no column 'label' for the option codes"):
        read_all(tmp_path, {**NESTED, "codes": "label", "patient_id": "Patient"})
    with pytest.raises(ConfigError, match="unit=mV"):
        read_all(tmp_path, {})
    with pytest.raises(ConfigError, match="leads=I,II,V1"):
        read_all(tmp_path, {"unit": "mV", "patient_id": "Patient"})
    write_rows(tmp_path / "other.parquet", {"ecg": scaled(1), "Patient": ["p"], "age": [3]})
    with pytest.raises(DataError, match="other metadata columns"):
        read_all(tmp_path, {**NESTED, "patient_id": "Patient"})
    (tmp_path / "other.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"other\.parquet cannot be read"):
        read_all(tmp_path, {**NESTED, "patient_id": "Patient"})
