"""Reads one WFDB record, and says in a word why one cannot be used.

Nothing is guessed: header(5) is read by `wfdb_header`, and what it leaves open is either assumed as
it says, and told, or refuses the recording.

Reads: a `.hea` header and the signal files that it names, on this machine or in an object store.
"""

import errno
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.sampling_rate import resample
from mvkt_ray.data.wfdb_format.wfdb_files import bring_record, read_header
from mvkt_ray.data.wfdb_format.wfdb_segments import read_segments
from mvkt_ray.data.wfdb_format.wfdb_signals import LeadSignal, WfdbLeads, read_leads
from mvkt_ray.errors import MachineError, MvktError, RecordingError
from mvkt_ray.storage.location import Location

_OF_THE_MACHINE = {
    errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS,
    errno.ESTALE, errno.ENODEV, errno.ENXIO,
}  # fmt: skip
"""Errors of the system that say nothing about a file."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WfdbSignal:
    """What a WFDB record says."""

    leads: tuple[str, ...]
    """Canonical names, in the order of `LEADS`; one at least."""
    signal_mv: np.ndarray
    """float32 `[n_leads, n_samples]`, mV."""
    sampling_rate_hz: float
    """Of all leads: the highest that one of them has."""
    comments: tuple[str, ...]
    """Comment lines of the header, without the leading `#`."""
    uncalibrated_leads: tuple[str, ...] = ()
    """Whose gain is absent or 0, which header(5) lets one take for 200 units."""
    rate_is_assumed: bool = False
    """The header states no sampling frequency, which by header(5) means 250 Hz."""


def read_wfdb(path: str) -> WfdbSignal:
    """Read a record that may be anywhere; see `read_local_wfdb`.

    One in an object store is brought to a temporary folder first.

    Args:
        path: of the record, without extension; local, or a URI.

    Raises:
        RecordingError: as `read_local_wfdb`.
        MachineError: as `read_local_wfdb`.
        StoreError: The store cannot be used, which says nothing about the recording.
    """
    if "://" not in path:
        return read_local_wfdb(path)
    try:
        temporary = tempfile.TemporaryDirectory(prefix="mvkt-")
    except OSError as cause:
        raise _machine_error(path, cause) from cause
    record = Location(path)
    with temporary as folder:
        try:
            bring_record(record, Path(folder))
            return read_local_wfdb(os.path.join(folder, record.name))
        except RecordingError as error:
            message = str(error).replace(folder, record.parent.uri)
            raise RecordingError(message, error.reason) from error.__cause__
        except OSError as cause:
            raise _explain(path, cause) from cause


def read_local_wfdb(path: str) -> WfdbSignal:
    """Read those of the twelve leads that a record has, found by name, in the order of `LEADS`.

    Leads of lower rate than others are brought to theirs. Leads with skew are shifted by it, and
    all are cut to the time that they have in common.

    Args:
        path: of the record, without extension; it may have other signals too.

    Raises:
        RecordingError: with reason `missing_file`, `unreadable`, `truncated`, `header_mismatch`,
            `missing_lead`, `wrong_units`, `checksum` or `nan`.
        MachineError: The machine cannot read, which says nothing about the recording.
    """
    try:
        # What becomes infinite is found afterwards.
        with np.errstate(over="ignore"):
            return _read(path)
    except MvktError:
        raise
    except Exception as cause:  # whatever a damaged file leads to
        raise _explain(path, cause) from cause


def _explain(path: str, cause: Exception) -> MvktError:
    if isinstance(cause, MemoryError) or getattr(cause, "errno", None) in _OF_THE_MACHINE:
        return _machine_error(path, cause)
    return RecordingError(f"{path} cannot be read: {cause}; restore its files", "unreadable")


def _machine_error(path: str, cause: Exception) -> MachineError:
    why = str(cause) or "there is not enough memory"
    return MachineError(
        f"{path} could not be read: {why}. That says nothing about the recording; give the machine "
        "room or mend it, then go on with --resume."
    )


def _read(path: str) -> WfdbSignal:
    header = read_header(path)
    found = read_leads(header) if header.segments is None else read_segments(header)
    leads = {lead: found.leads[lead] for lead in LEADS if lead in found.leads}
    signals = _without_skew(path, WfdbLeads(leads=leads, n_frames=found.n_frames))
    _check_finite(path, signals)
    per_frame = max(lead.samples_per_frame for lead in leads.values())
    rate_hz = header.frame_rate_hz * per_frame
    return WfdbSignal(
        leads=tuple(leads),
        signal_mv=np.stack([
            _at_rate(signals[name], header.frame_rate_hz * lead.samples_per_frame, rate_hz)
            for name, lead in leads.items()
        ]),
        sampling_rate_hz=rate_hz,
        comments=header.comments,
        uncalibrated_leads=tuple(n for n, lead in leads.items() if not lead.is_calibrated),
        rate_is_assumed=header.rate_is_assumed,
    )  # fmt: skip


def _without_skew(path: str, record: WfdbLeads) -> dict[str, np.ndarray]:
    """Shift each lead to its time, and cut all to the same; float64, at their own rates."""
    most = max(lead.skew_frames for lead in record.leads.values())
    n_frames = record.n_frames - most
    if n_frames <= 0:
        raise RecordingError(
            f"{path}.hea states a skew of {most}, but the record has {record.n_frames} samples; "
            "correct it",
            "header_mismatch",
        )

    def shifted(lead: LeadSignal) -> np.ndarray:
        begin = lead.skew_frames * lead.samples_per_frame
        return lead.signal_mv[begin : begin + n_frames * lead.samples_per_frame]

    return {name: shifted(lead) for name, lead in record.leads.items()}


def _check_finite(path: str, signals: Mapping[str, np.ndarray]) -> None:
    largest = np.finfo(np.float32).max
    n_bad = {name: int((~(np.abs(mv) <= largest)).sum()) for name, mv in signals.items()}
    if any(n_bad.values()):
        where = ", ".join(f"{name} {n} of {len(signals[name])}" for name, n in n_bad.items() if n)
        raise RecordingError(f"{path}: samples marked invalid, or not finite ({where})", "nan")


def _at_rate(signal_mv: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    if from_hz == to_hz:
        return signal_mv.astype(np.float32)
    return resample(signal_mv[None], from_hz, to_hz)[0]
