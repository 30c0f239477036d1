"""Reads one WFDB record with the wfdb library, and says in a word why one cannot be used.

Reads: a `.hea` header and the signal files that it names, on this machine or in an object store.
"""

import math
import os
import shutil
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

with warnings.catch_warnings():
    # wfdb 4.3.1 builds its annotation tables with a keyword that pandas 3 deprecates; we read no
    # annotations. May go when wfdb no longer does so.
    warnings.filterwarnings("ignore", message="The inplace keyword in DataFrame.set_index")
    import wfdb
from wfdb.io.header import HeaderSyntaxError

from mvkt_ray.data.recording import LEADS, canonical_lead
from mvkt_ray.data.sources.wfdb_files import bring_record
from mvkt_ray.errors import RecordingError
from mvkt_ray.storage.location import Location

_MV_PER_UNIT = {"mv": 1.0, "uv": 1e-3, "v": 1e3}

_BYTES_PER_SAMPLE = {"8": 1.0, "16": 2.0, "24": 3.0, "32": 4.0, "61": 2.0, "80": 1.0, "160": 2.0,
                     "212": 1.5, "310": 4 / 3, "311": 4 / 3}  # fmt: skip
"""WFDB signal formats of constant size (signal(5) of the WFDB manual); others are compressed."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WfdbSignal:
    """What a WFDB record says."""

    leads: tuple[str, ...]
    """Canonical names, in the order of `LEADS`; one at least."""
    signal_mv: np.ndarray
    """float32 `[n_leads, n_samples]`, mV."""
    sampling_rate_hz: float
    comments: tuple[str, ...]
    """Comment lines of the header, without the leading `#`."""


def read_wfdb(path: str) -> WfdbSignal:
    """Read a record that may be anywhere; see `read_local_wfdb`.

    One in an object store is brought to a temporary folder first, for wfdb reads files.

    Args:
        path: of the record, without extension; local, or a URI.

    Raises:
        RecordingError: as `read_local_wfdb`.
        StoreError: The store cannot be used, which says nothing about the recording.
    """
    if "://" not in path:
        return read_local_wfdb(path)
    with tempfile.TemporaryDirectory(prefix="mvkt-") as folder:
        record = Location(path)
        try:
            bring_record(record, Path(folder))
            return read_local_wfdb(os.path.join(folder, record.name))
        except RecordingError as error:
            message = str(error).replace(folder, record.parent.uri)
            raise RecordingError(message, error.reason) from error.__cause__


def read_local_wfdb(path: str) -> WfdbSignal:
    """Read those of the twelve leads that a record has, found by name, in the order of `LEADS`.

    The header is parsed once: that takes wfdb most of its time.

    Args:
        path: of the record, without extension; it may have other signals too.

    Raises:
        RecordingError: with reason `missing_file`, `unreadable`, `truncated`, `header_mismatch`,
            `missing_lead`, `wrong_units` or `nan`.
    """
    try:
        record = _rdrecord(path)
    except Exception as cause:  # wfdb raises plain Exception, and whatever a bad header leads to
        raise _explain(path, cause) from cause
    problem = _size_problem(record, path)
    if problem is not None:
        raise problem
    signal, names, units = record.p_signal, record.sig_name, record.units
    if signal is None or names is None or signal.shape[0] == 0:
        raise RecordingError(f"{path}.hea describes no samples", "header_mismatch")
    if not (record.fs and record.fs > 0 and math.isfinite(record.fs)):
        raise RecordingError(f"{path}.hea: sampling rate {record.fs!r} Hz", "header_mismatch")
    channel_of = _channels(path, names)
    scale = [_mv_per_unit(path, units[channel], lead) for lead, channel in channel_of.items()]
    signal_mv = signal[:, list(channel_of.values())].T * np.array(scale)[:, None]
    signal_mv = signal_mv.astype(np.float32)
    _check_finite(path, signal_mv, list(channel_of))
    return WfdbSignal(
        leads=tuple(channel_of),
        signal_mv=np.ascontiguousarray(signal_mv),
        sampling_rate_hz=float(record.fs),
        comments=tuple(record.comments),
    )


def _rdrecord(path: str) -> Any:
    try:
        return wfdb.rdrecord(path)
    except HeaderSyntaxError:
        text = Path(f"{path}.hea").read_text(encoding="ascii", errors="ignore")
        named, space, rest = text.partition(" ")
        if "." not in named:
            raise
    # Georgia's headers of 2020 begin "E00001.mat 12 500 ...": the suffix is none of WFDB's. wfdb
    # reads files only, so a corrected header goes to a folder of its own, beside the signal.
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.basename(path)
        Path(folder, f"{name}.hea").write_text(named.split(".")[0] + space + rest, encoding="ascii")
        for signal_file in Path(path).parent.glob(f"{name}.*"):
            if signal_file.suffix != ".hea":
                shutil.copyfile(signal_file, Path(folder, signal_file.name))
        return wfdb.rdrecord(os.path.join(folder, name))


def _channels(path: str, names: Sequence[str | None]) -> dict[str, int]:
    """Map each lead that the record has to its channel, in the order of `LEADS`."""
    channel_of: dict[str, int] = {}
    for channel, name in enumerate(names):
        lead = canonical_lead(name or "")
        if lead in channel_of:
            raise RecordingError(f"{path}.hea names lead {lead} twice", "header_mismatch")
        if lead is not None:
            channel_of[lead] = channel
    if not channel_of:
        raise RecordingError(
            f"{path}.hea has none of the twelve leads; its signals are {list(names)}",
            "missing_lead",
        )
    return {lead: channel_of[lead] for lead in LEADS if lead in channel_of}


def _mv_per_unit(path: str, unit: str | None, lead: str) -> float:
    word = (unit or "mV").strip().lower()
    if word == "v" and not Path(f"{path}.hea").read_bytes().isascii():
        # wfdb drops what is not ASCII, which makes volts of microvolts written with a Greek mu.
        word = "uv"
    if word not in _MV_PER_UNIT:
        raise RecordingError(
            f"{path}.hea: lead {lead} is in {unit!r}, which is not mV, uV or V", "wrong_units"
        )
    return _MV_PER_UNIT[word]


def _check_finite(path: str, signal_mv: np.ndarray, leads: Sequence[str]) -> None:
    # One sum is cheaper than a mask, and almost always finite.
    if np.isfinite(signal_mv.sum(dtype=np.float64)):
        return
    n_bad = (~np.isfinite(signal_mv)).sum(axis=1)
    where = ", ".join(f"{lead} {n}" for lead, n in zip(leads, n_bad, strict=True) if n)
    raise RecordingError(
        f"{path}: samples marked invalid, or not finite ({where} of {signal_mv.shape[1]})", "nan"
    )


def _size_problem(record: Any, path: str) -> RecordingError | None:
    """Compare each signal file with the number of samples that the header states."""
    channels_of: dict[str, list[int]] = defaultdict(list)
    # A record joined from several segments names no files: wfdb has checked the length of each.
    for channel, file_name in enumerate(getattr(record, "file_name", None) or ()):
        channels_of[file_name].append(channel)
    for file_name, channels in channels_of.items():
        bytes_per_sample = _BYTES_PER_SAMPLE.get(record.fmt[channels[0]])
        if bytes_per_sample is None or record.sig_len is None:
            continue
        samples_per_frame = sum(record.samps_per_frame[channel] or 1 for channel in channels)
        n_bytes = os.path.getsize(os.path.join(os.path.dirname(path), file_name))
        n_bytes -= record.byte_offset[channels[0]] or 0
        n_frames = max(math.floor(n_bytes / (bytes_per_sample * samples_per_frame) + 1e-9), 0)
        if n_frames != record.sig_len:
            return RecordingError(
                f"{path}.hea states {record.sig_len} samples of {samples_per_frame} signals, but "
                f"{file_name} holds {n_frames}",
                "truncated" if n_frames < record.sig_len else "header_mismatch",
            )
    return None


def _explain(path: str, cause: Exception) -> RecordingError:
    """Say why wfdb could not read a record; parses the header again, on this way only."""
    if not os.path.isfile(f"{path}.hea"):
        return RecordingError(f"there is no file {path}.hea", "missing_file")
    try:
        header = wfdb.rdheader(path)
    except Exception as why:  # as above
        return RecordingError(f"{path}.hea is not a WFDB header: {why}", "unreadable")
    file_names = list(getattr(header, "file_name", None) or ())
    for file_name in dict.fromkeys(file_names):
        if not os.path.isfile(os.path.join(os.path.dirname(path), file_name)):
            return RecordingError(f"there is no file {file_name} beside {path}.hea", "missing_file")
    if isinstance(header, wfdb.Record) and header.n_sig != len(file_names):
        return RecordingError(
            f"{path}.hea states {header.n_sig} signals, but describes {len(file_names)}",
            "header_mismatch",
        )
    return _size_problem(header, path) or RecordingError(
        f"{path}: wfdb cannot read it: {cause}", "unreadable"
    )
