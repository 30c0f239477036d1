"""A folder of files of one format, with or without a table of labels: what such sources share.

Without a table every file is a recording without labels, of the patient that its header names. With
one, the files that it names are; the others are counted. A recording's id is the path of its file
below the folder: whoever names files after people has their names in the shards.

Reads: the table, and each file once, as a whole.
"""

import posixpath
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain
from typing import ClassVar

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.file_signal import FileSignal
from mvkt_ray.data.sources.hospital.file_content import read_content
from mvkt_ray.data.sources.hospital.label_table import USUAL_NAMES, open_labels
from mvkt_ray.data.sources.label_tables.label_columns import code_columns
from mvkt_ray.data.sources.label_tables.label_rows import (
    codes_of,
    facts_in_row,
    recording_of_row,
    task_of_codes,
)
from mvkt_ray.data.sources.record_files import N_EXAMPLES, NotListed, files_below
from mvkt_ray.data.sources.source import find_folder
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError, MvktError, RecordingError
from mvkt_ray.storage.csv_table import CsvTable
from mvkt_ray.storage.location import Location

_UNLABELLED: Mapping[str, str | int | float | None] = {
    "patient_id": None, "age": "", "sex": "", "fold": None, "codes": "",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFolder(ABC):
    """A source of files; each format says which files are its own, and decodes one."""

    name: ClassVar[str]
    holds: ClassVar[str]
    """The files in a message, for example `DICOM files (.dcm)`."""
    suffixes: ClassVar[tuple[str, ...]]
    """In lower case."""
    largest_bytes: ClassVar[int]
    """Files beyond it are refused before they take memory."""

    location: str
    labels: str | None = None
    """The table of labels, below the folder or anywhere; else `labels.csv` or `labels.parquet`."""

    @abstractmethod
    def expect_reader(self) -> None:
        """Raise ConfigError unless what reads the format is installed."""

    @abstractmethod
    def decode(self, content: bytes, file: str) -> FileSignal:
        """Understand a file.

        Args:
            content: Of the file, which may be anything.
            file: Its path, for messages. They quote nothing that may name a patient.

        Raises:
            RecordingError: It cannot be used. Whatever else is raised says that it is damaged.
        """

    def takes(self, name: str) -> bool:
        """Whether a file of this name is one of the format."""
        return posixpath.splitext(name)[1].lower() in self.suffixes

    @property
    def has_folds(self) -> bool:
        """Whether the table of labels has a column `fold`."""
        table = open_labels(self._folder(), self.labels)
        return table is not None and "fold" in table.columns

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the rows of the table in its order, or else the files by their paths."""
        self.expect_reader()
        folder = self._folder()
        table = open_labels(folder, self.labels)
        if table is not None:
            return self._of_table(folder, table, code_columns(table))
        names = self._names(folder, [])
        first = next(names, None)
        if first is None:
            raise DataError(
                f"the folder {self.location!r} holds no {self.holds}. Check the path, or export "
                "the recordings there first."
            )
        return (self._reference(folder, name, _UNLABELLED) for name in chain([first], names))

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        """Count the files of the format that the table does not name."""
        folder = self._folder()
        if open_labels(folder, self.labels) is None:
            return NotListed()
        listed = {ref.record_id for ref in self.references(sampling_rate_hz)}
        unreadable: list[str] = []
        left = [name for name in self._names(folder, unreadable) if name not in listed]
        return NotListed(
            n_records=len(left),
            examples=tuple(nsmallest(N_EXAMPLES, left)),
            unreadable=tuple(unreadable),
        )

    def read(self, ref: RecordingRef) -> Recording:
        """Read one file; what the table says of the patient goes before what the header says."""
        content = read_content(ref.path, self.largest_bytes)
        return recording_of_row(ref, self.decode_safely(content, ref.path))

    def tasks(self) -> Mapping[str, Task]:
        """Return the task `all`, of every code in the table; none where there are no labels."""
        table = open_labels(self._folder(), self.labels)
        if table is None:
            return {}
        codes = {code for ref in self.references(0) for code in codes_of(ref.metadata)}
        return task_of_codes(codes, table.location) if codes else {}

    def decode_safely(self, content: bytes, file: str) -> FileSignal:
        """Decode a file; what a reader says of a damaged one may quote names, so it is not told."""
        try:
            return self.decode(content, file)
        except MvktError:
            raise
        except Exception as cause:  # whatever a damaged file leads to
            raise RecordingError(
                f"{file} cannot be understood by the reader of {self.name} "
                f"({type(cause).__name__}); restore or export it again",
                "unreadable",
            ) from cause

    def _folder(self) -> Location:
        return find_folder(self.location, self.holds)

    def _names(self, folder: Location, unreadable: list[str]) -> Iterator[str]:
        for path in files_below(folder, unreadable):
            name = path.removeprefix(f"{folder}/")
            is_labels = name in USUAL_NAMES or name == self.labels
            if not is_labels and self.takes(posixpath.basename(name)):
                yield name

    def _reference(
        self, folder: Location, name: str, facts: Mapping[str, str | int | float | None]
    ) -> RecordingRef:
        return RecordingRef(
            source=self.name, record_id=name, path=f"{folder}/{name}", metadata=facts
        )

    def _of_table(
        self, folder: Location, table: CsvTable, one_hot: list[str]
    ) -> Iterator[RecordingRef]:
        by_stem: dict[str, list[str]] = {}
        for name in self._names(folder, []):
            by_stem.setdefault(_stem(name), []).append(name)
        line_of: dict[str, int] = {}
        for row in table.rows:
            where = table.where(row)
            name = _name_in_folder(row.cells["record"], folder, where)
            name = _on_disk(name, by_stem.get(_stem(name), by_stem.get(_nfc(name), [])), where)
            if line_of.setdefault(name, row.line) != row.line:
                raise DataError(
                    f"{where}: the file {name!r} is in line {line_of[name]} too; every recording "
                    "has one row. Remove one of the two, or join their codes with ';'."
                )
            facts = facts_in_row(row, one_hot, where, name)
            whose = {} if "patient_id" in table.columns else {"patient_id": None}
            yield self._reference(folder, name, {**facts, **whose})


def _name_in_folder(text: str, folder: Location, where: str) -> str:
    """Return the path below the folder that a row names.

    Raises:
        DataError: It is empty, or leads out of the folder.
    """
    name = text.strip().replace("\\", "/").removeprefix(f"{folder}/")
    name = posixpath.normpath(name) if name else ""
    if not name or name == ".":
        raise DataError(f"{where}: 'record' is empty; give the path of a file below the folder.")
    if name.startswith(("/", "../")) or name == ".." or "://" in text or "\0" in name:
        raise DataError(
            f"{where}: 'record' is {text!r}, which is not below the folder {folder}. Give paths "
            "below it, or the folder that all files are in."
        )
    return name


def _on_disk(name: str, candidates: list[str], where: str) -> str:
    """Return the file that is meant by a name with or without suffix, in any form of Unicode."""
    same = [each for each in candidates if _nfc(each) == _nfc(name)]
    if same:
        return same[0]
    without = [each for each in candidates if _stem(each) == _nfc(name)]
    if len(without) > 1:
        raise DataError(
            f"{where}: {name!r} may be {' or '.join(map(repr, sorted(without)))}. Write the suffix "
            "too."
        )
    return without[0] if without else name


def _stem(name: str) -> str:
    return posixpath.splitext(_nfc(name))[0]


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
