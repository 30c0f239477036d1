"""EDF and BDF, and their continuous forms EDF+C and BDF+C.

Kemp et al., Electroencephalogr. Clin. Neurophysiol. 82, 1992, and Kemp and Olivan, Clin.
Neurophysiol. 114, 2003. The numbers of the header are checked against the size of the file before
edfio reads it, which would go on with a warning. Recordings with gaps (EDF+D) are refused.

Reads: one file; of its signals those that are called after one of the twelve leads.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import numpy as np

from mvkt_ray.data.sources.file_signal import FileSignal, Leads, PatientFacts
from mvkt_ray.data.sources.hospital.file_content import expect_package
from mvkt_ray.data.sources.hospital.file_folder import FileFolder
from mvkt_ray.data.sources.hospital.header_facts import facts_of
from mvkt_ray.data.sources.hospital.lead_names import lead_named
from mvkt_ray.errors import RecordingError

_HEADER_BYTES = 256
"""Of the file, and as much again for each signal."""
_BEFORE_COUNTS = 16 + 80 + 5 * 8 + 80
"""Bytes of a signal's header before its number of samples in a data record."""
_MOST_SIGNALS = 9999
_EDF, _BDF = b"0       ", b"\xffBIOSEMI"
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DATE = re.compile(r"(\d{2})-([A-Z]{3})-(\d{4})")
_UNKNOWN = "X"


@dataclass(frozen=True, kw_only=True, slots=True)
class EdfFolder(FileFolder):
    """EDF and BDF files, with or without a table of labels."""

    name: ClassVar[str] = "edf"
    holds: ClassVar[str] = "EDF or BDF files (.edf, .bdf)"
    suffixes: ClassVar[tuple[str, ...]] = (".edf", ".bdf", ".edf+", ".bdf+", ".rec")
    largest_bytes: ClassVar[int] = 1 << 28

    def expect_reader(self) -> None:
        """Raise ConfigError unless edfio is installed."""
        expect_package("edfio", self.name, "edf")

    def decode(self, content: bytes, file: str) -> FileSignal:
        """Understand a file; see `FileFolder.decode`."""
        import edfio

        header = _checked_header(content, file)
        read: Any = edfio.read_bdf if header.is_bdf else edfio.read_edf
        edf: Any = read(content, header_encoding=header.encoding)
        leads = Leads(file)
        for signal in edf.signals:
            lead = lead_named(signal.label)
            if lead is not None:
                leads.add(lead, _signal_mv(file, lead, signal, leads), signal.sampling_frequency)
        return leads.together(_patient(header))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    is_bdf: bool
    is_plus: bool
    encoding: str
    patient: str
    recording: str


def _checked_header(content: bytes, file: str) -> _Header:
    """Return what edfio is not asked for, once the sizes that are stated agree with the file."""
    is_bdf = content[:8] == _BDF
    if not is_bdf and content[:8] != _EDF:
        raise RecordingError(f"{file} is neither EDF nor BDF", "unreadable")
    n_header = _count(content[184:192], file, "bytes in the header")
    reserved = content[192:236].decode("ascii", "replace").strip()
    n_records = _count(content[236:244], file, "data records")
    n_signals = _count(content[252:256], file, "signals")
    if not 0 < n_signals <= _MOST_SIGNALS or n_header != _HEADER_BYTES * (n_signals + 1):
        raise RecordingError(
            f"{file} states {n_signals} signals and a header of {n_header} bytes, which "
            "contradict each other; restore the file",
            "header_mismatch",
        )
    if len(content) < n_header:
        raise RecordingError(f"{file} ends in its header; restore it", "truncated")
    if reserved[:5] in ("EDF+D", "BDF+D"):
        raise RecordingError(
            f"{file} is a recording with gaps ({reserved[:5]}); export each part as a file",
            "discontinuous",
        )
    _check_size(content, file, n_header, n_records, n_signals, bytes_per_sample=3 if is_bdf else 2)
    return _Header(
        is_bdf=is_bdf,
        is_plus=reserved[:4] in ("EDF+", "BDF+"),
        encoding=_encoding(content[:n_header]),
        patient=content[8:88].decode("latin-1").strip(),
        recording=content[88:168].decode("latin-1").strip(),
    )


def _check_size(
    content: bytes, file: str, n_header: int, n_records: int, n_signals: int, bytes_per_sample: int
) -> None:
    begin = _HEADER_BYTES + _BEFORE_COUNTS * n_signals
    counts = [
        _count(content[at : at + 8], file, "samples in a data record")
        for at in range(begin, begin + 8 * n_signals, 8)
    ]
    stated = n_records * sum(counts) * bytes_per_sample
    there = len(content) - n_header
    if there != stated:
        raise RecordingError(
            f"{file} states {stated:,} bytes of samples, and {there:,} are there; restore the file",
            "truncated" if there < stated else "header_mismatch",
        )


def _count(field: bytes, file: str, what: str) -> int:
    text = field.decode("ascii", "replace").strip()
    if not text.isdigit():
        raise RecordingError(
            f"{file} states no number of {what}; restore the file", "header_mismatch"
        )
    return int(text)


def _encoding(header: bytes) -> str:
    """Return the encoding of a header that holds more than ASCII, as a micro sign."""
    try:
        # The first byte of BDF is none of text.
        header[8:].decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _signal_mv(file: str, lead: str, signal: Any, leads: Leads) -> np.ndarray:
    low, high = signal.physical_range
    lowest, highest = signal.digital_range
    if low == high or lowest >= highest:
        raise RecordingError(
            f"{file}: lead {lead} has an empty range, so its amplitude is unknown; correct the "
            "physical and the digital range",
            "uncalibrated",
        )
    scale = leads.scale(lead, signal.physical_dimension)
    gain = (high - low) / (highest - lowest)
    return (low + (signal.digital.astype(np.float64) - lowest) * gain) * scale


def _patient(header: _Header) -> PatientFacts:
    """Return facts of `code sex birthdate name`, or of a text that older files have instead."""
    words = header.patient.split()
    if not header.is_plus or len(words) < 4:
        return facts_of(patient_id="" if set(words) <= {_UNKNOWN} else header.patient)
    code, sex, born, *name = words
    if code == _UNKNOWN and name != [_UNKNOWN]:
        code = f"{' '.join(name)} {born}"
    return facts_of(patient_id=code, sex=sex, born=_day(born), recorded=_day(header.recording))


def _day(text: str) -> date | None:
    found = _DATE.search(text.upper())
    if found is None or found[2] not in _MONTHS:
        return None
    try:
        return date(int(found[3]), _MONTHS.index(found[2]) + 1, int(found[1]))
    except ValueError:
        return None
