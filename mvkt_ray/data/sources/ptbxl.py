"""PTB-XL in the layout of PhysioNet: 12-lead ECGs of 10 s at 100 and 500 Hz, with SCP-ECG codes.

Wagner et al., "PTB-XL, a large publicly available electrocardiography dataset", Scientific Data 7,
154 (2020), https://doi.org/10.1038/s41597-020-0495-6.

Reads: `ptbxl_database.csv`, `scp_statements.csv`, and the WFDB records under `records100/` and
`records500/`.
"""

import ast
import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.source import age_of, find_folder, open_text, read_rows
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import ConfigError, DataError, RecordingError
from mvkt_ray.storage.location import Location

DATABASE = "ptbxl_database.csv"
STATEMENTS = "scp_statements.csv"
_COLUMNS = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", "filename_lr",
            "filename_hr")  # fmt: skip
_STATEMENT_COLUMNS = ("diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass")
_SEX: dict[str, Literal["female", "male"]] = {"0": "male", "1": "female"}
_RATES_HZ = (100, 500)
_LAYOUT = f"{DATABASE}, {STATEMENTS}, records100/ and records500/, as PTB-XL's archive has them"


@dataclass(frozen=True, kw_only=True, slots=True)
class PtbXl:
    """PTB-XL: patients, folds and likelihoods are its own.

    An age over 89 is written as 300 there, and stored as 90. A row of the table whose file is
    missing is a reference all the same: reading it says `missing_file`.
    """

    name: ClassVar[str] = "ptbxl"

    location: str
    """Folder that holds `ptbxl_database.csv`."""
    read_rate_hz: int | None = None
    """Which files to read, 100 or 500; by default those of 100 Hz when 100 Hz is wanted, else
    those of 500 Hz. With 500, recordings wanted at 100 Hz are resampled from 500 Hz."""

    def __post_init__(self) -> None:
        if self.read_rate_hz not in (None, *_RATES_HZ):
            raise ConfigError(
                f"read_rate_hz of the source 'ptbxl' is {self.read_rate_hz!r}; PTB-XL has files of "
                f"{' and of '.join(map(str, _RATES_HZ))} Hz. Give one of these, or leave it out."
            )

    @property
    def has_folds(self) -> bool:
        """PTB-XL has ten, patient-disjoint and stratified."""
        return True

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List every row of the table, in its order."""
        folder = find_folder(self.location, _LAYOUT)
        rate_hz = self.read_rate_hz or (_RATES_HZ[sampling_rate_hz != _RATES_HZ[0]])
        rows = read_rows(_table(folder, DATABASE), _COLUMNS, "PTB-XL's table")
        if not (folder / f"records{rate_hz}").is_directory():
            other = 600 - rate_hz
            raise DataError(
                f"{folder} has no folder 'records{rate_hz}', where PTB-XL keeps its files of "
                f"{rate_hz} Hz; download it, or read those of {other} Hz with the option "
                f"read_rate_hz={other}."
            )
        return _references(folder, rows, "filename_lr" if rate_hz == 100 else "filename_hr")

    def read(self, ref: RecordingRef) -> Recording:
        """Read one recording; the codes are parsed here, to keep the listing fast."""
        signal = read_wfdb(ref.path)
        facts = ref.metadata
        codes = scp_codes(ref)
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
            sex=_SEX.get(str(facts["sex"])),
            fold=cast("int | None", facts["fold"]),
            codes=tuple(codes),
            likelihoods=tuple(codes.values()),
        )

    def tasks(self) -> Mapping[str, Task]:
        """Return the six tasks of the PTB-XL benchmark (Strodthoff et al. 2020)."""
        path = _table(find_folder(self.location, _LAYOUT), STATEMENTS)
        return ptbxl_tasks(path)


def ptbxl_tasks(statements: Location) -> dict[str, Task]:
    """Read `all diagnostic subdiagnostic superdiagnostic form rhythm` from `scp_statements.csv`.

    Membership is what its columns say; classes are in sorted order.
    """
    read_rows(statements, _STATEMENT_COLUMNS, "PTB-XL's statements")
    with open_text(statements) as file:
        # The first column, the code, has no name.
        rows = {next(iter(row.values())): row for row in csv.DictReader(file)}

    def marked(column: str) -> list[str]:
        return [code for code, row in rows.items() if row[column].strip() in ("1.0", "1")]

    def grouped(column: str) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for code in marked("diagnostic"):
            if rows[code][column].strip():
                groups.setdefault(rows[code][column].strip(), []).append(code)
        return groups

    codes_of_class = {
        "all": {code: [code] for code in rows},
        "diagnostic": {code: [code] for code in marked("diagnostic")},
        "subdiagnostic": grouped("diagnostic_subclass"),
        "superdiagnostic": grouped("diagnostic_class"),
        "form": {code: [code] for code in marked("form")},
        "rhythm": {code: [code] for code in marked("rhythm")},
    }
    return {name: Task.of_classes(name, classes) for name, classes in codes_of_class.items()}


def _table(folder: Location, name: str) -> Location:
    path = folder / name
    if not path.is_file():
        raise DataError(
            f"{folder} is not PTB-XL: it has no {name!r}; it should hold {_LAYOUT}. Give the "
            "folder with these files (not one of its subfolders), or name another source."
        )
    return path


def _references(
    folder: Location, rows: Iterator[dict[str, str]], file_column: str
) -> Iterator[RecordingRef]:
    for row in rows:
        record_id = _whole(row["ecg_id"])
        # A record without a patient is one of its own, and must not meet a patient's number.
        patient_id = _whole(row["patient_id"]) or f"record {record_id}"
        fold = _whole(row["strat_fold"])
        yield RecordingRef(
            source=PtbXl.name,
            record_id=record_id,
            path=os.path.join(folder.uri, row[file_column]),
            metadata={
                "patient_id": patient_id,
                "age": row["age"],
                "sex": _whole(row["sex"]),
                "fold": int(fold) if fold.isdigit() else None,
                "scp_codes": row["scp_codes"],
            },
        )


def _whole(text: str) -> str:
    """Return the digits of a whole number that pandas once wrote as `15709.0`."""
    return text.strip().removesuffix(".0")


def scp_codes(ref: RecordingRef) -> dict[str, float]:
    """Parse `{'NORM': 100.0, 'SR': 0.0}`: a literal, so nothing is executed."""
    text = str(ref.metadata["scp_codes"])
    try:
        value = ast.literal_eval(text)
        return {str(code): float(likelihood) for code, likelihood in value.items()}
    except (ValueError, SyntaxError, TypeError, AttributeError, MemoryError, RecursionError):
        raise RecordingError(
            f"record {ref.record_id}: scp_codes is {text!r}, not a dictionary of codes and "
            "likelihoods",
            "bad_labels",
        ) from None
