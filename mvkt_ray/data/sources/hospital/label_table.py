"""A table of labels beside a hospital's files: CSV, or Parquet, read as strictly.

Columns are those of the source `wfdb`. `record` is the path of a file below the folder; its suffix
may be left out where only one file has the name. Without `patient_id` the headers say whose the
recordings are.

Reads: one CSV or Parquet file.
"""

import math
import unicodedata
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mvkt_ray.data.sources.label_tables.label_columns import DESCRIBING, check_names
from mvkt_ray.errors import DataError, MvktError
from mvkt_ray.file_guards import reading
from mvkt_ray.storage.csv_table import CsvTable, TableRow, open_table
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.object_store import explaining

USUAL_NAMES = ("labels.csv", "labels.parquet")
_WHAT = "the table of labels"
RIGHT = "Restore the file, or write it again with pandas or pyarrow."
"""Advice for a table that cannot be read."""
_ROWS_PER_BATCH = 4096
_DAMAGED = "deserialize thrift"
"""Part of Arrow's message, an OSError, for a footer that it cannot read."""


def open_labels(folder: Location, labels: str | None) -> CsvTable | None:
    """Open the table of labels of a folder; None where there is none.

    Args:
        folder: That of the recordings.
        labels: The table's name below the folder, or its path anywhere; None for `labels.csv` or
            `labels.parquet`, if one of them is there.

    Raises:
        DataError: A table that is named is not there, or its columns are wrong.
    """
    if labels is None:
        there = [folder / name for name in USUAL_NAMES if (folder / name).is_file()]
        if len(there) > 1:
            raise DataError(
                f"{folder} has {' and '.join(USUAL_NAMES)}, but only one can be used. Name it "
                "with the option labels=FILE, or remove the other."
            )
        if not there:
            return None
        [location] = there
    else:
        elsewhere = labels.startswith("/") or "://" in labels
        location = Location.parse(labels) if elsewhere else folder / labels
        if not location.is_file():
            raise DataError(
                f"there is no table of labels {location.uri!r}; it is CSV or Parquet, needs the "
                "columns 'record' and 'codes' (codes separated by ';'), and may have patient_id, "
                "age, sex and fold. Make it, or leave the option labels out to ingest without "
                "labels."
            )
    table = _open_any(location)
    check_names(table)
    expect_patients(location, table.columns)
    return table


def expect_patients(location: Location, columns: Collection[str]) -> None:
    """Raise DataError where a table has folds, but does not say whose the recordings are."""
    if "fold" in columns and "patient_id" not in columns:
        raise DataError(
            f"{location}: there is a column 'fold' but no 'patient_id', so patients in two folds "
            "cannot be detected. Add 'patient_id', or remove 'fold': ingest then makes "
            "patient-disjoint folds."
        )


def _open_any(location: Location) -> CsvTable:
    if location.name.lower().endswith(".parquet"):
        return _open_parquet(location)
    return open_table(location, ("record",), _WHAT)


def _open_parquet(location: Location) -> CsvTable:
    with reading(location, RIGHT, DataError), parquet_file(location) as file:
        columns = tuple(file.schema_arrow.names)
    if "record" not in columns:
        raise DataError(
            f"{location}: no column 'record' in {_WHAT}; its columns are "
            f"{', '.join(map(repr, columns))}. Add or rename the column."
        )
    wanted = [name for name in columns if name in DESCRIBING] if "codes" in columns else columns
    return CsvTable(location=location, columns=columns, rows=_rows(location, wanted))


@contextmanager
def parquet_file(location: Location) -> Generator[pq.ParquetFile]:
    """Open a Parquet file anywhere; only its footer is read at once.

    Raises:
        StoreError: Its store cannot be used. What else is raised says that the file is damaged, or
            not there.
    """
    of_file: Exception | None = None
    with nullcontext() if location.is_local else explaining(location.uri):
        try:
            filesystem, path = location.open_filesystem()
            with filesystem.open_input_file(path) as stream, pq.ParquetFile(stream) as file:
                yield file
        except (MvktError, pa.ArrowInvalid) as error:
            of_file = error
        except OSError as error:
            if _DAMAGED not in str(error):
                raise
            of_file = error
    # Not what the store has done.
    if of_file is not None:
        raise of_file


def _rows(location: Location, columns: Sequence[str]) -> Iterator[TableRow]:
    line = 0
    with reading(location, RIGHT, DataError), parquet_file(location) as file:
        for batch in file.iter_batches(_ROWS_PER_BATCH, columns=list(columns)):
            for cells in batch.to_pylist():
                line += 1
                texts = {name: cell_text(cell, location, name) for name, cell in cells.items()}
                yield TableRow(line=line, cells=texts)


def cell_text(cell: Any, location: Location, column: str) -> str:
    """Return a value as a CSV file would have it; a list as codes, separated by `;`.

    Raises:
        DataError: It is no value of a table of labels.
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, str):
        return unicodedata.normalize("NFC", cell).strip()
    if isinstance(cell, list) and all(isinstance(each, str) for each in cell):
        return ";".join(cell)
    if isinstance(cell, int | float):
        return str(cell)
    raise DataError(
        f"{location}: the column {column!r} holds {type(cell).__name__}, but must hold text, "
        "numbers or lists of text. Convert it, or take it out."
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
