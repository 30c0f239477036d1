"""MUSE exports written by hand: eight leads stored, twelve read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvkt_ray.data.recording import LEADS
from tests.data.sources.hospital.read_one import read_one, reason_of
from tests.hospital_xml import (
    STEP_UV,
    STORED,
    einthoven,
    muse_lead,
    muse_text,
    muse_waveform,
    twelve,
    write_xml,
)
from tests.tiny_datasets import RATE_HZ


def write(folder: Path, text: str) -> Path:
    return write_xml(folder / "a.xml", text)


def test_eight_leads_become_twelve_by_einthoven_and_goldberger(tmp_path: Path) -> None:
    found = read_one("muse", write(tmp_path, muse_text()))
    assert (found.leads, found.sampling_rate_hz) == (LEADS, RATE_HZ)
    assert (found.age, found.sex) == (51.0, "female")
    stored = {lead: np.rint(each * 1000 / STEP_UV) for lead, each in twelve().items()}
    one, two = stored["I"], stored["II"]
    stored |= {"III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2}
    stored["aVF"] = two - one / 2
    wanted = np.stack([stored[lead] for lead in LEADS]) * STEP_UV / 1000
    np.testing.assert_allclose(found.signal_mv, wanted, atol=1e-6)
    exact = np.stack([einthoven()[lead] for lead in LEADS])
    np.testing.assert_allclose(found.signal_mv, exact, atol=STEP_UV / 1000)


def test_leads_that_are_stored_are_not_computed(tmp_path: Path) -> None:
    leads = [muse_lead(lead, twelve()[lead], step_uv=1) for lead in (*STORED, "III", "aVR")]
    text = muse_text(muse_waveform("".join(leads)))
    found = read_one("muse", write(tmp_path, text))
    np.testing.assert_allclose(found.signal_mv[2], twelve()["III"], atol=1e-6)
    np.testing.assert_allclose(found.signal_mv[3], twelve()["aVR"], atol=1e-6)


def test_without_lead_ii_there_is_nothing_to_compute(tmp_path: Path) -> None:
    leads = muse_lead("I", twelve()["I"]) + muse_lead("II", twelve()["II"], LeadOff="TRUE")
    assert read_one("muse", write(tmp_path, muse_text(muse_waveform(leads)))).leads == ("I",)


def test_the_rate_has_an_exponent(tmp_path: Path) -> None:
    text = muse_text(muse_waveform(muse_lead("I", twelve()["I"]), base=5))
    text = text.replace("<SampleExponent>0", "<SampleExponent>2")
    assert read_one("muse", write(tmp_path, text)).sampling_rate_hz == 500


def with_lead(**fields: Any) -> str:
    return muse_text(muse_waveform(muse_lead("I", twelve()["I"], **fields)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (with_lead(LeadAmplitudeUnitsPerBit=None), "uncalibrated"),
        (with_lead(LeadAmplitudeUnitsPerBit=0), "uncalibrated"),
        (with_lead(LeadAmplitudeUnits="PASCAL"), "wrong_units"),
        (with_lead(LeadAmplitudeUnits=None), "wrong_units"),
        (with_lead(LeadSampleCountTotal=5000), "truncated"),
        (with_lead(LeadSampleSize=4), "header_mismatch"),
        (with_lead(LeadTimeOffset=3), "header_mismatch"),
        (with_lead(FirstSampleBaseline=8), "header_mismatch"),
        (with_lead(WaveFormData="a?b"), "unreadable"),
        (with_lead(WaveFormData="", LeadSampleCountTotal=0), "empty"),
        (with_lead(LeadID="X1"), "missing_lead"),
        (with_lead(LeadOff="TRUE"), "missing_lead"),
        (muse_text(muse_waveform(muse_lead("I", twelve()["I"]), base="")), "rate"),
        (muse_text(muse_waveform(muse_lead("I", twelve()["I"]), kind="Median")), "derived"),
        (muse_text(muse_waveform(2 * muse_lead("I", twelve()["I"]))), "header_mismatch"),
        (muse_text(""), "missing_lead"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    assert reason_of("muse", write(tmp_path, text)) == reason
