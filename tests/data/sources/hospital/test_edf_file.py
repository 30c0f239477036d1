"""EDF and BDF files that pyedflib wrote, read by edfio."""

from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.identity import own_patient
from mvkt_ray.data.recording import LEADS
from tests.data.sources.hospital.read_one import read_one, reason_of
from tests.hospital_files import write_edf
from tests.hospital_xml import twelve
from tests.tiny_datasets import RATE_HZ, SIGNAL_MV


@pytest.mark.parametrize("suffix", [".edf", ".bdf"])
@pytest.mark.parametrize("unit", ["uV", "mV", "V", "nV"])
def test_samples_are_those_that_were_written(tmp_path: Path, suffix: str, unit: str) -> None:
    found = read_one("edf", write_edf(tmp_path / f"a{suffix}", unit=unit))
    np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)
    assert (found.leads, found.sampling_rate_hz) == (LEADS, RATE_HZ)
    assert (found.age, found.sex) == (75.0, "female")


@pytest.mark.parametrize("label", ["{}", "EKG {}", "Lead {}", "ECG-{}"])
def test_leads_are_found_by_name_among_other_signals(tmp_path: Path, label: str) -> None:
    signals = dict(reversed(twelve().items()))
    file = write_edf(tmp_path / "a.edf", {**signals, "Resp": SIGNAL_MV[0]}, label=label)
    found = read_one("edf", file)
    assert found.leads == LEADS
    np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)


def test_leads_of_a_lower_rate_are_brought_to_the_highest(tmp_path: Path) -> None:
    time_s = np.arange(600) / 200
    wave = np.sin(2 * np.pi * 1.5 * time_s)
    file = write_edf(
        tmp_path / "a.edf", {"I": wave, "II": wave[::2]}, rates_hz={"I": 200, "II": 100}
    )
    found = read_one("edf", file)
    assert (found.leads, found.sampling_rate_hz) == (("I", "II"), 200)
    np.testing.assert_allclose(found.signal_mv[1, 50:-50], wave[50:-50], atol=5e-3)


def changed(file: Path, at: int, text: bytes) -> Path:
    content = bytearray(file.read_bytes())
    content[at : at + len(text)] = text
    file.write_bytes(content)
    return file


N_SIGNALS = 13
"""Twelve leads and the annotations."""
DIMENSION, PHYSICAL, DIGITAL = (256 + N_SIGNALS * before for before in (96, 104, 120))
"""Where the unit, the least physical and the least digital value of all signals begin."""


@pytest.mark.parametrize(
    ("at", "text", "reason"),
    [
        (0, b"1       ", "unreadable"),
        (184, b"99999   ", "header_mismatch"),
        (192, b"EDF+D", "discontinuous"),
        (236, b"-1      ", "header_mismatch"),
        (236, b"99999999", "truncated"),
        (236, b"1       ", "header_mismatch"),
        (252, b"9999", "header_mismatch"),
        (DIMENSION, b"mmHg    ", "wrong_units"),
        (DIMENSION, b"        ", "wrong_units"),
        (PHYSICAL, b"8000    ", "uncalibrated"),
        (PHYSICAL, b"x       ", "unreadable"),
        (DIGITAL, b"8000    ", "uncalibrated"),
        (256, b"ECG II ", "header_mismatch"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_reason(
    tmp_path: Path, at: int, text: bytes, reason: str
) -> None:
    assert reason_of("edf", changed(write_edf(tmp_path / "a.edf"), at, text)) == reason


def test_a_file_that_was_cut_is_truncated(tmp_path: Path) -> None:
    file = write_edf(tmp_path / "a.edf")
    file.write_bytes(file.read_bytes()[:-1])
    assert reason_of("edf", file) == "truncated"
    file.write_bytes(file.read_bytes()[:1000])
    assert reason_of("edf", file) == "truncated"


def test_a_micro_sign_is_read_in_latin_1_and_in_utf_8(tmp_path: Path) -> None:
    for sign in (b"\xb5V      ", b"\xc2\xb5V     "):
        file = write_edf(tmp_path / "a.edf")
        for number in range(12):
            changed(file, DIMENSION + 8 * number, sign)
        np.testing.assert_allclose(read_one("edf", file).signal_mv, SIGNAL_MV, atol=1e-6)


def test_a_file_without_leads_or_of_nobody(tmp_path: Path) -> None:
    file = write_edf(tmp_path / "a.edf", {"EEG Fpz": SIGNAL_MV[0]})
    assert reason_of("edf", file) == "missing_lead"
    file = changed(write_edf(tmp_path / "a.edf"), 8, b"X X X X".ljust(80))
    assert read_one("edf", file).patient_id == own_patient("a.edf")
