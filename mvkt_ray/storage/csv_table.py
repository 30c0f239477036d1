"""The only reader of tables: strict CSV in UTF-8; a line that is not a complete row is refused.

Reads: CSV files in file systems and object stores, as a stream.
"""

import csv
import io
import re
import string
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TextIO

from mvkt_ray.errors import DataError
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.storage.location import Location

_OTHER_DELIMITERS = {";": "';'", "\t": "tabs", "|": "'|'"}
_AROUND = f"{string.whitespace}\u00a0\u2007\u202f\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"
"""Blanks, some without width, that editors and spreadsheets leave at the ends of cells."""

_CELL = r' *+(?:"(?:[^"]|"")*+"|[^",\r\n]*+)'
_WELL_QUOTED = re.compile(rf"{_CELL}(?:,{_CELL})*+[\r\n]*")
"""RFC 4180: a quotation mark stands around a cell, or twice inside of such a cell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One row; its cells are stripped of blanks and in Unicode's composed form (NFC)."""

    line: int
    """The row's first line in the file, from 1."""
    cells: dict[str, str]
    """Cells by column; a first column without a name has the name ''."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CsvTable:
    """An open table; its rows can be read once."""

    location: Location
    columns: tuple[str, ...]
    """Names in order; '' for a column without a name."""
    rows: Iterator[TableRow]
    """Lazy iterator of the rows that are not empty; raises `DataError` at a malformed row."""

    def where(self, row: TableRow) -> str:
        """Return the file and line of a row, for messages."""
        return place(self.location, row.line)


def place(location: Location, line: int) -> str:
    """Return a file and a line in it, for messages."""
    return f"{location}, line {line}"


def open_table(
    location: Location,
    required: Sequence[str],
    what: str,
    *,
    may_span_lines: Collection[str] = (),
    comment: str | None = None,
) -> CsvTable:
    """Open a CSV file that has a header, and check its columns.

    Blank lines and lines of commas alone are skipped. Every other row must have as many cells as
    there are columns.

    Args:
        location: Location of the file.
        required: Names of the required columns.
        what: The table in a message, for example `PTB-XL's table`.
        may_span_lines: Columns of free text, whose cells may have line breaks. In other columns a
            line break is refused: it nearly always comes from a quotation mark that is not closed,
            which would swallow rows.
        comment: Prefix of lines to skip.

    Raises:
        DataError: At once if the file cannot be read, is empty or is not CSV, or if a column is
            missing or occurs twice; during the iteration at a malformed row.
    """
    raw = _raw_rows(_Lines(location, comment), location)
    line, spanning, header = next(raw, (0, frozenset(), ()))
    if not header:
        raise DataError(
            f"{location} is empty, but {what} needs a header with the column "
            f"{', '.join(map(repr, required))}. Restore the file, or write it."
        )
    columns = tuple(header)
    _check_columns(location, columns, required, what)
    if spanning:
        raise DataError(_spans(location, line))
    rows = _rows(location, columns, raw, frozenset(may_span_lines))
    return CsvTable(location=location, columns=columns, rows=rows)


def _check_columns(
    location: Location, columns: Sequence[str], required: Sequence[str], what: str
) -> None:
    twice = [column for column in dict.fromkeys(columns) if column and columns.count(column) > 1]
    if twice:
        raise DataError(
            f"{location}: {what} has {columns.count(twice[0])} columns {twice[0]!r}; names of "
            "columns must be unique. Rename or remove the others."
        )
    missing = [column for column in required if column not in columns[:1] and column == ""]
    missing += [column for column in required if column and column not in columns]
    if not missing:
        return
    for delimiter, name in _OTHER_DELIMITERS.items():
        if len(columns) == 1 and delimiter in columns[0]:
            raise DataError(
                f"{location}: the cells of {what} are separated by {name} (its first line is "
                f"{columns[0]!r}), but must be by commas. Save it as CSV with commas."
            )
    near = did_you_mean(missing[0], columns, otherwise="none is like it.")
    raise DataError(
        f"{location}: no column {', '.join(map(repr, missing))} in {what}; its columns are "
        f"{', '.join(map(repr, columns))}; {near} Add or rename the column, or give the folder of "
        "the dataset that this source reads."
    )


def _rows(
    location: Location,
    columns: tuple[str, ...],
    raw: Iterator[tuple[int, frozenset[int], list[str]]],
    may_span_lines: frozenset[str],
) -> Iterator[TableRow]:
    is_named = [bool(name) or at == 0 for at, name in enumerate(columns)]
    named = list(compress(columns, is_named))
    nameless = [at for at, there in enumerate(is_named) if not there]
    for line, spanning, cells in raw:
        if len(cells) != len(columns):
            kind = "more" if len(cells) > len(columns) else "fewer"
            raise DataError(
                f"{place(location, line)} has {len(cells)} cells, {kind} than the "
                f"{len(columns)} columns of the header (its first cell is {cells[0]!r}). Put a "
                "cell that holds a comma between quotation marks, or complete the row."
            )
        by_name = dict(zip(named, compress(cells, is_named), strict=True))
        if any(columns[at] not in may_span_lines for at in spanning):
            raise DataError(_spans(location, line))
        for at in nameless:
            if cells[at]:
                raise DataError(
                    f"{place(location, line)}: the cell {cells[at]!r} is in column {at + 1}, "
                    "which has no name in the header. Name the column, or remove it."
                )
        yield TableRow(line=line, cells=by_name)


def _raw_rows(
    lines: "_Lines", location: Location
) -> Iterator[tuple[int, frozenset[int], list[str]]]:
    """Yield first line, indices of cells with line breaks, and cells of each row with content."""
    # A blank after a comma does not belong to the cell: `r1, "A;B"` is a cell in quotation marks.
    reader = csv.reader(lines, strict=True, skipinitialspace=True)
    while True:
        lines.of_row.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as cause:
            raise DataError(_broken(location, lines.begin, len(lines.of_row), cause)) from cause
        text = "".join(lines.of_row)
        if '"' in text and '"' in "".join(cells) and not _WELL_QUOTED.fullmatch(text):
            raise DataError(
                f"{place(location, lines.begin)} has a quotation mark inside of a cell that does "
                "not begin with one. Remove it, or put the cell between quotation marks and "
                "write the mark twice."
            )
        spanning = frozenset[int]()
        if len(lines.of_row) > 1:
            spanning = frozenset(
                at for at, cell in enumerate(cells) if "\n" in cell or "\r" in cell
            )
        if not text.isascii():
            cells = [unicodedata.normalize("NFC", cell).strip(_AROUND) for cell in cells]
        cells = [cell.strip() for cell in cells]
        if any(cells) or spanning:
            yield lines.begin, spanning, cells


def _broken(location: Location, line: int, n_lines: int, cause: csv.Error) -> str:
    if n_lines > 1 or "unexpected end" in str(cause):
        return _spans(location, line)
    if "field larger" in str(cause):
        return (
            f"{place(location, line)} has a cell of more than {csv.field_size_limit():,} "
            "characters, which is too long. Shorten it, or remove the column."
        )
    return (
        f"{place(location, line)} is not CSV ({cause}): there is text behind the quotation mark "
        "that closes a cell. Write a quotation mark inside of a cell twice."
    )


def _spans(location: Location, line: int) -> str:
    return (
        f"{place(location, line)}: a cell begins with a quotation mark and does not end on this "
        "line, so the rows below would be read as part of it. Close it, or remove the line break "
        "from the cell."
    )


class _Lines:
    """Iterator of a file's lines, which keeps the lines of the current row and their number."""

    def __init__(self, location: Location, comment: str | None) -> None:
        self._location = location
        self._comment = comment
        self._file = _open_text(location)
        self._number = 0
        self.of_row: list[str] = []
        self.begin = 0
        """Number of the first line of the current row."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._next()
        while self._comment and not self.of_row and line.startswith(self._comment):
            line = self._next()
        if not self.of_row:
            self.begin = self._number
        self.of_row.append(line)
        return line

    def _next(self) -> str:
        try:
            line = next(self._file)
        except OSError as cause:
            raise DataError(
                f"{self._location} cannot be read ({cause.strerror or cause}). Check that the file "
                "exists, and that you may read it."
            ) from cause
        self._number += 1
        if "\0" in line or not line.isascii():
            self._check_text(line)
        return line

    def _check_text(self, line: str) -> None:
        foreign = next((letter for letter in line if "\udc80" <= letter <= "\udcff"), None)
        if foreign is None and "\0" not in line:
            return
        what = "a NUL" if foreign is None else f"the byte 0x{ord(foreign) - 0xDC00:02X}"
        utf_16 = foreign is None or line.startswith(("\udcff\udcfe", "\udcfe\udcff"))
        likely = "UTF-16" if utf_16 else "Latin-1 or another encoding of a spreadsheet's"
        raise DataError(
            f"{place(self._location, self._number)} has {what}, so it is not text in UTF-8; most "
            f"likely it is {likely}. Save the file as CSV in UTF-8."
        )


def _open_text(location: Location) -> TextIO:
    """Open a file for the csv module; a byte that is not UTF-8 becomes a surrogate."""
    return io.TextIOWrapper(
        io.BufferedReader(_ChunkReader(location)),
        encoding="utf-8-sig",
        errors="surrogateescape",
        newline="",
    )


class _ChunkReader(io.RawIOBase):
    """Binary file over a location's chunks."""

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
