"""A folder of Parquet files with a recording in each row, as Hugging Face lays datasets out.

The signal is a column of nested lists, leads by samples or samples by leads, or a column of lists
for each lead. A column `sampling_rate` says the rate, where the option `rate_hz` does not; the unit
is nowhere in such files, so the user says it. What is known of a recording is in further columns,
called as in tables of labels; options name them where they are called otherwise. Numbers of
`ClassLabel` become the names that the file's schema has for them.

Reads: the files below the folder, the columns of facts to list rows, one row group to read a row.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.file_signal import FileSignal, Leads
from mvkt_ray.data.sources.hospital.label_table import (
    RIGHT,
    cell_text,
    expect_patients,
    is_list,
    parquet_file,
)
from mvkt_ray.data.sources.hospital.lead_names import lead_named
from mvkt_ray.data.sources.hospital.table_file import check_leads, check_unit, named_rows
from mvkt_ray.data.sources.label_tables.label_columns import DESCRIBING, check_names
from mvkt_ray.data.sources.label_tables.label_rows import (
    codes_of,
    facts_in_row,
    recording_of_row,
    task_of_codes,
)
from mvkt_ray.data.sources.record_files import NotListed, files_below
from mvkt_ray.data.sources.source import find_folder
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import ConfigError, DataError, MachineError, RecordingError, StoreError
from mvkt_ray.file_guards import reading
from mvkt_ray.storage.csv_table import CsvTable, TableRow
from mvkt_ray.storage.location import Location

_SUFFIX = ".parquet"
_RATES = ("sampling_rate", "sampling_rate_hz", "sampling_frequency", "fs")
_LARGEST_GROUP_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class ParquetRows:
    """Parquet files with a recording in each row."""

    name: ClassVar[str] = "parquet"

    location: str
    unit: str | None = None
    """Of all signals, as `mV` or `uV`; must be given."""
    rate_hz: float | None = None
    """Of all signals; else each row's."""
    leads: tuple[str, ...] | None = None
    """Leads of nested lists, in order."""
    signal: str | None = None
    """The column of nested lists, where there are several."""
    codes: str | None = None
    """The column of labels, where it is not `codes`."""
    patient_id: str | None = None
    """The column of patients, where it is not `patient_id`."""

    @property
    def has_folds(self) -> bool:
        """Whether there is a column `fold`."""
        return "fold" in self._columns(self._files()[0])

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the rows of all files, by the paths of the files."""
        check_unit(self.name, self.unit)
        if self.leads is not None:
            check_leads(self.name, self.leads)
        files = self._files()
        self._expect_leads(files[0])
        first = self._columns(files[0])
        for file in files[1:]:
            if self._columns(file) != first:
                raise DataError(
                    f"{file} has other metadata columns than {files[0]}: all files of a folder "
                    "must be of one dataset. Remove the others."
                )
        return (ref for file in files for ref in self._rows(file, first))

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        """Return that there are none: every row is a recording."""
        return NotListed()

    def read(self, ref: RecordingRef) -> Recording:
        """Read one row."""
        try:
            signal = self._signal(ref)
        except (RecordingError, StoreError, MachineError):
            raise
        except FileNotFoundError:
            raise RecordingError(f"there is no file {ref.path}", "missing_file") from None
        except Exception as cause:  # whatever a damaged file leads to
            raise RecordingError(
                f"{ref.path} cannot be read as Parquet ({type(cause).__name__}); restore it",
                "unreadable",
            ) from cause
        return recording_of_row(ref, signal)

    def tasks(self) -> Mapping[str, Task]:
        """Return the task `all`, of every code in the rows; none where there are no labels."""
        codes = {code for ref in self.references(0) for code in codes_of(ref.metadata)}
        return task_of_codes(codes, self.location) if codes else {}

    def _files(self) -> list[Location]:
        folder = find_folder(self.location, "Parquet files with a recording in each row")
        paths = [path for path in files_below(folder, []) if path.lower().endswith(_SUFFIX)]
        if not paths:
            raise DataError(
                f"the folder {self.location!r} holds no Parquet files. Check the path, or download "
                "the dataset there first."
            )
        return [Location(path) for path in sorted(paths)]

    def _expect_leads(self, file: Location) -> None:
        with reading(file, RIGHT, DataError), parquet_file(file) as parquet:
            nested = [each.name for each in parquet.schema_arrow if _is_nested(each.type)]
        if nested and self.leads is None:
            raise ConfigError(
                f"{file} has signals as nested lists ({', '.join(nested)}), which do not name "
                "their leads. Give the leads in order, as --option leads=I,II,V1."
            )

    def _columns(self, file: Location) -> dict[str, str]:
        """Return the columns of facts, by what they say.

        Raises:
            DataError: A column that was named is not there, or one of patients would be left alone.
        """
        with reading(file, RIGHT, DataError), parquet_file(file) as parquet:
            names = parquet.schema_arrow.names
        columns = {kind: kind for kind in DESCRIBING if kind in names}
        for kind, name in (("codes", self.codes), ("patient_id", self.patient_id)):
            if name is not None and name not in names:
                raise DataError(
                    f"{file} has no column {name!r} for the option {kind}; its columns are "
                    f"{', '.join(map(repr, names))}. Name one of them."
                )
            if name is not None:
                columns[kind] = name
        others = [name for name in names if name not in columns.values()]
        try:
            # With `codes` no other column is taken for one.
            check_names(
                CsvTable(location=file, columns=(*columns, "codes", *others), rows=iter(()))
            )
        except DataError as error:
            raise DataError(f"{error} Or give --option patient_id=COLUMN.") from None
        expect_patients(file, columns)
        return columns

    def _rows(self, file: Location, columns: Mapping[str, str]) -> Iterator[RecordingRef]:
        folder = Location.parse(self.location)
        name = file.uri.removeprefix(f"{folder}/")
        line = 0
        with reading(file, RIGHT, DataError), parquet_file(file) as parquet:
            labels = _class_labels(parquet.schema_arrow, columns.get("codes"))
            for group in range(parquet.num_row_groups):
                wanted = list(dict.fromkeys(columns.values()))
                n_rows = parquet.metadata.row_group(group).num_rows
                table = parquet.read_row_group(group, columns=wanted).to_pylist()
                # Without columns Arrow gives no rows.
                for number, cells in enumerate(table or [{}] * n_rows):
                    line += 1
                    texts = _texts(cells, columns, labels, file)
                    record = texts.get("record") or f"{name}#{line - 1}"
                    row = TableRow(line=line, cells={"codes": "", **texts})
                    facts = facts_in_row(row, [], f"{file}, row {line}", record)
                    yield RecordingRef(
                        source=self.name,
                        record_id=record,
                        path=file.uri,
                        metadata={**facts, "group": group, "row": number},
                    )

    def _signal(self, ref: RecordingRef) -> FileSignal:
        table = _row_group(ref.path, int(ref.metadata["group"] or 0))
        row = table.slice(int(ref.metadata["row"] or 0), 1)
        rate_hz = self.rate_hz if self.rate_hz is not None else _rate_hz(row, ref.record_id)
        leads = Leads(ref.record_id)
        for lead, values in self._named(row, ref.record_id).items():
            in_mv = values.astype(np.float64) * leads.scale(lead, self.unit)
            leads.add(lead, in_mv, rate_hz)
        return leads.together()

    def _named(self, row: pa.Table, record: str) -> dict[str, np.ndarray]:
        nested = [each.name for each in row.schema if _is_nested(each.type)]
        if self.signal is not None:
            nested = [name for name in nested if name == self.signal]
        if len(nested) == 1:
            values = row.column(nested[0])[0].as_py()
            if values is None or len({len(each or ()) for each in values}) > 1:
                raise RecordingError(f"{record} has lists of different lengths", "wrong_shape")
            return named_rows(np.asarray(values, dtype=np.float64), self.leads, record)
        if nested or self.signal is not None:
            raise RecordingError(
                f"{record} has {len(nested)} columns of nested lists to choose from; name the one "
                "of the signal as --option signal=COLUMN",
                "wrong_shape",
            )
        lists = [(lead_named(each.name), each.name) for each in row.schema if is_list(each.type)]
        return {
            lead: np.asarray(row.column(name)[0].as_py() or [], dtype=np.float64)
            for lead, name in lists
            if lead is not None
        }


def _is_nested(kind: pa.DataType) -> bool:
    return is_list(kind) and is_list(kind.value_type)


@lru_cache(maxsize=1)
def _row_group(path: str, group: int) -> pa.Table:
    """Return a row group; rows are read one after the other, so the last one is kept."""
    with parquet_file(Location(path)) as parquet:
        n_bytes = parquet.metadata.row_group(group).total_byte_size
        if n_bytes > _LARGEST_GROUP_BYTES:
            raise RecordingError(
                f"{path} has a row group of {n_bytes >> 20} MiB, above the limit; rewrite it with "
                "smaller row groups",
                "too_large",
            )
        return parquet.read_row_group(group)


def _rate_hz(row: pa.Table, record: str) -> float:
    columns = [name for name in _RATES if name in row.column_names]
    value = row.column(columns[0])[0].as_py() if columns else None
    if not isinstance(value, int | float):
        raise RecordingError(
            f"{record} states no sampling rate; give it as --option rate_hz=500", "rate"
        )
    return float(value)


def _texts(
    cells: Mapping[str, Any], columns: Mapping[str, str], labels: Sequence[str], file: Location
) -> dict[str, str]:
    texts: dict[str, str] = {}
    for kind, name in columns.items():
        value = cells[name]
        if kind == "codes" and labels:
            numbers = value if isinstance(value, list) else [value]
            value = [labels[each] for each in numbers if each is not None and each >= 0]
        elif kind == "codes" and isinstance(value, list):
            value = [cell_text(each, file, name) for each in value]
        texts[kind] = cell_text(value, file, name)
    return texts


def _class_labels(schema: pa.Schema, column: str | None) -> list[str]:
    """Return the names of Hugging Face's `ClassLabel`; none where the column holds texts."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        feature = features[column]
        feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)
        return [str(name) for name in feature["names"]]
    return []
