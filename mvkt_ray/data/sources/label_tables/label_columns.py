"""The columns of a table of labels: which describe a recording, and which are a code each."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from mvkt_ray.errors import DataError
from mvkt_ray.storage.csv_table import CsvTable

DESCRIBING = ("record", "codes", "patient_id", "age", "sex", "fold")

_ALIASES = {
    "record": ("record", "records", "recordid", "recordname", "recording", "filename", "file",
               "path"),
    "codes": ("codes", "code", "label", "labels"),
    "patient_id": ("patientid", "patient", "patients", "patientids", "patientno", "patientnr",
                   "patientnumber", "patientcode", "subject", "subjectid", "subjectno", "subjid",
                   "person", "personid", "pid", "ptid", "mrn"),
    "age": ("age", "ages", "ageyears", "ageinyears", "patientage"),
    "sex": ("sex", "gender", "patientsex"),
    "fold": ("fold", "folds", "stratfold", "foldid", "foldno", "cvfold"),
}  # fmt: skip
"""Names that tables have for these columns, in lower case and letters alone."""

_INDEX = re.compile(r"|Unnamed: ?\d+(\.\d+|_level_\d+)?", re.IGNORECASE)
"""A column of row numbers that pandas saved along with a table: no name, or the one it makes up."""

_INDEX_NAMES = ("index", "idx", "level0", "rownumber", "rowid", "rownum", "row", "id")
_CLOSE = 0.85
"""How alike two names are of which one is misspelled; `stage` and `age` are 0.75."""

_LIST = re.compile(r"\[\]|\{\}|[\[({][^\[\](){}]*['\",][^\[\](){}]*[\])}]")
"""Codes as a list or a set of another program, `['MI', 'AF']`; `[new] MI` is a name."""

_PRESENT = {"1", "1.0", "true", "yes"}
_ABSENT = {"", "0", "0.0", "false", "no"}


def check_names(table: CsvTable) -> None:
    """Refuse columns that nearly have the name of one that describes a recording.

    Left alone, a column `Patient` or `patientid` would leave every recording a patient of its own,
    and put one patient into two splits.

    Raises:
        DataError: Names the column, and what it should be called.
    """
    one_hot = "codes" not in table.columns
    for column in table.columns:
        if column in DESCRIBING or _INDEX.fullmatch(column):
            continue
        word = re.sub(r"[^a-z0-9]", "", column.lower())
        meant = _meant(word)
        # Where each further column is a code, no other meaning is left alone.
        if meant and meant not in table.columns and (one_hot or meant not in ("record", "codes")):
            raise DataError(
                f"{table.location}: the column {column!r} would be "
                f"{'read as a label code' if one_hot else 'ignored'}; did you mean {meant!r}? "
                "Rename it, or give it another name if it means something else."
            )
        if one_hot and (meant or word in _INDEX_NAMES):
            raise DataError(
                f"{table.location}: the column {column!r} would be read as a label code, but "
                "looks like a number or metadata of the recording. Remove it, or add a column "
                "'codes': other columns are then ignored."
            )


def _meant(word: str) -> str | None:
    for name, aliases in _ALIASES.items():
        if word in aliases:
            return name
    if difflib.get_close_matches(word, ["patientid", "subjectid"], n=1, cutoff=_CLOSE):
        return "patient_id"
    return None


def code_columns(table: CsvTable) -> list[str]:
    """Return the columns that are one code each; none where there is a column `codes`.

    Raises:
        DataError: There is neither.
    """
    if "codes" in table.columns:
        return []
    one_hot = [c for c in table.columns if c not in DESCRIBING and not _INDEX.fullmatch(c)]
    if not one_hot:
        raise DataError(
            f"{table.location}: there is neither a column 'codes' nor a column per code; the "
            f"columns are {', '.join(map(repr, table.columns))}. Add 'codes', with codes "
            "separated by ';'."
        )
    return one_hot


def codes_in(cells: Mapping[str, str], one_hot: Sequence[str], where: str) -> str:
    """Return the codes of a row, separated by `;`.

    Args:
        cells: Of the row.
        one_hot: What `code_columns` gave.
        where: Names the row in a message.

    Raises:
        DataError: The cell of a code says neither that the record has it nor that it has not, or
            the codes are written in another way.
    """
    if one_hot:
        return ";".join(_marked(cells, one_hot, where))
    text = cells["codes"]
    if _LIST.fullmatch(text):
        raise DataError(
            f"{where}: 'codes' is {text!r}, which looks like a list in another program's syntax; "
            "write the codes separated by ';'."
        )
    return text


def _marked(cells: Mapping[str, str], one_hot: Sequence[str], where: str) -> Iterator[str]:
    for column in one_hot:
        word = cells[column].lower()
        if word in _PRESENT:
            yield column
        elif word not in _ABSENT:
            raise DataError(
                f"{where}: {column!r} is {cells[column]!r}, but a column with one code has 1 "
                "where the record has it, else 0 or nothing. Correct it, or add a column "
                "'codes': other columns are then ignored."
            )
