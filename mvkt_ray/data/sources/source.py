"""What a source of recordings must offer, and the small things that all of them need.

A source is a frozen dataclass: `location` and options in, no open files, so that it travels to the
ingest tasks of a cluster. Listing is lazy and in a stable order; reading is by the recording.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal, Protocol, TextIO

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.object_store import expect_bucket

OVER_89_YEARS = 90.0
"""Stands for "over 89": PTB-XL hides the age of the very old behind the number 300."""

CERTAIN = 100.0
"""Likelihood of a code where the source gives none."""


class Source(Protocol):
    """A dataset that recordings come from; one file each in this folder."""

    name: ClassVar[str]

    @property
    def has_folds(self) -> bool:
        """Whether its recordings come with folds; else patient-disjoint ones are made at ingest."""
        ...

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the recordings, lazily and in a stable order.

        Args:
            sampling_rate_hz: rate that the recordings are wanted at; a source that keeps several
                rates picks its files by it. Recordings may come at another rate.

        Raises:
            DataError: at once, when the folder is missing or holds something else.
        """
        ...

    def read(self, ref: RecordingRef) -> Recording:
        """Read one recording, in mV, with those of the twelve leads that it has, in their order.

        Whether fewer than twelve will do, and whether a flat one will, is for the ingest to say.

        Raises:
            RecordingError: when it cannot be used; `reason` says why in a word.
        """
        ...

    def tasks(self) -> Mapping[str, Task]:
        """Return the classes that this source can offer, by task name."""
        ...


def find_folder(location: str, holds: str) -> Location:
    """Return a source's folder: an absolute path, or the URI of a folder in an object store.

    Args:
        location: as the user gave it.
        holds: what should be in it, for the message.

    Raises:
        DataError: when it is no folder.
        StoreError: when its store cannot be used, or has no such bucket.
    """
    folder = Location.parse(location)
    if not location or not folder.is_directory():
        if not folder.is_local:
            expect_bucket(folder.uri)
        state = "is a file" if location and folder.is_file() else "does not exist"
        raise DataError(
            f"the folder {location!r} {state}; it should hold {holds}. "
            "Check the path, or download the dataset there first."
        )
    return folder


def read_rows(table: Location, required: Sequence[str], what: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file that has a header, after a check of its columns.

    Raises:
        DataError: at once, when a required column is missing, a column is there twice, or the file
            is empty or not text.
    """
    columns = csv_columns(table)
    if not any(columns):
        raise DataError(
            f"{table} is empty, but {what} needs a header with the column "
            f"{', '.join(map(repr, required))}. Restore the file, or make it."
        )
    twice = [column for column in dict.fromkeys(columns) if column and columns.count(column) > 1]
    if twice:
        raise DataError(
            f"{table}: {what} has {columns.count(twice[0])} columns {twice[0]!r}, and only one of "
            "them could be read. Rename or remove the others."
        )
    missing = [column for column in required if column not in columns]
    if missing:
        raise DataError(
            f"{table}: no column {', '.join(map(repr, missing))} in {what}; its columns are "
            f"{', '.join(map(repr, columns))}. Add the column, or give the folder of the dataset "
            "that this source reads."
        )
    return _rows(table)


def csv_columns(table: Location) -> list[str]:
    """Return the column names of a CSV file; none where it is empty.

    Raises:
        DataError: when it is not text.
    """
    try:
        with open_text(table) as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (UnicodeDecodeError, csv.Error) as cause:
        raise DataError(f"{table} is not a CSV file in UTF-8 ({cause}); save it as one.") from cause


def _rows(table: Location) -> Iterator[dict[str, str]]:
    with open_text(table) as file:
        rows = csv.reader(file)
        columns = [name.strip() for name in next(rows, [])]
        for row in rows:
            if row:
                # A short row lacks its last values, which are then empty.
                yield dict(zip(columns, [*row, *[""] * (len(columns) - len(row))], strict=False))


def open_text(table: Location) -> TextIO:
    """Open a file in UTF-8 as the csv module wants it; it comes in pieces, from wherever it is."""
    return io.TextIOWrapper(
        io.BufferedReader(_ChunkReader(table)), encoding="utf-8-sig", newline=""
    )


class _ChunkReader(io.RawIOBase):
    """The chunks of a location, as a file."""

    def __init__(self, location: Location) -> None:
        self._chunks = location.chunks()
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._left = self._left or memoryview(next(self._chunks, b""))
        n_bytes = min(len(buffer), len(self._left))
        buffer[:n_bytes], self._left = self._left[:n_bytes], self._left[n_bytes:]
        return n_bytes

    def close(self) -> None:
        self._chunks.close()
        super().close()


def age_of(text: str | float | None) -> float | None:
    """Return an age in years; None where it is empty, not a number or negative; 300 gives 90."""
    try:
        age = float(text if text is not None else "nan")
    except ValueError:
        return None
    if not math.isfinite(age) or age < 0:
        return None
    return OVER_89_YEARS if age >= 300 else age


def sex_of(text: str | None) -> Literal["female", "male"] | None:
    """Return the sex that a word or its first letter names, or None (`Unknown`, `NaN`, empty)."""
    word = (text or "").strip().lower()
    if word in ("f", "female"):
        return "female"
    if word in ("m", "male"):
        return "male"
    return None


def each_once(codes: Sequence[str]) -> tuple[str, ...]:
    """Return the codes stripped, without empty ones and repetitions, in their order."""
    return tuple(dict.fromkeys(code.strip() for code in codes if code.strip()))
