"""XML as hospitals export it, written by hand; full of the person of `PERSON`."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mvkt_ray.data.recording import LEADS
from tests.tiny_datasets import RATE_HZ, SIGNAL_MV

PERSON = ("Quackenbush", "Wilhelmina", "19440229", "MRN77123", "Rosengasse", "Thistlewood")
"""Family name, first name, birth date, number, street, physician."""
PATIENT_ID = "MRN77123"
STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
"""Leads that MUSE stores."""

STEP_UV = 4.88
"""Of a bit, in exports of MUSE."""

Signals = Mapping[str, np.ndarray]


def twelve() -> dict[str, np.ndarray]:
    """Return the leads of tests, in mV."""
    return dict(zip(LEADS, SIGNAL_MV, strict=True))


def einthoven() -> dict[str, np.ndarray]:
    """Return twelve leads of which four follow from I and II, as they do on a patient."""
    leads = twelve()
    one, two = leads["I"], leads["II"]
    leads |= {"III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2}
    return leads | {"aVF": two - one / 2}


def aecg_sequence(
    lead: str, digits: Sequence[object], *, scale: str = "1", unit: str = "uV", origin: str = "0"
) -> str:
    """Return the sequence of a lead."""
    return (
        f'<component><sequence><code code="MDC_ECG_LEAD_{lead.upper()}" codeSystem="2.16.840.1"/>'
        f'<value xsi:type="SLIST_PQ"><origin value="{origin}" unit="{unit}"/>'
        f'<scale value="{scale}" unit="{unit}"/><digits>{" ".join(map(str, digits))}</digits>'
        "</value></sequence></component>"
    )


def aecg_set(signals: Signals, *, step: str = "0.01", unit: str = "s") -> str:
    """Return a sequence set: the time, and leads in microvolts."""
    time = (
        '<component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS">'
        f'<head value="20190701120000.000"/><increment value="{step}" unit="{unit}"/></value>'
        "</sequence></component>"
    )
    leads = [
        aecg_sequence(lead, np.rint(each * 1000).astype(int).tolist())
        for lead, each in signals.items()
    ]
    return f"<component><sequenceSet>{time}{''.join(leads)}</sequenceSet></component>"


def aecg_text(sets: str | None = None, *, code: str = "RHYTHM", more: str = "") -> str:
    """Return a document, written by hand after the implementation guide."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<AnnotatedECG xmlns="urn:hl7-org:v3"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        '<effectiveTime><low value="20190701120000" inclusive="true"/></effectiveTime>'
        "<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>"
        f'<id root="2.16.840.1" extension="{PATIENT_ID}"/><subjectDemographicPerson>'
        "<name>Wilhelmina Quackenbush</name>"
        '<administrativeGenderCode code="F"/><birthTime value="19440229"/>'
        "<addr>Rosengasse 7</addr></subjectDemographicPerson></trialSubject></subject>"
        "<performer>Thistlewood</performer></subjectAssignment></componentOf></timepointEvent>"
        f'</componentOf><component><series><code code="{code}"/>'
        f"{aecg_set(twelve()) if sets is None else sets}{more}</series></component></AnnotatedECG>"
    )


def muse_lead(lead: str, signal_mv: np.ndarray, step_uv: float = STEP_UV, **fields: object) -> str:
    """Return the data of a lead; `fields` replace those of the export."""
    stored = np.rint(signal_mv * 1000 / step_uv).astype("<i2").tobytes()
    text = base64.encodebytes(stored).decode()
    wanted = {
        "LeadByteCountTotal": len(stored), "LeadTimeOffset": 0,
        "LeadSampleCountTotal": len(stored) // 2, "LeadAmplitudeUnitsPerBit": step_uv,
        "LeadAmplitudeUnits": "MICROVOLTS", "LeadHighLimit": 32767, "LeadLowLimit": -32768,
        "LeadID": lead, "LeadOffsetFirstSample": 0, "FirstSampleBaseline": 0,
        "LeadSampleSize": 2, "LeadOff": "FALSE", "BaselineSway": "FALSE",
        "LeadDataCRC32": 4002389123, "WaveFormData": f"\n{text}",
    } | fields  # fmt: skip
    parts = [f"<{name}>{value}</{name}>" for name, value in wanted.items() if value is not None]
    return f"<LeadData>{''.join(parts)}</LeadData>"


def muse_waveform(leads: str, *, kind: str = "Rhythm", base: object = RATE_HZ) -> str:
    """Return a waveform of leads."""
    return (
        f"<Waveform><WaveformType>{kind}</WaveformType><WaveformStartTime>0</WaveformStartTime>"
        f"<SampleType>CONTINUOUS_SAMPLES</SampleType><SampleBase>{base}</SampleBase>"
        f"<SampleExponent>0</SampleExponent>{leads}</Waveform>"
    )


def muse_text(waveforms: str | None = None, *, doctype: str | None = None) -> str:
    """Return an export, in Latin-1 as they are; it names a DTD that is not there."""
    leads = twelve()
    if waveforms is None:
        median = "".join(muse_lead(lead, leads[lead][:60]) for lead in STORED)
        rhythm = "".join(muse_lead(lead, leads[lead]) for lead in STORED)
        waveforms = muse_waveform(median, kind="Median") + muse_waveform(rhythm)
    head = '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">' if doctype is None else doctype
    return (
        f'<?xml version="1.0" encoding="ISO-8859-1"?>\n{head}\n<RestingECG>'
        f"<PatientDemographics><PatientID>{PATIENT_ID}</PatientID><PatientAge>51</PatientAge>"
        "<AgeUnits>YEARS</AgeUnits><DateofBirth>02-29-1944</DateofBirth><Gender>FEMALE</Gender>"
        "<PatientLastName>Quackenbush</PatientLastName>"
        "<PatientFirstName>Wilhelmina</PatientFirstName></PatientDemographics>"
        "<TestDemographics><AcquisitionDate>07-01-2019</AcquisitionDate>"
        "<LocationName>Rosengasse é</LocationName>"
        "<OverreaderLastName>Thistlewood</OverreaderLastName></TestDemographics>"
        f"{waveforms}</RestingECG>"
    )


def write_xml(path: Path, text: str) -> Path:
    """Write a document in the encoding that it declares."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = text.partition('encoding="')[2].partition('"')[0]
    path.write_bytes(text.encode(encoding))
    return path
