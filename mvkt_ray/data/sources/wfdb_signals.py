"""The leads of one ordinary WFDB record: its signal files checked, decoded and brought to mV.

A signal file that holds none of the twelve leads is not opened: what is wrong with it says nothing
about them. Of one that holds a lead, the checksums of all its signals must agree.

Reads: the signal files that a header names.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mvkt_ray.data.recording import canonical_lead
from mvkt_ray.data.sources.wfdb_files import find_signal_file
from mvkt_ray.data.sources.wfdb_formats import (
    DIFFERENCES,
    FORMATS,
    decode_file,
    decode_flac,
    flac_samples,
)
from mvkt_ray.data.sources.wfdb_header import NO_SAMPLES, SignalLine, WfdbHeader
from mvkt_ray.errors import RecordingError

_DEFAULT_GAIN = 200.0
"""ADC units per physical unit that header(5) lets one assume of a signal without calibration."""

_MV_PER_UNIT = {"nv": 1e-6, "uv": 1e-3, "mv": 1.0, "v": 1e3} | {
    f"{prefix}{volts}": mv
    for prefix, mv in {"nano": 1e-6, "micro": 1e-3, "milli": 1.0, "": 1e3}.items()
    for volts in ("volt", "volts")
}
_MICRO_SIGNS = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})


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
    """By canonical name."""
    n_frames: int


@dataclass(kw_only=True, slots=True)
class _SignalFile:
    name: str
    lines: list[SignalLine] = field(default_factory=list[SignalLine])

    @property
    def first(self) -> SignalLine:
        return self.lines[0]

    @property
    def samples_per_frame(self) -> int:
        return sum(line.samples_per_frame for line in self.lines)


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
    files = _signal_files(header, {line.file_name for line in lines.values()})
    paths = {file.name: _path_of(header, file) for file in files}
    n_frames = _n_frames(header, [(file, paths[file.name]) for file in files])
    samples: dict[int, np.ndarray] = {}
    for file in files:
        decoded = _decode(file, paths[file.name], n_frames)
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
    word = "mv" if line.unit is None else line.unit.translate(_MICRO_SIGNS).lower()
    if word not in _MV_PER_UNIT:
        raise RecordingError(
            f"{header.file}: lead {lead} is in {line.unit!r}, which is not nV, uV, mV or V; "
            "correct the unit",
            "wrong_units",
        )
    return _MV_PER_UNIT[word]


def _signal_files(header: WfdbHeader, wanted: Collection[str]) -> list[_SignalFile]:
    """Group signals by file, and check that the lines of a wanted one agree on how it is read."""
    files: list[_SignalFile] = []
    for line in header.signals:
        if line.format == NO_SAMPLES:
            continue
        if not files or files[-1].name != line.file_name:
            if line.file_name in wanted and any(file.name == line.file_name for file in files):
                raise RecordingError(
                    f"{header.file}: the signals of {line.file_name} are not one after the other, "
                    "so their order in the file is not known; put their lines together",
                    "header_mismatch",
                )
            files.append(_SignalFile(name=line.file_name))
        files[-1].lines.append(line)
    files = [file for file in files if file.name in wanted]
    for file in files:
        for what in ("format", "byte_offset", "block_size_bytes"):
            values = {getattr(line, what) for line in file.lines}
            if len(values) > 1:
                said = " and ".join(map(str, sorted(values)))
                raise RecordingError(
                    f"{header.file} states for {file.name} the {what.replace('_', ' ')} {said}; a "
                    "file has one for all its signals: correct the lines",
                    "header_mismatch",
                )
    return files


def _path_of(header: WfdbHeader, file: _SignalFile) -> Path:
    if file.first.format not in FORMATS:
        raise RecordingError(
            f"{header.file}: the format of {file.name} is {file.first.format!r}, which is none of "
            f"{', '.join(FORMATS)}; correct it",
            "unreadable",
        )
    found = find_signal_file(header, file.name)
    if found is None:
        raise RecordingError(f"there is no file {file.name} beside {header.file}", "missing_file")
    return found


def _n_frames(header: WfdbHeader, files: Sequence[tuple[_SignalFile, Path]]) -> int:
    """Return the record's length, and check that every file has it."""
    stated = header.n_frames
    claim = f"{header.file} states {stated} samples of each signal"
    for file, path in files:
        held, fits = _frames_in(header, file, path, stated)
        if stated is None:
            stated = held
            claim = f"{header.file} states no length, and {file.name} holds {held} of each signal"
        elif not fits:
            raise RecordingError(
                f"{claim}, but {file.name} holds {held}; restore the file, or correct the header",
                "truncated" if held < stated else "header_mismatch",
            )
    if not stated:
        raise RecordingError(f"{header.file} and its signal files have no samples", "truncated")
    return stated


def _frames_in(
    header: WfdbHeader, file: _SignalFile, path: Path, stated: int | None
) -> tuple[int, bool]:
    """Return the whole frames that a file holds, and whether that is the stated length.

    Formats that pack several samples may be filled up to a whole group, and files with a block
    size to a whole block.
    """
    form, line, per_frame = FORMATS[file.first.format], file.first, file.samples_per_frame
    if form.decode is None:
        held = _flac_frames(header, file, path)
        return held, held == stated
    n_bytes = path.stat().st_size - line.byte_offset
    held = form.n_samples(n_bytes) // per_frame
    if stated is None or held <= stated:
        return held, held == stated
    needed, block = form.n_bytes(stated * per_frame), line.block_size_bytes
    fills_group = n_bytes <= form.n_bytes_padded(stated * per_frame)
    fills_block = block > 0 and n_bytes - needed < block and path.stat().st_size % block == 0
    return held, fills_group or fills_block


def _flac_frames(header: WfdbHeader, file: _SignalFile, path: Path) -> int:
    rates = {line.samples_per_frame for line in file.lines}
    if len(rates) > 1:
        raise RecordingError(
            f"{header.file}: the signals of {file.name} have {sorted(rates)} samples per frame, "
            "but all channels of a FLAC file have one rate; correct the lines",
            "header_mismatch",
        )
    n_samples = flac_samples(path)
    if n_samples is None:
        raise RecordingError(
            f"{path} does not state how many samples it has, so it may be cut; write it again",
            "unreadable",
        )
    return max(n_samples - file.first.byte_offset, 0) // rates.pop()


def _decode(file: _SignalFile, path: Path, n_frames: int) -> list[np.ndarray]:
    """Return the digital samples of each signal, integers `[n_frames * samples_per_frame]`."""
    name, form = file.first.format, FORMATS[file.first.format]
    counts = [line.samples_per_frame for line in file.lines]
    offset = file.first.byte_offset
    if form.decode is None:
        return decode_flac(path, name, offset, counts, n_frames)
    values = decode_file(form, path, offset, n_frames * sum(counts)).reshape(n_frames, -1)
    ends = np.cumsum(counts)
    signals = [values[:, end - n : end].reshape(-1) for end, n in zip(ends, counts, strict=True)]
    if name == DIFFERENCES:
        return [
            line.initial_value + np.cumsum(signal)
            for line, signal in zip(file.lines, signals, strict=True)
        ]
    return signals


def _check_checksums(header: WfdbHeader, file: _SignalFile, signals: list[np.ndarray]) -> None:
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
            f"{header.file} states checksums that the samples of {file.name} do not have: "
            f"{', '.join(wrong)}, in brackets what they have; header and samples do not belong "
            "together, or were damaged: restore both",
            "checksum",
        )


def _in_mv(samples: np.ndarray, line: SignalLine, mv_per_unit: float) -> np.ndarray:
    gain = _DEFAULT_GAIN if line.gain is None else line.gain
    signal_mv = (samples.astype(np.float64) - line.baseline) / gain * mv_per_unit
    invalid = FORMATS[line.format].invalid
    if invalid is not None:
        signal_mv[samples == invalid] = np.nan
    return signal_mv
