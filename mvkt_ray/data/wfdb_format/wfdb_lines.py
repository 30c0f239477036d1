"""The lines and words of a WFDB header's text.

Each line is UTF-8, or else Latin-1: in which encoding a comment is says nothing about a unit.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from mvkt_ray.errors import RecordingError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END_OF_FILE = b"\x1a\0"
"""What fills up the end of a text file: the last byte that DOS wrote, and of blocks."""
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANKS = re.compile(r"[ \t]+")
_COUNT = re.compile(r"[0-9]{1,15}")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,15}")
_LONGEST_TEXT = 80
"""Of a field in a message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextLine:
    """One line of a header; what is not understood in it is refused with its field and text."""

    where: str
    """File and number of the line, for messages."""
    text: str

    def words(self, n_at_most: int | None = None) -> list[str]:
        """Split the line at blanks; the last of `n_at_most` words keeps its blanks."""
        return _BLANKS.split(self.text, maxsplit=0 if n_at_most is None else n_at_most - 1)

    def wrong(self, field: str, word: str, right: str) -> RecordingError:
        """Say that a field is not understood, and what would be."""
        shown = word if len(word) <= _LONGEST_TEXT else f"{word[:_LONGEST_TEXT]}..."
        return RecordingError(
            f"{self.where}: the {field} is {shown!r}, but must be {right} (see header(5) of the "
            "WFDB manual); correct the header",
            "unreadable",
        )

    def match(self, pattern: re.Pattern[str], field: str, word: str, right: str) -> re.Match[str]:
        """Match a field completely, or raise."""
        found = pattern.fullmatch(word)
        if found is None:
            raise self.wrong(field, word, right)
        return found

    def count(self, field: str, word: str) -> int:
        """Read a whole number without a sign."""
        return int(self.match(_COUNT, field, word, "a whole number")[0])

    def whole_number(self, field: str, word: str) -> int:
        """Read a whole number of either sign."""
        return int(self.match(_WHOLE_NUMBER, field, word, "a whole number")[0])

    def file_name(self, field: str, word: str) -> str:
        """Read a path, which must be below the header's folder; a link there may lead anywhere."""
        path = PurePosixPath(word)
        if path.is_absolute() or ".." in path.parts:
            raise RecordingError(
                f"{self.where}: the {field} is {word!r}, which is not below its folder; put the "
                "file beside the header, and its name there",
                "missing_file",
            )
        return path.as_posix()


def text_lines(content: bytes, file: str) -> tuple[list[TextLine], list[str]]:
    """Return the lines of a header, one at least, and its comments without their `#`.

    Raises:
        RecordingError: It is no text, or has nothing but comments.
    """
    lines: list[TextLine] = []
    comments: list[str] = []
    text = content.removeprefix(_BYTE_ORDER_MARK).rstrip(_END_OF_FILE)
    for number, raw in enumerate(_LINE_END.split(text), start=1):
        where, line = f"{file}, line {number}", _decode(raw).strip(" \t")
        if line.startswith("#"):
            comments.append(line.strip(" \t#"))
        elif "\0" in line:
            raise RecordingError(
                f"{where} holds NUL bytes, and a WFDB header is text; save it as UTF-8",
                "unreadable",
            )
        elif line:
            lines.append(TextLine(where=where, text=line))
    if not lines:
        raise RecordingError(
            f"{file} has no record line, so it is not a WFDB header; restore it", "unreadable"
        )
    return lines, comments


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
