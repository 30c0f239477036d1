"""HL7 aECG documents written by hand after the implementation guide."""

from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.recording import LEADS
from tests.data.sources.hospital.read_one import read_one, reason_of
from tests.hospital_xml import aecg_sequence, aecg_set, aecg_text, twelve, write_xml
from tests.tiny_datasets import RATE_HZ, SIGNAL_MV

TIME = aecg_set({})
"""A set with the time alone."""
OF_TIME = TIME.removesuffix("</sequenceSet></component>")


def write(folder: Path, text: str) -> Path:
    return write_xml(folder / "a.xml", text)


def with_lead(sequence: str, time: str = OF_TIME) -> str:
    return aecg_text(f"{time}{sequence}</sequenceSet></component>")


def test_samples_are_those_that_were_written(tmp_path: Path) -> None:
    found = read_one("aecg", write(tmp_path, aecg_text()))
    np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)
    assert (found.leads, found.sampling_rate_hz) == (LEADS, RATE_HZ)
    assert (found.age, found.sex) == (75.0, "female")


@pytest.mark.parametrize(("unit", "scale", "origin"), [("uV", 2.5, 100), ("mV", 0.0025, 0.1)])
def test_origin_scale_and_unit_count(
    tmp_path: Path, unit: str, scale: float, origin: float
) -> None:
    sequence = aecg_sequence("aVF", [0, 4, -40], scale=str(scale), unit=unit, origin=str(origin))
    found = read_one("aecg", write(tmp_path, with_lead(sequence)))
    assert found.leads == ("aVF",)
    np.testing.assert_allclose(found.signal_mv, [[0.1, 0.11, 0.0]], atol=1e-6)


@pytest.mark.parametrize(("step", "unit"), [("0.002", "s"), ("2", "ms"), ("2000", "us")])
def test_the_rate_follows_from_the_step(tmp_path: Path, step: str, unit: str) -> None:
    text = aecg_text(aecg_set(twelve(), step=step, unit=unit))
    assert read_one("aecg", write(tmp_path, text)).sampling_rate_hz == pytest.approx(500)


def test_derived_series_are_not_read(tmp_path: Path) -> None:
    beat = aecg_set({lead: each[:50] for lead, each in twelve().items()})
    derived = f"<derivation><derivedSeries>{beat}</derivedSeries></derivation>"
    found = read_one("aecg", write(tmp_path, aecg_text(more=derived)))
    np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)
    alone = aecg_text(code="REPRESENTATIVE_BEAT")
    assert reason_of("aecg", write(tmp_path, alone)) == "derived"


def test_a_document_in_utf_16_with_a_prefix_is_read(tmp_path: Path) -> None:
    text = aecg_text().replace('encoding="UTF-8"', 'encoding="UTF-16"')
    for tag in ("AnnotatedECG", "component", "series", "sequenceSet", "sequence", "value"):
        text = text.replace(f"<{tag}", f"<h:{tag}").replace(f"</{tag}", f"</h:{tag}")
    text = text.replace("xmlns=", 'xmlns="urn:hl7-org:v3" xmlns:h=')
    found = read_one("aecg", write(tmp_path, text))
    np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)


LEAD = aecg_sequence("I", [1, 2, 3])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (with_lead(LEAD + LEAD), "header_mismatch"),
        (with_lead(LEAD + aecg_sequence("II", [1, 2])), "header_mismatch"),
        (with_lead(LEAD.replace("SLIST_PQ", "GLIST_PQ")), "header_mismatch"),
        (with_lead(LEAD.replace('<scale value="1"', "<scale")), "uncalibrated"),
        (with_lead(LEAD.replace('<scale value="1"', '<scale value="0"')), "uncalibrated"),
        (with_lead(aecg_sequence("I", [1], unit="mmHg")), "wrong_units"),
        (with_lead(aecg_sequence("I", [1], unit="")), "wrong_units"),
        (with_lead(aecg_sequence("I", [1, "x"])), "unreadable"),
        (with_lead(aecg_sequence("I", [1, "nan"])), "nan"),
        (with_lead(aecg_sequence("I", [])), "empty"),
        (with_lead(LEAD.replace("LEAD_I", "LEAD_AVRneg")), "missing_lead"),
        (with_lead(LEAD, "<component><sequenceSet>"), "rate"),
        (with_lead(LEAD, OF_TIME.replace('"0.01"', '"0"')), "rate"),
        (with_lead(LEAD, OF_TIME.replace('unit="s"', 'unit="m"')), "rate"),
        (aecg_text(aecg_set({"I": SIGNAL_MV[0]}) + aecg_set({"II": SIGNAL_MV[1]})), "leads_apart"),
        (aecg_text(""), "missing_lead"),
        ("<?xml version='1.0' encoding=\"UTF-8\"?><other/>", "unreadable"),
        (aecg_text()[:-100], "unreadable"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    assert reason_of("aecg", write(tmp_path, text)) == reason
