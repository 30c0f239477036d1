"""Any folder of WFDB records, with a CSV file that says what is known of each.

Columns of the CSV file, in any order:

    record      path of the record below the folder, without extension (required)
    codes       label codes, separated by `;`
    patient_id  identity of the patient; without the column every record is its own patient
    age         years, may be empty
    sex         female, male, F or M, may be empty
    fold        whole number; without the column patient-disjoint folds are made at ingest

Without `codes`, every further column is one code: 1 where the record has it, else 0 or nothing.

Reads: the CSV file, the WFDB records that it lists, and the names of the files in the folder.
"""

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mvkt_ray.data.identity import record_key
from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.label_tables.label_columns import check_names, code_columns
from mvkt_ray.data.sources.label_tables.label_rows import (
    codes_of,
    facts_in_row,
    recording_of_row,
    task_of_codes,
)
from mvkt_ray.data.sources.record_files import NotListed, RealPaths, records_not_listed
from mvkt_ray.data.sources.source import find_folder
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError
from mvkt_ray.storage.csv_table import CsvTable, open_table
from mvkt_ray.storage.location import Location


@dataclass(frozen=True, kw_only=True, slots=True)
class WfdbFolder:
    """WFDB records with a CSV file of labels."""

    name: ClassVar[str] = "wfdb"

    location: str
    """Folder that the paths in the CSV file start from."""
    labels: str = "labels.csv"
    """The CSV file, below the folder or anywhere."""

    @property
    def has_folds(self) -> bool:
        """Whether the CSV file has a column `fold`."""
        return "fold" in self._open_table().columns

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the rows of the CSV file, in its order."""
        table = self._open_table()
        return _references(Location.parse(self.location), table, code_columns(table))

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        """Count the records below the folder that the CSV file does not name."""
        listed = (ref.path for ref in self.references(sampling_rate_hz))
        return records_not_listed(Location.parse(self.location), listed)

    def read(self, ref: RecordingRef) -> Recording:
        """Read one record; leads by name, whatever their order in the file."""
        return recording_of_row(ref, read_wfdb(ref.path))

    def tasks(self) -> Mapping[str, Task]:
        """Return the task `all`: a class for every code in the CSV file, however it is spelled."""
        codes = {code for ref in self.references(0) for code in codes_of(ref.metadata)}
        return task_of_codes(codes, self._table())

    def _open_table(self) -> CsvTable:
        table = open_table(self._table(), ("record",), "the CSV file of labels")
        check_names(table)
        return table

    def _table(self) -> Location:
        folder = find_folder(self.location, f"WFDB records and their labels, {self.labels!r}")
        elsewhere = self.labels.startswith("/") or "://" in self.labels
        table = Location.parse(self.labels) if elsewhere else folder / self.labels
        if not table.is_file():
            raise DataError(
                f"there is no CSV file of labels {table.uri!r}; it needs the columns 'record' and "
                "'codes' (codes separated by ';'), and may have patient_id, age, sex and fold. "
                "Make it, or name it with the option labels=FILE."
            )
        return table


def _references(
    folder: Location, table: CsvTable, one_hot: Sequence[str]
) -> Iterator[RecordingRef]:
    line_of: dict[str, int] = {}
    real_paths = RealPaths()
    real_folder = os.path.realpath(folder.uri) if folder.is_local else folder.uri
    for row in table.rows:
        where, text = table.where(row), row.cells["record"]
        record = _record(folder, real_folder, text)
        if not record:
            raise DataError(f"{where}: 'record' is empty; give the path of a WFDB record.")
        path = _path(folder, record)
        before = line_of.setdefault(real_paths.of(path), row.line)
        if before != row.line:
            raise DataError(
                f"{where}: the record {text!r} is in line {before} too; every record "
                "has one row. Remove one of the two, or join their codes with ';'."
            )
        yield RecordingRef(
            source=WfdbFolder.name,
            record_id=record,
            path=path,
            metadata=facts_in_row(row, one_hot, where, record),
        )


def _record(folder: Location, real_folder: str, text: str) -> str:
    """Return the path of a record below the folder; one elsewhere keeps its whole path."""
    name = record_key(text)
    for start in (folder.uri, real_folder):
        # `normpath` joins the two slashes of a URI.
        for prefix in (f"{start}/", f"{start}/".replace("://", ":/")):
            name = name.removeprefix(prefix)
    return name


def _path(folder: Location, record: str) -> str:
    """Return where a record is; a name with accents may be on disk in Unicode's other form."""
    path = os.path.join(folder.uri, record)
    if not record.isascii() and folder.is_local:
        for form in ("NFC", "NFD"):
            other = unicodedata.normalize(form, path)
            if os.path.exists(f"{other}.hea"):
                return other
    return path
