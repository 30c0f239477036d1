"""Recordings as CSV, Parquet and arrays, which say neither rate nor unit."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.sources import open_source
from mvkt_ray.errors import ConfigError
from tests.data.sources.hospital.read_one import read_one, reason_of
from tests.hospital_files import TABLE_OPTIONS, write_table
from tests.hospital_xml import twelve
from tests.tiny_datasets import RATE_HZ, SIGNAL_MV


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy"])
@pytest.mark.parametrize(("unit", "per_mv"), [("uV", 1000), ("mV", 1), ("V", 0.001)])
def test_samples_are_those_that_were_written(
    tmp_path: Path, suffix: str, unit: str, per_mv: float
) -> None:
    file = write_table(tmp_path / f"a{suffix}", twelve())
    found = read_one("table", file, **{**TABLE_OPTIONS, "unit": unit})
    wanted = np.rint(SIGNAL_MV * 1000) / per_mv
    np.testing.assert_allclose(found.signal_mv, wanted, rtol=1e-6)
    assert (found.leads, found.sampling_rate_hz) == (LEADS, RATE_HZ)
    assert (found.age, found.sex) == (None, None)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_are_known_however_leads_are_spelled(tmp_path: Path, suffix: str) -> None:
    signals = {f"Lead_{lead.upper()}": each for lead, each in twelve().items()}
    file = write_table(tmp_path / f"a{suffix}", {"time": SIGNAL_MV[0], **signals})
    found = read_one("table", file, **TABLE_OPTIONS)
    assert found.leads == LEADS
    np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)


def test_an_array_may_be_samples_by_leads_of_whole_numbers(tmp_path: Path) -> None:
    stored = np.rint(SIGNAL_MV * 1000).astype(np.int16)
    np.save(tmp_path / "a.npy", stored[[1, 0]].T)
    found = read_one("table", tmp_path / "a.npy", rate_hz=100, unit="uV", leads="II,I")
    np.testing.assert_allclose(found.signal_mv, stored[:2] / 1000, rtol=1e-6)
    assert found.leads == ("I", "II")


def array(values: Any) -> Any:
    return lambda folder: np.save(folder / "a.npy", values)


def text(content: str) -> Any:
    return lambda folder: (folder / "a.csv").write_text(content)


def frame(columns: dict[str, Any]) -> Any:
    return lambda folder: pd.DataFrame(columns).to_parquet(folder / "a.parquet")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (array(np.zeros((12, 12))), "wrong_shape"),
        (array(np.zeros((11, 300))), "wrong_shape"),
        (array(np.zeros(300)), "wrong_shape"),
        (array(np.full((12, 300), "x")), "wrong_shape"),
        (array(np.array([{}])), "unreadable"),
        (array(np.full((12, 300), np.nan)), "nan"),
        (array(np.zeros((12, 0))), "empty"),
        (text("I;II\n1;2\n"), "unreadable"),
        (text("Wilhelmina Quackenbush\nI,II\n1,2\n"), "missing_lead"),
        (text("1,2\n3,4\n"), "missing_lead"),
        (text("I,I\n1,2\n"), "unreadable"),
        (text("I,II\n1,x\n"), "unreadable"),
        (text("I,II\n"), "empty"),
        (frame({"I": ["a"]}), "unreadable"),
        (frame({"I": [1.0], "i": [2.0]}), "header_mismatch"),
        (frame({"I": [1.0, None]}), "nan"),
        (frame({"x": [1.0]}), "missing_lead"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_reason(
    tmp_path: Path, make: Any, reason: str
) -> None:
    make(tmp_path)
    [file] = tmp_path.iterdir()
    assert reason_of("table", file, **TABLE_OPTIONS) == reason


def test_an_array_needs_the_names_of_its_leads(tmp_path: Path) -> None:
    file = write_table(tmp_path / "a.npy", twelve())
    assert reason_of("table", file, rate_hz=100, unit="mV") == "missing_lead"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"unit": "mV"}, "rate_hz=500"),
        ({"unit": "mV", "rate_hz": 0}, "rate_hz is 0"),
        ({"rate_hz": 500}, "unit=mV"),
        ({"rate_hz": 500, "unit": "mmHg"}, "unit is 'mmHg'"),
        ({"rate_hz": 500, "unit": "mV", "leads": "I,I"}, "each once"),
        ({"rate_hz": 500, "unit": "mV", "leads": "I,V9"}, "some of I, II"),
    ],
)
def test_rate_and_unit_must_be_given(tmp_path: Path, options: dict[str, object], part: str) -> None:
    write_table(tmp_path / "a.csv", twelve())
    with pytest.raises(ConfigError, match=part):
        open_source("table", str(tmp_path), options).references(100)
