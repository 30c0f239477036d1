"""Reads one WFDB record, and says in a word why one cannot be used.

Nothing is guessed: header(5) is read by `wfdb_header`, and what it leaves open is either assumed as
it says, and told, or refuses the recording.

Reads: a `.hea` header and the signal files that it names, on this machine or in an object store.
"""

from dataclasses import replace

import numpy as np

from mvkt_ray.data.sources.file_signal import FileSignal, Leads
from mvkt_ray.data.wfdb_format.wfdb_files import bring_record, read_header
from mvkt_ray.data.wfdb_format.wfdb_segments import read_segments
from mvkt_ray.data.wfdb_format.wfdb_signals import WfdbLeads, read_leads
from mvkt_ray.errors import MvktError, RecordingError
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.scratch_folder import scratch_folder


def read_wfdb(path: str) -> FileSignal:
    """Read those of the twelve leads that a record has, found by name, in the order of `LEADS`.

    Leads of lower rate than others are brought to theirs. Leads with skew are shifted by it, and
    all are cut to the time that they have in common. A record in an object store is brought to a
    temporary folder first.

    Args:
        path: of the record, without extension; local, or a URI. It may have other signals too.

    Raises:
        RecordingError: with reason `missing_file`, `unreadable`, `truncated`, `header_mismatch`,
            `missing_lead`, `wrong_units`, `checksum`, `rate` or `nan`. Its cause is what the
            machine did, where it is no fault of the recording.
        StoreError: The store cannot be used, which says nothing about the recording.
    """
    try:
        # What becomes infinite is found afterwards.
        with np.errstate(over="ignore"):
            return _read(path) if "://" not in path else _bring_and_read(Location(path))
    except MvktError:
        raise
    except Exception as cause:  # whatever a damaged file leads to
        raise RecordingError(
            f"{path} cannot be read: {cause}; restore its files", "unreadable"
        ) from cause


def _bring_and_read(record: Location) -> FileSignal:
    with scratch_folder("mvkt-record-") as folder:
        try:
            bring_record(record, folder)
            return _read(str(folder / record.name))
        except RecordingError as error:
            message = str(error).replace(str(folder), record.parent.uri)
            raise RecordingError(message, error.reason) from error.__cause__


def _read(path: str) -> FileSignal:
    header = read_header(path)
    found = read_leads(header) if header.segments is None else read_segments(header)
    n_frames = _frames_in_common(path, found)
    leads = Leads(path)
    for name, lead in found.leads.items():
        begin = lead.skew_frames * lead.samples_per_frame
        leads.add(
            name,
            lead.signal_mv[begin : begin + n_frames * lead.samples_per_frame],
            header.frame_rate_hz * lead.samples_per_frame,
            is_calibrated=lead.is_calibrated,
        )
    return replace(
        leads.together(), rate_is_assumed=header.rate_is_assumed, comments=header.comments
    )


def _frames_in_common(path: str, record: WfdbLeads) -> int:
    """Return how long a record is without what precedes the latest beginning of a lead."""
    most = max(lead.skew_frames for lead in record.leads.values())
    if most >= record.n_frames:
        raise RecordingError(
            f"{path}.hea states a skew of {most}, but the record has {record.n_frames} samples; "
            "correct the skew",
            "header_mismatch",
        )
    return record.n_frames - most
