"""Any folder of WFDB records, with a CSV file that says what is known of each.

Columns of the CSV file, in any order:

    record      path of the record below the folder, without extension (required)
    codes       label codes, separated by `;`
    patient_id  identity of the patient; without the column every record is its own patient
    age         years, may be empty
    sex         female, male, F or M, may be empty
    fold        whole number; without the column patient-disjoint folds are made at ingest

Without `codes`, every further column is one code: 1 where the record has it, else 0 or nothing.

Reads: the CSV file and the WFDB records that it lists.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.source import (
    CERTAIN,
    age_of,
    csv_columns,
    each_once,
    find_folder,
    read_rows,
    sex_of,
)
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError
from mvkt_ray.storage.location import Location

_LARGEST_FOLD = 32767
"""What the column `fold` of a shard holds."""
_DESCRIBING = ("record", "codes", "patient_id", "age", "sex", "fold")
_PRESENT = {"1", "1.0", "true", "yes"}
_ABSENT = {"", "0", "0.0", "false", "no"}


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
        return "fold" in csv_columns(self._table())

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the rows of the CSV file, in its order; it is never held in memory."""
        table = self._table()
        rows = read_rows(table, ("record",), "the CSV file of labels")
        return _references(Location.parse(self.location), table, rows)

    def read(self, ref: RecordingRef) -> Recording:
        """Read one record; leads by name, whatever their order in the file."""
        signal = read_wfdb(ref.path)
        facts = ref.metadata
        codes = each_once(str(facts["codes"]).split(";"))
        return Recording(
            source=ref.source,
            record_id=ref.record_id,
            patient_id=str(facts["patient_id"]),
            signal_mv=signal.signal_mv,
            sampling_rate_hz=signal.sampling_rate_hz,
            leads=signal.leads,
            uncalibrated_leads=signal.uncalibrated_leads,
            rate_is_assumed=signal.rate_is_assumed,
            age=age_of(cast(str, facts["age"])),
            sex=sex_of(cast(str, facts["sex"])),
            fold=cast("int | None", facts["fold"]),
            codes=codes,
            likelihoods=(CERTAIN,) * len(codes),
        )

    def tasks(self) -> Mapping[str, Task]:
        """Return the task `all`: a class for every code in the CSV file."""
        codes: set[str] = set()
        for ref in self.references(0):
            codes.update(each_once(str(ref.metadata["codes"]).split(";")))
        if not codes:
            raise DataError(
                f"{self._table()} has no label at all; give some record a code, or there is "
                "nothing to learn."
            )
        return {"all": Task.of_classes("all", {code: [code] for code in codes})}

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
    folder: Location, table: Location, rows: Iterator[dict[str, str]]
) -> Iterator[RecordingRef]:
    columns = csv_columns(table)
    one_hot = [] if "codes" in columns else [c for c in columns if c and c not in _DESCRIBING]
    if "codes" not in columns and not one_hot:
        raise DataError(
            f"{table}: no column 'codes', nor columns with one code each; its columns are "
            f"{', '.join(map(repr, columns))}. Add 'codes', with codes separated by ';'."
        )
    return _rows_to_references(folder, table, rows, one_hot)


def _rows_to_references(
    folder: Location, table: Location, rows: Iterator[dict[str, str]], one_hot: list[str]
) -> Iterator[RecordingRef]:
    for number, row in enumerate(rows, start=1):
        where = f"{table}, row {number} below the header"
        record = row["record"].strip().removesuffix(".hea").removesuffix(".dat")
        if not record:
            raise DataError(f"{where}: 'record' is empty; give the path of a WFDB record.")
        codes = ";".join(_marked(row, one_hot, where)) if one_hot else row["codes"]
        yield RecordingRef(
            source=WfdbFolder.name,
            record_id=record,
            path=os.path.join(folder.uri, record),
            metadata={
                "patient_id": row.get("patient_id", "").strip() or f"record {record}",
                "age": row.get("age", ""),
                "sex": _sex(row.get("sex", ""), where),
                "fold": _fold(row["fold"], where) if "fold" in row else None,
                "codes": codes,
            },
        )


def _marked(row: Mapping[str, str], one_hot: list[str], where: str) -> Iterator[str]:
    for column in one_hot:
        word = row[column].strip().lower()
        if word in _PRESENT:
            yield column
        elif word not in _ABSENT:
            raise DataError(
                f"{where}: {column!r} is {row[column]!r}, but a column with one code has 1 where "
                "the record has it, else 0 or nothing. Correct it, or add a column 'codes', and "
                "other columns are left alone."
            )


def _sex(text: str, where: str) -> str:
    if text.strip().isdigit():
        raise DataError(
            f"{where}: 'sex' is {text!r}, and numbers mean different things in different datasets; "
            "write female or male, or leave it empty."
        )
    return text


def _fold(text: str, where: str) -> int:
    word = text.strip().removesuffix(".0")
    if not (word.isascii() and word.isdigit() and int(word) <= _LARGEST_FOLD):
        raise DataError(
            f"{where}: 'fold' is {text!r}, but must be a whole number from 0 to {_LARGEST_FOLD}. "
            "Give every record a fold, or take the column out, and patient-disjoint folds are made "
            "at ingest."
        )
    return int(word)
