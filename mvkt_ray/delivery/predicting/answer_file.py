"""Writes predictions to a temporary file, which is renamed when it is complete.

Writes: one file, CSV or JSON lines; `NAME.partial` until it is complete.
"""

import csv
import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from mvkt_ray.delivery.predicting.answer_rows import AnswerRows
from mvkt_ray.delivery.predicting.predict_recordings import Answer
from mvkt_ray.errors import ConfigError
from mvkt_ray.file_guards import writing

JSON_SUFFIXES = (".jsonl", ".ndjson")
CSV_SUFFIX = ".csv"
_RIGHT = "Give a file in a folder where you may write, such as predictions.csv."


def partial_file(path: Path) -> Path:
    """Return the path of the incomplete file, which an interruption leaves behind."""
    return path.with_name(f"{path.name}.partial")


def check_answer_file(path: Path) -> None:
    """Check the path of a prediction file.

    Raises:
        ConfigError: Its suffix is neither of CSV nor of JSON lines, or its folder is missing.
    """
    if path.suffix.lower() not in (CSV_SUFFIX, *JSON_SUFFIXES):
        raise ConfigError(
            f"--out {str(path)!r}: the suffix selects the format; make it {CSV_SUFFIX}, or "
            f"{' or '.join(JSON_SUFFIXES)} for one JSON object per line."
        )
    if path.is_dir():
        raise ConfigError(f"--out {str(path)!r} is a folder. {_RIGHT}")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {str(path)!r}: the folder {path.parent} does not exist; make it.")


@contextmanager
def writing_answers(path: Path, rows: AnswerRows) -> Generator[Callable[[Answer], None]]:
    """Yield a function that writes an answer; rename the file when the block has ended.

    An exception in the block leaves the answers so far in `partial_file`.

    Raises:
        ConfigError: The file cannot be written.
        MachineError: The disk is full or fails.
    """
    check_answer_file(path)
    aside = partial_file(path)
    with writing(aside, _RIGHT, ConfigError):
        # Names of recordings come from files, whose names need not be UTF-8.
        stream = aside.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    with stream:
        write = (
            _as_csv(stream, rows) if path.suffix.lower() == CSV_SUFFIX else _as_json(stream, rows)
        )

        def write_answer(answer: Answer) -> None:
            with writing(aside, _RIGHT, ConfigError):
                write(answer)

        yield write_answer
        with writing(aside, _RIGHT, ConfigError):
            stream.flush()
            os.fsync(stream.fileno())
    with writing(path, _RIGHT, ConfigError):
        os.replace(aside, path)


def _as_csv(stream: TextIO, rows: AnswerRows) -> Callable[[Answer], None]:
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(rows.columns)
    return lambda answer: table.writerows(rows.rows(answer))


def _as_json(stream: TextIO, rows: AnswerRows) -> Callable[[Answer], None]:
    def write(answer: Answer) -> None:
        stream.write(f"{json_line(rows.value(answer))}\n")

    return write


def json_line(value: dict[str, Any]) -> str:
    """Return a value as one line of JSON."""
    return json.dumps(value, allow_nan=False)
