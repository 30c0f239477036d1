"""The signal files of one ordinary WFDB record: which signals lie in them, and how long they are.

Reads: the size of each file that holds a wanted signal; of FLAC files the first bytes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mvkt_ray.data.wfdb_format.wfdb_files import find_signal_file
from mvkt_ray.data.wfdb_format.wfdb_formats import FLAC, FORMATS, Format, flac_samples
from mvkt_ray.data.wfdb_format.wfdb_header import NO_SAMPLES, SignalLine, WfdbHeader
from mvkt_ray.errors import RecordingError


@dataclass(frozen=True, kw_only=True, slots=True)
class SignalFile:
    """One file, and the signals that lie in it frame by frame, in this order."""

    path: Path
    lines: tuple[SignalLine, ...]
    """They agree on format, offset and block size."""

    @property
    def format_name(self) -> str:
        """The number of signal(5)."""
        return self.lines[0].format

    @property
    def format(self) -> Format:
        """How samples lie in the file."""
        return FORMATS[self.format_name]

    @property
    def byte_offset(self) -> int:
        """Where samples begin; of FLAC the number of samples to leave out."""
        return self.lines[0].byte_offset

    @property
    def samples_per_frame(self) -> int:
        """Samples per frame of all signals together."""
        return sum(line.samples_per_frame for line in self.lines)


def open_signal_files(header: WfdbHeader, wanted: Collection[str]) -> dict[str, SignalFile]:
    """Find those files of a header that are wanted, by name, and check how they are read.

    Raises:
        RecordingError: `header_mismatch` where the lines of one file contradict each other;
            `unreadable` for a format that there is not; `missing_file`.
    """
    lines_of = {
        name: [line for line in header.signals if _is_in(line, name)] for name in sorted(wanted)
    }
    for name, lines in lines_of.items():
        _check_order(header, name)
        _check_agreement(header, name, lines)
    return {
        name: SignalFile(path=_path_of(header, name, lines[0].format), lines=tuple(lines))
        for name, lines in lines_of.items()
    }


def _is_in(line: SignalLine, name: str) -> bool:
    return line.file_name == name and line.format != NO_SAMPLES


def _check_order(header: WfdbHeader, name: str) -> None:
    positions = [n for n, line in enumerate(header.signals) if _is_in(line, name)]
    if positions[-1] - positions[0] >= len(positions):
        raise RecordingError(
            f"{header.file}: the signals of {name} are not on consecutive lines, so their order "
            "in the file is unknown; put their lines together",
            "header_mismatch",
        )


def _check_agreement(header: WfdbHeader, name: str, lines: Sequence[SignalLine]) -> None:
    for what in ("format", "byte_offset", "block_size_bytes"):
        values = sorted({getattr(line, what) for line in lines})
        if len(values) > 1:
            raise RecordingError(
                f"{header.file} states for {name} the {what.replace('_', ' ')} "
                f"{' and '.join(map(str, values))}; a file has one for all its signals: correct "
                "the lines",
                "header_mismatch",
            )
    rates = sorted({line.samples_per_frame for line in lines})
    if lines[0].format in FLAC and len(rates) > 1:
        raise RecordingError(
            f"{header.file}: the signals of {name} have {rates} samples per frame, but all "
            "channels of a FLAC file have one rate; correct the lines",
            "header_mismatch",
        )


def _path_of(header: WfdbHeader, name: str, form: str) -> Path:
    if form not in FORMATS:
        raise RecordingError(
            f"{header.file}: the format of {name} is {form!r}, which is none of "
            f"{', '.join(FORMATS)}; correct it",
            "unreadable",
        )
    found = find_signal_file(header, name)
    if found is None:
        raise RecordingError(f"there is no file {name} beside {header.file}", "missing_file")
    return found


def length_in_frames(header: WfdbHeader, files: Mapping[str, SignalFile]) -> int:
    """Return the record's length, the files' where it is unspecified, and check that all have it.

    Raises:
        RecordingError: `truncated` or `header_mismatch` for a file that is shorter or longer.
    """
    held = {name: _frames_in(file) for name, file in files.items()}
    n_frames = min(held.values()) if header.n_frames is None else header.n_frames
    claim = f"states {n_frames} samples of each signal"
    if header.n_frames is None:
        claim = f"states no length, and its shortest file holds {n_frames} samples of each signal"
    for name, n_held in held.items():
        if n_held == n_frames:
            continue
        if n_held < n_frames or not _is_filled_up(files[name], n_frames):
            raise RecordingError(
                f"{header.file} {claim}, but {name} holds {n_held}; restore the file, or correct "
                "the header",
                "truncated" if n_held < n_frames else "header_mismatch",
            )
    if n_frames == 0:
        raise RecordingError(f"{header.file} and its signal files have no samples", "truncated")
    return n_frames


def _frames_in(file: SignalFile) -> int:
    """Return the whole frames that a file holds."""
    if file.format_name not in FLAC:
        n_bytes = file.path.stat().st_size - file.byte_offset
        return file.format.n_samples(n_bytes) // file.samples_per_frame
    n_samples = flac_samples(file.path)
    if n_samples is None:
        raise RecordingError(
            f"{file.path} does not state its number of samples, so it may be truncated; write it "
            "again",
            "unreadable",
        )
    return max(n_samples - file.byte_offset, 0) // file.lines[0].samples_per_frame


def _is_filled_up(file: SignalFile, n_frames: int) -> bool:
    """Whether what follows the samples is padding.

    Formats that pack several samples may be filled up to a whole group, and files with a block
    size to a whole block.
    """
    if file.format_name in FLAC:
        return False
    size, block = file.path.stat().st_size, file.lines[0].block_size_bytes
    n_samples = n_frames * file.samples_per_frame
    n_bytes = size - file.byte_offset
    fills_block = n_bytes - file.format.n_bytes(n_samples) < block and size % block == 0
    return n_bytes <= file.format.n_bytes_padded(n_samples) or fills_block
