"""A source, and beside it a folder of recordings of which nothing but the signals is known.

They are WFDB records, or DICOM, EDF, aECG and MUSE files.

For the ECGs that a hospital has and nobody has labelled: students may distil over them (see
`data.unlabelled` of a study). Every record is of a patient of its own, but where folds are made at
ingest and a header says whose it is. Where it is known otherwise whose the records are, a CSV file
of the source `wfdb` says so, with nothing in `codes`.

A copy of a test recording under another name would be trained on and cannot be told from other
records: the Challenge 2021, for one, holds PTB-XL. The folder must be of other recordings.

Reads: what the source reads, and the recordings below the folder.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mvkt_ray.data.identity import own_patient
from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.hospital.any_file import EXPORT_SUFFIXES, read_export
from mvkt_ray.data.sources.hospital.file_folder import FileFolder
from mvkt_ray.data.sources.record_files import (
    NotListed,
    RealPaths,
    files_below,
    is_known,
    list_records,
)
from mvkt_ray.data.sources.source import Source, find_folder
from mvkt_ray.data.sources.wfdb_folder import WfdbFolder
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError
from mvkt_ray.storage.location import Location

OPTION = "unlabelled"
"""The option that every source has: the folder, as `mvkt ingest --option unlabelled=FOLDER`."""

_KIND = "unlabelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class WithUnlabelled:
    """Recordings of a source first, then the unlabelled ones."""

    source: Source
    unlabelled: str
    """Folder of the recordings; that of a source with a table may be it, whose recordings that the
    table does not list are then the unlabelled ones."""

    @property
    def name(self) -> str:
        """The source's."""
        return self.source.name

    @property
    def location(self) -> str:
        """The source's folder."""
        return str(getattr(self.source, "location", ""))

    @property
    def has_folds(self) -> bool:
        """Whether the source's recordings come with folds; the unlabelled ones then have none."""
        return self.source.has_folds

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the source's recordings, then the records that are none of them, sorted by path."""
        folder = find_folder(self.unlabelled, "recordings without labels")
        self._refuse_overlap(folder.uri)
        real_paths = RealPaths()
        listed: set[str] = set()
        for ref in self.source.references(sampling_rate_hz):
            listed.update((real_paths.of(ref.path.removesuffix(".hea")), _real(ref.path)))
            yield ref
        for path in list_records([folder], (".hea",)):
            if not is_known(path, ".hea", listed, real_paths):
                yield self._reference(folder, path)
        # Numbers come with folds that are made; a patient may then have listed recordings too.
        facts = {"header_says_whose": int(not self.has_folds)}
        for path in files_below(folder, []):
            if _is_export(path) and _real(path) not in listed:
                yield replace(self._reference(folder, path), metadata=facts)

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        """Count what the source does not list, unless that is what is unlabelled."""
        if self._is_own_folder:
            return NotListed()
        return self.source.not_listed(sampling_rate_hz)

    def read(self, ref: RecordingRef) -> Recording:
        """Read a record; of an unlabelled one the signals alone."""
        if ref.source != f"{self.name}/{_KIND}":
            return self.source.read(ref)
        patient_id = own_patient(ref.record_id)
        signal = read_export(ref.path) if _is_export(ref.path) else read_wfdb(ref.path)
        if ref.metadata.get("header_says_whose"):
            patient_id = signal.patient.patient or patient_id
        return signal.as_recording(ref, patient_id)

    def tasks(self) -> Mapping[str, Task]:
        """Return the source's tasks."""
        return self.source.tasks()

    def _reference(self, folder: Location, path: str) -> RecordingRef:
        record = path.removeprefix(f"{folder.uri}/")
        return RecordingRef(source=f"{self.name}/{_KIND}", record_id=f"{_KIND}/{record}", path=path)

    @property
    def _is_own_folder(self) -> bool:
        return _real(self.unlabelled) == _real(self.location)

    def _refuse_overlap(self, folder: str) -> None:
        """Raise where other files of the source's recordings could be taken for unlabelled ones.

        A test recording would then be trained on under another name: PTB-XL has each at two rates.
        """
        if not self.location or (
            self._is_own_folder and isinstance(self.source, WfdbFolder | FileFolder)
        ):
            return
        one, other = (f"{_real(path).rstrip('/')}/" for path in (folder, self.location))
        if one.startswith(other) or other.startswith(one):
            raise DataError(
                f"the folder of unlabelled records {folder!r} and that of the source "
                f"{self.location!r} overlap, so test recordings could be trained on under another "
                "name. Put the unlabelled records into a separate folder."
            )


def _is_export(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in EXPORT_SUFFIXES


def _real(path: str) -> str:
    return path if "://" in path else os.path.realpath(path)
