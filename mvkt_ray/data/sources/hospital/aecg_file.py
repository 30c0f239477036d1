"""HL7 annotated ECGs: the rhythm of an `AnnotatedECG` document, version 3.

A lead is a list of whole numbers with an origin and a scale, each with its unit (`SLIST_PQ`); the
time of all of them one generated list with a step (`GLIST_TS`). Series that were derived, such as
representative beats, are not read. After HL7 V3 Annotated ECG (ANSI/HL7 V3 ECG, R1-2004), and the
implementation guide of Brown and Badilini, 2005.

Reads: one XML file.
"""

from dataclasses import dataclass
from typing import ClassVar
from xml.etree.ElementTree import Element

import numpy as np

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
from mvkt_ray.data.sources.hospital.xml_file import LARGEST_XML_BYTES, number_of, parse_xml
from mvkt_ray.errors import RecordingError

_TIMES = ("TIME_ABSOLUTE", "TIME_RELATIVE")
_SECONDS_PER_UNIT = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_SUBJECT = ".//subject/trialSubject"
_PERSON = f"{_SUBJECT}/subjectDemographicPerson"


@dataclass(frozen=True, kw_only=True, slots=True)
class AecgFolder(FileFolder):
    """HL7 aECG files, with or without a table of labels."""

    name: ClassVar[str] = "aecg"
    holds: ClassVar[str] = "HL7 aECG files (.xml)"
    suffixes: ClassVar[tuple[str, ...]] = (".xml", ".aecg", ".ecg")
    largest_bytes: ClassVar[int] = LARGEST_XML_BYTES

    def expect_reader(self) -> None:
        """Raise ConfigError unless defusedxml is installed."""
        expect_package("defusedxml", self.name, "xml")

    def decode(self, content: bytes, file: str) -> FileSignal:
        """Understand a document; see `FileFolder.decode`."""
        root = parse_xml(content, file, "AnnotatedECG")
        groups: list[LeadGroup] = []
        n_derived = len(root.findall(".//derivedSeries"))
        for series in root.findall("component/series"):
            if _code(series) == "REPRESENTATIVE_BEAT":
                n_derived += 1
                continue
            groups += [_group(file, each) for each in series.findall("component/sequenceSet")]
        return choose_group(file, groups, n_derived).decode().together(_patient(root))


def _code(element: Element) -> str:
    code = element.find("code")
    return "" if code is None else code.get("code", "")


def _group(file: str, sequence_set: Element) -> LeadGroup:
    sequences = sequence_set.findall("component/sequence")
    named = [(lead_named(_code(each)), each) for each in sequences]
    leads = [(lead, each) for lead, each in named if lead is not None]
    texts = [each.findtext("value/digits") or "" for _, each in leads]

    def decode() -> Leads:
        found = Leads(file)
        rate_hz = _rate_hz(file, sequences)
        for lead, each in leads:
            found.add(lead, _signal_mv(file, lead, each, found), rate_hz)
        return found

    return LeadGroup(
        leads=tuple(lead for lead, _ in leads),
        # All of a file have one writer, so that more text is more samples.
        seconds=float(max(map(len, texts), default=0)),
        decode=decode,
    )


def _rate_hz(file: str, sequences: list[Element]) -> float:
    steps = [each.find("value/increment") for each in sequences if _code(each) in _TIMES]
    if len(steps) != 1 or steps[0] is None:
        raise RecordingError(
            f"{file} must state one time step (GLIST_TS with an increment) for its leads, and "
            f"states {len([step for step in steps if step is not None])}",
            "rate",
        )
    unit = _SECONDS_PER_UNIT.get(steps[0].get("unit", ""))
    value = _number(steps[0])
    if unit is None or value is None or value <= 0:
        raise RecordingError(
            f"{file}: the time step is not a number above 0 in s, ms or us; correct it", "rate"
        )
    return 1 / (value * unit)


def _signal_mv(file: str, lead: str, sequence: Element, leads: Leads) -> np.ndarray:
    """Return origin + scale * digits, in mV."""
    value = sequence.find("value")
    kind = "" if value is None else value.get("type", "SLIST_PQ").rpartition(":")[2]
    if value is None or kind != "SLIST_PQ":
        raise RecordingError(
            f"{file}: lead {lead} is not a list of samples with a unit (SLIST_PQ)",
            "header_mismatch",
        )
    origin, scale = value.find("origin"), value.find("scale")
    factor = None if scale is None else _number(scale)
    if scale is None or not factor:
        raise RecordingError(
            f"{file}: lead {lead} states no scale, so its amplitude is unknown; export it again",
            "uncalibrated",
        )
    offset = 0.0
    if origin is not None and (start := _number(origin)):
        offset = start * leads.scale(lead, origin.get("unit"))
    words = (value.findtext("digits") or "").split()
    try:
        digits = np.array(words, dtype=np.float64)
    except ValueError as cause:
        raise RecordingError(
            f"{file}: a sample of lead {lead} is not a number; restore the file", "unreadable"
        ) from cause
    return offset + factor * leads.scale(lead, scale.get("unit")) * digits


def _number(element: Element) -> float | None:
    return number_of(element.get("value"))


def _patient(root: Element) -> PatientFacts:
    def attribute(path: str, name: str) -> str:
        element = root.find(path)
        return "" if element is None else element.get(name, "")

    identity = attribute(f"{_SUBJECT}/id", "extension") or attribute(f"{_SUBJECT}/id", "root")
    return facts_of(
        patient_id=identity,
        sex=attribute(f"{_PERSON}/administrativeGenderCode", "code"),
        born=attribute(f"{_PERSON}/birthTime", "value"),
        recorded=attribute("effectiveTime/low", "value")
        or attribute("effectiveTime/center", "value"),
    )
