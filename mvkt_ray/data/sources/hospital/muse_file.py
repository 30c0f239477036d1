"""GE MUSE's XML: the rhythm of a `RestingECG`, of whose twelve leads eight are stored.

Samples are whole numbers of 16 bits, the low byte first, in base64; each lead states microvolts per
bit. III, aVR, aVL and aVF follow from I and II. The format is described by its exports alone; the
check sums (`LeadDataCRC32`) are not compared, as nothing says of what they are.

Reads: one XML file.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import ClassVar
from xml.etree.ElementTree import Element

import numpy as np

from mvkt_ray.data.recording import OF_I_AND_II
from mvkt_ray.data.sources.file_signal import (
    FileSignal,
    LeadGroup,
    Leads,
    PatientFacts,
    choose_group,
)
from mvkt_ray.data.sources.hospital.file_content import expect_package
from mvkt_ray.data.sources.hospital.file_folder import FileFolder
from mvkt_ray.data.sources.hospital.header_facts import facts_of
from mvkt_ray.data.sources.hospital.lead_names import lead_named
from mvkt_ray.data.sources.hospital.xml_file import LARGEST_XML_BYTES, number_of, parse_xml, text_at
from mvkt_ray.errors import RecordingError

_SAMPLE_BYTES = 2
_ZEROS = ("FirstSampleBaseline", "LeadOffsetFirstSample", "LeadTimeOffset")
"""Fields that are 0 in every export; what else in them would mean is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MuseFolder(FileFolder):
    """GE MUSE XML files, with or without a table of labels."""

    name: ClassVar[str] = "muse"
    holds: ClassVar[str] = "GE MUSE XML files (.xml)"
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    largest_bytes: ClassVar[int] = LARGEST_XML_BYTES

    def expect_reader(self) -> None:
        """Raise ConfigError unless defusedxml is installed."""
        expect_package("defusedxml", self.name, "xml")

    def decode(self, content: bytes, file: str) -> FileSignal:
        """Understand a document; see `FileFolder.decode`."""
        root = parse_xml(content, file, "RestingECG")
        waveforms = root.findall("Waveform")
        rhythm = [each for each in waveforms if text_at(each, "WaveformType").lower() == "rhythm"]
        groups = [_group(file, each) for each in rhythm]
        leads = choose_group(file, groups, len(waveforms) - len(rhythm)).decode()
        _complete(leads)
        return leads.together(_patient(root))


def _group(file: str, waveform: Element) -> LeadGroup:
    named = [(lead_named(text_at(each, "LeadID")), each) for each in waveform.findall("LeadData")]
    # What an electrode that is off gives is no lead.
    on = [
        (lead, each)
        for lead, each in named
        if lead is not None and text_at(each, "LeadOff").upper() != "TRUE"
    ]

    def decode() -> Leads:
        found = Leads(file)
        rate_hz = _rate_hz(file, waveform)
        for lead, each in on:
            found.add(lead, _signal_mv(file, lead, each, found), rate_hz)
        return found

    return LeadGroup(
        leads=tuple(lead for lead, _ in on),
        seconds=float(max((len(text_at(each, "WaveFormData")) for _, each in on), default=0)),
        decode=decode,
    )


def _rate_hz(file: str, waveform: Element) -> float:
    base = _number(waveform, "SampleBase")
    exponent = _number(waveform, "SampleExponent") or 0.0
    if base is None or abs(exponent) > 9:
        raise RecordingError(f"{file} states no sampling rate (SampleBase); correct it", "rate")
    return base * 10.0**exponent


def _signal_mv(file: str, lead: str, data: Element, leads: Leads) -> np.ndarray:
    odd = [name for name in _ZEROS if _number(data, name)]
    if odd or _number(data, "LeadSampleSize") not in (None, _SAMPLE_BYTES):
        name = odd[0] if odd else "LeadSampleSize"
        raise RecordingError(
            f"{file}: {name} of lead {lead} has an unknown value; export the recording again",
            "header_mismatch",
        )
    factor = _number(data, "LeadAmplitudeUnitsPerBit")
    if not factor:
        raise RecordingError(
            f"{file}: lead {lead} states no units per bit, so its amplitude is unknown; export it "
            "again",
            "uncalibrated",
        )
    scale = factor * leads.scale(lead, text_at(data, "LeadAmplitudeUnits"))
    try:
        raw = base64.b64decode("".join(text_at(data, "WaveFormData").split()), validate=True)
    except binascii.Error as cause:
        raise RecordingError(
            f"{file}: the samples of lead {lead} are not base64; restore the file", "unreadable"
        ) from cause
    stated = _number(data, "LeadSampleCountTotal")
    if len(raw) % _SAMPLE_BYTES or (stated is not None and len(raw) != stated * _SAMPLE_BYTES):
        raise RecordingError(
            f"{file}: lead {lead} states {stated or 0:g} samples and has {len(raw)} bytes; restore "
            "the file",
            "truncated",
        )
    return scale * np.frombuffer(raw, dtype="<i2").astype(np.float64)


def _complete(leads: Leads) -> None:
    """Add the limb leads that follow from I and II, where the file does not have them."""
    if "I" not in leads or "II" not in leads:
        return
    one, two = leads.signal_mv("I"), leads.signal_mv("II")
    if len(one) != len(two):
        return  # Said of all leads together.
    for lead, (of_one, of_two) in OF_I_AND_II.items():
        if lead not in leads:
            leads.add(lead, of_one * one + of_two * two, leads.rate_hz("I"))


def _number(element: Element, path: str) -> float | None:
    return number_of(element.findtext(path))


def _patient(root: Element) -> PatientFacts:
    person, test = "PatientDemographics", "TestDemographics"
    age = text_at(root, f"{person}/PatientAge")
    return facts_of(
        patient_id=text_at(root, f"{person}/PatientID"),
        age=f"{age} {text_at(root, f'{person}/AgeUnits')}".strip() if age else "",
        sex=text_at(root, f"{person}/Gender"),
        born=text_at(root, f"{person}/DateofBirth"),
        recorded=text_at(root, f"{test}/AcquisitionDate"),
    )
