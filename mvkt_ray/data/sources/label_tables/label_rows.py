"""What the row of a table of labels says of a recording, and the task that its codes make."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import cast

from mvkt_ray.data.identity import code_key, names_nobody, own_patient, spellings
from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.file_signal import FileSignal
from mvkt_ray.data.sources.label_tables.label_columns import codes_in
from mvkt_ray.data.sources.label_tables.table_facts import LARGEST_FOLD, age_in, fold_in, sex_in
from mvkt_ray.data.sources.source import each_once
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError
from mvkt_ray.storage.csv_table import TableRow

Facts = Mapping[str, str | int | float | None]
"""Of a row: `patient_id`, `age`, `sex`, `fold` and `codes`, as metadata of a reference."""


def facts_in_row(row: TableRow, one_hot: Sequence[str], where: str, record: str) -> Facts:
    """Read a row strictly.

    Args:
        row: Of the table.
        one_hot: What `code_columns` gave.
        where: Names the row in a message.
        record: Identity of the recording, which is its own patient where none is named.

    Raises:
        DataError: A cell is not what its column holds.
    """
    cells = row.cells
    patient_id = cells.get("patient_id", "")
    return {
        "patient_id": own_patient(record) if names_nobody(patient_id) else patient_id,
        "age": _checked(age_in, row, "age", where),
        "sex": _checked(sex_in, row, "sex", where),
        "fold": _fold(cells["fold"], where) if "fold" in cells else None,
        "codes": codes_in(cells, one_hot, where),
    }


def codes_of(facts: Facts) -> tuple[str, ...]:
    """Return the codes that a row names, each once."""
    return each_once(str(facts["codes"]).split(";"))


def recording_of_row(ref: RecordingRef, signal: FileSignal) -> Recording:
    """Return a recording; what its row says of the patient goes before what its file says.

    Args:
        ref: Whose metadata is what `facts_in_row` gave.
        signal: Of its file.
    """
    facts, patient = ref.metadata, signal.patient
    age, sex = age_in(str(facts["age"])), sex_in(str(facts["sex"]))
    return signal.as_recording(
        ref,
        str(facts["patient_id"] or patient.patient or own_patient(ref.record_id)),
        age=patient.age if age is None else age,
        sex=patient.sex if sex is None else sex,
        fold=cast("int | None", facts["fold"]),
        codes=codes_of(facts),
    )


def task_of_codes(codes: Iterable[str], table: object) -> Mapping[str, Task]:
    """Return the task `all`: a class for every code, however it is spelled.

    Args:
        codes: All that occur.
        table: Where, for messages.

    Raises:
        DataError: There is none, or one is made of others.
    """
    every = set(codes)
    if not every:
        raise DataError(
            f"{table} has no label at all, so nothing can be learned; give records codes."
        )
    joined = sorted(code for code in every if _are_codes(re.split(r"[,|]", code), every))
    if joined:
        raise DataError(
            f"{table}: the code {joined[0]!r} consists of other codes of the table; separate "
            "codes by ';'."
        )
    codes_of_class = {code: [code] for code in every}
    for group in spellings(every, code_key):
        codes_of_class[group[0]] = list(group)
        for code in group[1:]:
            del codes_of_class[code]
    return {"all": Task.of_classes("all", codes_of_class)}


def _are_codes(parts: Sequence[str], codes: Collection[str]) -> bool:
    return len(parts) > 1 and all(part.strip() in codes for part in parts)


def _checked(parse: Callable[[str], object], row: TableRow, column: str, where: str) -> str:
    text = row.cells.get(column, "")
    try:
        parse(text)
    except ValueError as problem:
        raise DataError(f"{where}: {column!r} {problem}.") from None
    return text


def _fold(text: str, where: str) -> int:
    fold = fold_in(text)
    if fold is None:
        raise DataError(
            f"{where}: 'fold' is {text!r}, but must be a whole number from 0 to {LARGEST_FOLD}. "
            "Give every record a fold, or remove the column: ingest then makes patient-disjoint "
            "folds."
        )
    return fold
