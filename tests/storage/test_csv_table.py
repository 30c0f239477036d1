"""Every line of a table is a row or is refused by its number; nothing is lost or shifted."""

import csv
import io
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.errors import DataError
from mvkt_ray.storage.csv_table import open_table
from mvkt_ray.storage.location import Location

CELLS = st.text(
    st.sampled_from('ab1 ",;\t|é\u00a0ß') | st.characters(exclude_categories=["Cs", "Cc"]),
    max_size=6,
)
TABLES = st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6)
HEADER = ("record", "codes", "note")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables") / "table.csv"


def written(rows: list[list[str]], line_end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([HEADER, *rows])
    return text.getvalue()


def read(path: Path, content: str | bytes, **options: object) -> list[tuple[int, list[str]]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    table = open_table(Location.parse(path), ("record",), "the table", **options)  # pyright: ignore[reportArgumentType]
    return [(row.line, list(row.cells.values())) for row in table.rows]


def refused_line(path: Path, content: str | bytes) -> int:
    with pytest.raises(DataError) as caught:
        read(path, content)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    found = re.search(r", line (\d+)", message)
    assert found is not None, message
    return int(found[1])


def tidy(cell: str) -> str:
    """What is left of a cell, by another rule: no blanks and no invisible characters around it."""
    cell = unicodedata.normalize("NFC", cell)
    while cell and (cell[0].isspace() or cell[0] in "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"):
        cell = cell[1:]
    while cell and (cell[-1].isspace() or cell[-1] in "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"):
        cell = cell[:-1]
    return cell


@settings(max_examples=150)
@given(rows=TABLES, line_end=st.sampled_from(["\n", "\r\n", "\r"]), bom=st.booleans())
def test_property_every_row_that_was_written_is_read_with_its_line(
    path: Path, rows: list[list[str]], line_end: str, bom: bool
) -> None:
    content = ("\ufeff" if bom else "") + written(rows, line_end)
    cells = [(line, [tidy(cell) for cell in row]) for line, row in enumerate(rows, start=2)]
    assert read(path, content) == [(line, row) for line, row in cells if any(row)]


@settings(max_examples=200)
@given(rows=TABLES, data=st.data())
def test_property_a_damaged_table_is_refused_or_keeps_every_line(
    path: Path, rows: list[list[str]], data: st.DataObject
) -> None:
    """One character more, less or other: rows that are read are as many as lines with content."""
    text = written(rows).replace('"', "") if data.draw(st.booleans()) else written(rows)
    at = data.draw(st.integers(0, len(text)))
    put = data.draw(st.sampled_from(['"', ",", "\n", "\r", "\0", "x", ""]))
    damaged = text[:at] + put + text[at + data.draw(st.integers(0, 1)) :]
    try:
        found = read(path, damaged)
    except DataError:
        return
    lines = re.split(r"\r\n|\r|\n", damaged)
    first = next(at for at, line in enumerate(lines, start=1) if tidy(line.strip(',"')))
    holds_text = {at for at, line in enumerate(lines, start=1) if tidy(re.sub('[,"\\s]', "", line))}
    assert holds_text - {first} <= {line for line, _ in found}
    n_columns = len(next(csv.reader([lines[first - 1]])))
    assert all(len(cells) == n_columns for _, cells in found)
    assert len({line for line, _ in found}) == len(found)


@settings(max_examples=60)
@given(rows=TABLES, bad=st.integers(0x80, 0xFF), data=st.data())
def test_property_a_byte_of_another_encoding_is_named_by_its_line(
    path: Path, rows: list[list[str]], bad: int, data: st.DataObject
) -> None:
    rows = [["a", "b", "c"], *rows]
    lines = written(rows).encode().splitlines(keepends=True)
    at = data.draw(st.integers(1, len(lines) - 1))
    lines[at] = b'"' + bytes([bad]) + b'"' + lines[at][lines[at].index(b'",') + 1 :]
    assert refused_line(path, b"".join(lines)) == at + 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('record,codes\na,X\nb,"Y\nc,Z\nd,W\n', 3),  # a quotation mark that is left open
        ('record,codes\na,"X\nb",Y\n', 2),  # and closed by another one
        ('record,codes\na,"X"Y\n', 2),
        ('record,codes\na,X"Y\n', 2),
        ("record,codes\na,X\nb,Y,3\n", 3),
        ("record,codes\na,X\nb\n", 3),
        ("record,codes,\na,X,\nb,Y,Z\n", 3),  # a cell in a column without a name
        ("record,codes\na,X\n\nb,\0Y\n", 4),
        ('"rec\nord",codes\na,X\n', 1),
        (f"record,codes\na,X\nb,{'x' * 140_000}\n", 3),
    ],
)
def test_a_row_that_is_wrong_is_named_by_its_line(path: Path, text: str, line: int) -> None:
    if "rec\n" in text:
        path.write_text(text)
        with pytest.raises(DataError, match="no column 'record'"):
            read(path, text)
        return
    assert refused_line(path, text) == line


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_table_in_utf_16_is_called_so(path: Path, encoding: str) -> None:
    with pytest.raises(DataError, match=r"UTF-16.*Save the file as CSV in UTF-8"):
        read(path, "record,codes\na,X\n".encode(encoding))


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_delimiter_is_named(path: Path, delimiter: str) -> None:
    with pytest.raises(DataError, match=r"are separated by .* but must be by commas"):
        read(path, f"record{delimiter}codes\na{delimiter}X\n")


def test_lines_that_hold_nothing_are_no_rows(path: Path) -> None:
    text = "\nrecord,codes\n\na,X\n,\n  ,  \nb,Y\n,\n"
    assert read(path, text) == [(4, ["a", "X"]), (7, ["b", "Y"])]


def test_a_saved_index_and_commas_at_the_end_are_no_columns(path: Path) -> None:
    assert read(path, ",record,codes,,\n0,a,X,,\n1,b,Y,,\n") == [
        (2, ["0", "a", "X"]), (3, ["1", "b", "Y"]),
    ]  # fmt: skip


def test_only_columns_of_free_text_may_span_lines(path: Path) -> None:
    text = 'record,report\na,"sinus\nrhythm"\nb,x\n'
    assert refused_line(path, text) == 2
    assert read(path, text, may_span_lines=("report",)) == [
        (2, ["a", "sinus\nrhythm"]), (4, ["b", "x"]),
    ]  # fmt: skip


def test_a_misspelt_column_is_suggested(path: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'record'.*did you mean 'Record'"):
        read(path, "Record,codes\na,X\n")


def test_a_table_that_may_not_be_read_is_one_paragraph(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path.write_text("record\n")
    monkeypatch.setattr(Location, "chunks", lambda self: (refuse() for _ in (1,)))
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
        open_table(Location.parse(path), ("record",), "the table")
