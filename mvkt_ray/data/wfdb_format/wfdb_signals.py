"""The leads of one ordinary WFDB record: its signal files checked, decoded and brought to mV.

A signal file that holds none of the twelve leads is not opened: what is wrong with it says nothing
about them. Of one that holds a lead, the checksums of all its signals must agree.

Reads: the signal files that a header names.
"""

from dataclasses import dataclass

import numpy as np

from mvkt_ray.data.recording import canonical_lead, mv_per_unit
from mvkt_ray.data.wfdb_format.wfdb_formats import (
    DIFFERENCES,
    FLAC,
    FORMATS,
    decode_file,
    decode_flac,
)
from mvkt_ray.data.wfdb_format.wfdb_header import NO_SAMPLES, SignalLine, WfdbHeader
from mvkt_ray.data.wfdb_format.wfdb_signal_files import (
    SignalFile,
    length_in_frames,
    open_signal_files,
)
from mvkt_ray.errors import RecordingError

_DEFAULT_GAIN = 200.0
"""ADC units per physical unit that header(5) lets one assume of a signal without calibration."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LeadSignal:
    """One lead as its file has it: at its own rate, and with what precedes sample 0."""

    signal_mv: np.ndarray
    """float64 `[n_frames * samples_per_frame]`, NaN where the file marks a sample as missing."""
    samples_per_frame: int
    skew_frames: int
    """Frames that precede sample 0."""
    is_calibrated: bool
    """The header states a gain."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WfdbLeads:
    """The leads of a record, and how long it is."""

    leads: dict[str, LeadSignal]
    """Leads by canonical name."""
    n_frames: int


def read_leads(header: WfdbHeader) -> WfdbLeads:
    """Read those of the twelve leads that an ordinary record has.

    Args:
        header: of the record; it may have other signals too.

    Raises:
        RecordingError: with reason `missing_file`, `unreadable`, `truncated`, `header_mismatch`,
            `missing_lead`, `wrong_units` or `checksum`.
    """
    lines = lead_lines(header)
    if not lines:
        names = [line.description for line in header.signals]
        raise RecordingError(
            f"{header.file} has none of the twelve leads with samples; its signals are {names}",
            "missing_lead",
        )
    scales = {lead: _mv_per_unit(header, line, lead) for lead, line in lines.items()}
    files = open_signal_files(header, {line.file_name for line in lines.values()})
    n_frames = length_in_frames(header, files)
    samples: dict[int, np.ndarray] = {}
    for file in files.values():
        decoded = _decode(file, n_frames)
        samples |= {id(line): each for line, each in zip(file.lines, decoded, strict=True)}
        _check_checksums(header, file, decoded)
    return WfdbLeads(
        leads={
            lead: LeadSignal(
                signal_mv=_in_mv(samples[id(line)], line, scales[lead]),
                samples_per_frame=line.samples_per_frame,
                skew_frames=line.skew_frames,
                is_calibrated=line.gain is not None,
            )
            for lead, line in lines.items()
        },
        n_frames=n_frames,
    )


def lead_lines(header: WfdbHeader) -> dict[str, SignalLine]:
    """Map each of the twelve leads that has samples to its line.

    Raises:
        RecordingError: A lead is named twice.
    """
    named: set[str] = set()
    lines: dict[str, SignalLine] = {}
    for line in header.signals:
        lead = canonical_lead(line.description)
        if lead is None:
            continue
        if lead in named:
            raise RecordingError(
                f"{header.file} names lead {lead} twice; correct the descriptions",
                "header_mismatch",
            )
        named.add(lead)
        if line.format != NO_SAMPLES:
            lines[lead] = line
    return lines


def _mv_per_unit(header: WfdbHeader, line: SignalLine, lead: str) -> float:
    scale = 1.0 if line.unit is None else mv_per_unit(line.unit)
    if scale is None:
        raise RecordingError(
            f"{header.file}: lead {lead} is in {line.unit!r}, which is not nV, uV, mV or V; "
            "correct the unit",
            "wrong_units",
        )
    return scale


def _decode(file: SignalFile, n_frames: int) -> list[np.ndarray]:
    """Return the digital samples of each signal, integers `[n_frames * samples_per_frame]`."""
    counts = [line.samples_per_frame for line in file.lines]
    if file.format_name in FLAC:
        return decode_flac(file.path, file.format_name, file.byte_offset, counts, n_frames)
    values = decode_file(file.format, file.path, file.byte_offset, n_frames * sum(counts))
    values = values.reshape(n_frames, -1)
    ends = np.cumsum(counts)
    signals = [values[:, end - n : end].reshape(-1) for end, n in zip(ends, counts, strict=True)]
    if file.format_name == DIFFERENCES:
        return [
            line.initial_value + np.cumsum(signal)
            for line, signal in zip(file.lines, signals, strict=True)
        ]
    return signals


def _check_checksums(header: WfdbHeader, file: SignalFile, signals: list[np.ndarray]) -> None:
    """Compare the sums of all samples, in 16 bits, with those that the header states.

    Writers put 0 where they made none, so 0 counts as stated only where another signal has a
    checksum. A record of unspecified length has to agree too, if it states any.
    """
    if not any(line.checksum for line in header.signals):
        return
    wrong: list[str] = []
    for line, signal in zip(file.lines, signals, strict=True):
        found = int(signal.sum()) & 0xFFFF
        if line.checksum is not None and line.checksum & 0xFFFF != found:
            signed = found - 0x10000 if found > 0x7FFF >= line.checksum else found
            wrong.append(f"{line.description} {line.checksum} ({signed})")
    if wrong:
        raise RecordingError(
            f"{header.file} states checksums that differ from those of {file.path.name} (in "
            f"brackets): {', '.join(wrong)}; header and samples are not of one recording, or are "
            "damaged: restore both",
            "checksum",
        )


def _in_mv(samples: np.ndarray, line: SignalLine, mv_per_unit: float) -> np.ndarray:
    gain = _DEFAULT_GAIN if line.gain is None else line.gain
    signal_mv = (samples.astype(np.float64) - line.baseline) / gain * mv_per_unit
    invalid = FORMATS[line.format].invalid
    if invalid is not None:
        signal_mv[samples == invalid] = np.nan
    return signal_mv
