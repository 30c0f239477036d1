"""Reads a recording of any format that predict supports, with all of its leads.

Reads: WFDB records, `.mat` structs of CPSC 2018, hospital formats, CSV files and `.npy` arrays.
"""

from dataclasses import dataclass

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.cpsc2018 import Cpsc2018
from mvkt_ray.data.sources.hospital.any_file import read_export
from mvkt_ray.data.sources.hospital.signal_tables import read_array, read_table
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.delivery.predicting.found_records import kind_of
from mvkt_ray.errors import ArtifactError, RecordingError
from mvkt_ray.file_guards import WRONG_PATHS, why
from mvkt_ray.storage.location import Location


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingReader:
    """Reads recordings for a model; without open files, so that threads may share it."""

    leads: tuple[str, ...]
    """Leads of the model, which are the rows of an array and the columns of a table."""
    rate_hz: float | None
    """Sampling rate of tables and arrays; None if none is read."""

    def read(self, ref: RecordingRef) -> Recording:
        """Read one recording in mV.

        Raises:
            RecordingError: The recording is unusable; `reason` states why in a word.
            MachineError: The machine fails, which is not the recording's fault.
            StoreError: The store is unavailable, or denies access.
            ConfigError: The package that reads the format is not installed.
        """
        kind = kind_of(ref)
        if kind == "struct":
            struct = RecordingRef(
                source=ref.source, record_id=ref.record_id, path=ref.path, metadata={"labels": ""}
            )
            return Cpsc2018(location="").read(struct)
        if kind == "wfdb":
            signal = read_wfdb(ref.path)
            return Recording(
                source=ref.source,
                record_id=ref.record_id,
                patient_id=ref.record_id,
                signal_mv=signal.signal_mv,
                sampling_rate_hz=signal.sampling_rate_hz,
                leads=signal.leads,
                uncalibrated_leads=signal.uncalibrated_leads,
                rate_is_assumed=signal.rate_is_assumed,
            )
        if kind == "export":
            export = read_export(ref.path)
            return Recording(
                source=ref.source,
                record_id=ref.record_id,
                patient_id=ref.record_id,
                signal_mv=export.signal_mv,
                sampling_rate_hz=export.sampling_rate_hz,
                leads=export.leads,
                uncalibrated_leads=export.uncalibrated_leads,
            )
        return self._read_values(ref, Location(ref.path), is_table=kind == "table")

    def _read_values(self, ref: RecordingRef, location: Location, *, is_table: bool) -> Recording:
        assert self.rate_hz is not None
        read = read_table if is_table else read_array
        try:
            signal_mv = read(location, self.leads)
        except ArtifactError as error:
            raise RecordingError(str(error), "unreadable") from error
        except OSError as error:
            if error.errno not in WRONG_PATHS:
                raise
            message = f"{location} cannot be read: {why(error, location)}"
            raise RecordingError(message, "unreadable") from error
        return Recording(
            source=ref.source,
            record_id=ref.record_id,
            patient_id=ref.record_id,
            signal_mv=signal_mv,
            sampling_rate_hz=self.rate_hz,
            leads=self.leads,
        )
