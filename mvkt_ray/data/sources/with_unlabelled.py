"""A source, and beside it a folder of WFDB records of which nothing but the signals is known.

For the ECGs that a hospital has and nobody has labelled: students may distil over them (see
`data.unlabelled` of a study). Every record is of a patient of its own. Where it is known whose the
records are, a CSV file of the source `wfdb` says so, with nothing in `codes`.

A copy of a test recording under another name would be trained on and cannot be told from other
records: the Challenge 2021, for one, holds PTB-XL. The folder must be of other recordings.

Reads: what the source reads, and the WFDB records below the folder.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mvkt_ray.data.identity import own_patient
from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.record_files import NotListed, RealPaths, is_known, list_records
from mvkt_ray.data.sources.source import Source, find_folder
from mvkt_ray.data.sources.wfdb_folder import WfdbFolder
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError

OPTION = "unlabelled"
"""The option that every source has: the folder, as `mvkt ingest --option unlabelled=FOLDER`."""

_KIND = "unlabelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class WithUnlabelled:
    """Recordings of a source first, then the unlabelled ones."""

    source: Source
    unlabelled: str
    """Folder of the WFDB records; that of a source `wfdb` itself may be it, whose records that its
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
        folder = find_folder(self.unlabelled, "WFDB records without labels")
        self._refuse_overlap(folder.uri)
        real_paths = RealPaths()
        listed: set[str] = set()
        for ref in self.source.references(sampling_rate_hz):
            listed.add(real_paths.of(ref.path.removesuffix(".hea")))
            yield ref
        for path in list_records([folder], (".hea",)):
            if not is_known(path, ".hea", listed, real_paths):
                record = path.removeprefix(f"{folder.uri}/")
                yield RecordingRef(
                    source=f"{self.name}/{_KIND}", record_id=f"{_KIND}/{record}", path=path
                )

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        """Count what the source does not list, unless that is what is unlabelled."""
        if self._is_own_folder:
            return NotListed()
        return self.source.not_listed(sampling_rate_hz)

    def read(self, ref: RecordingRef) -> Recording:
        """Read a record; of an unlabelled one the signals alone."""
        if ref.source != f"{self.name}/{_KIND}":
            return self.source.read(ref)
        signal = read_wfdb(ref.path)
        return Recording(
            source=ref.source,
            record_id=ref.record_id,
            patient_id=own_patient(ref.record_id),
            signal_mv=signal.signal_mv,
            sampling_rate_hz=signal.sampling_rate_hz,
            leads=signal.leads,
            uncalibrated_leads=signal.uncalibrated_leads,
            rate_is_assumed=signal.rate_is_assumed,
        )

    def tasks(self) -> Mapping[str, Task]:
        """Return the source's tasks."""
        return self.source.tasks()

    @property
    def _is_own_folder(self) -> bool:
        return _real(self.unlabelled) == _real(self.location)

    def _refuse_overlap(self, folder: str) -> None:
        """Raise where other files of the source's recordings could be taken for unlabelled ones.

        A test recording would then be trained on under another name: PTB-XL has each at two rates.
        """
        if not self.location or (self._is_own_folder and isinstance(self.source, WfdbFolder)):
            return
        one, other = (f"{_real(path).rstrip('/')}/" for path in (folder, self.location))
        if one.startswith(other) or other.startswith(one):
            raise DataError(
                f"the folder of unlabelled records {folder!r} and that of the source "
                f"{self.location!r} are inside each other, so recordings of the test could be "
                "trained on under another name. Put the unlabelled records into a folder of their "
                "own."
            )


def _real(folder: str) -> str:
    return folder if "://" in folder else os.path.realpath(folder)
