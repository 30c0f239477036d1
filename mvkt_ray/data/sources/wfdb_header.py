"""The header of a WFDB record: each field is understood completely, or the recording is refused.

Fields, their order and what holds where one is absent are those of header(5) in the WFDB
Applications Guide (physionet.org/physiotools/wag/header-5.htm). Time and date of the recording are
not used, so anything may stand there.
"""

import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from mvkt_ray.errors import RecordingError

NO_FILE = "~"
"""What a header writes for a signal or a segment without a file."""
NO_SAMPLES = "0"
"""The format of a signal that has no samples."""
DEFAULT_RATE_HZ = 250.0
"""Assumed where the record line states no sampling frequency."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END_OF_FILE = b"\x1a\0"
"""What fills up the end of a text file: the last byte that DOS wrote, and of blocks."""
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANKS = re.compile(r"[ \t]+")

_COUNT = re.compile(r"[0-9]{1,15}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?"
_FREQUENCY = re.compile(rf"(?P<rate>{_NUMBER})(?:/{_NUMBER}(?:\({_NUMBER}\))?)?")
_FORMAT = re.compile(
    r"(?P<format>[0-9]{1,4})(?:x(?P<samples>[0-9]{1,9}))?(?::(?P<skew>[0-9]{1,15}))?"
    r"(?:\+(?P<offset>[0-9]{1,15}))?"
)
_GAIN = re.compile(rf"(?P<gain>{_NUMBER})(?:\((?P<baseline>-?[0-9]{{1,15}})\))?(?:/(?P<unit>.+))?")
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
_WORDS_OF_DATES = frozenset(f"{_MONTHS} mon tue wed thu fri sat sun am pm utc gmt".split())
"""By their first three letters."""
_LONGEST_TEXT = 80
"""Of a field in a message."""
_RECORD_WORDS = 6
"""Name, signals, frequency, samples, time and date."""
_SIGNAL_WORDS = 9
"""The last is the description, and may hold blanks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignalLine:
    """One signal of an ordinary record."""

    file_name: str
    format: str
    """A number of signal(5)."""
    samples_per_frame: int
    skew_frames: int
    """Frames of this signal that precede sample 0."""
    byte_offset: int
    """Where samples begin in the file; in FLAC files the number of samples to leave out."""
    gain: float | None
    """ADC units per physical unit; None where it is absent or 0: the signal is not calibrated."""
    baseline: int
    """The ADC zero where it is absent."""
    unit: str | None
    initial_value: int
    """Of difference formats; the ADC zero where it is absent."""
    checksum: int | None
    block_size_bytes: int
    """The file's length may be a multiple of it; 0 for any length."""
    description: str
    """The name of the lead; empty where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentLine:
    """One segment of a record that joins several."""

    name: str
    """Of an ordinary record beside the header; `~` for a gap."""
    n_frames: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WfdbHeader:
    """A header, understood completely."""

    file: str
    """For messages."""
    n_signals: int
    frame_rate_hz: float
    rate_is_assumed: bool
    """The header states no sampling frequency."""
    n_frames: int | None
    """Samples per signal, with as many in each frame as its line says; None where unspecified."""
    signals: tuple[SignalLine, ...]
    segments: tuple[SegmentLine, ...] | None
    """None for an ordinary record."""
    comments: tuple[str, ...]
    """Without the leading `#`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    where: str
    words: list[str]
    """All of them, and the last may hold blanks."""

    def wrong(self, field: str, text: str, right: str) -> RecordingError:
        text = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
        return RecordingError(
            f"{self.where}: the {field} is {text!r}, but must be {right} (see header(5) of the "
            "WFDB manual); correct the header",
            "unreadable",
        )

    def match(self, pattern: re.Pattern[str], field: str, text: str, right: str) -> re.Match[str]:
        found = pattern.fullmatch(text)
        if found is None:
            raise self.wrong(field, text, right)
        return found

    def integer(self, position: int, field: str) -> int | None:
        """Return the whole number at a position, or None past the end of the line."""
        if position >= len(self.words):
            return None
        text = self.words[position]
        return int(self.match(_INTEGER, field, text, "a whole number").group())

    def file_name(self, field: str) -> str:
        """Return the first word, a path below the header's folder."""
        path = PurePosixPath(self.words[0])
        if path.is_absolute() or ".." in path.parts:
            raise RecordingError(
                f"{self.where}: the {field} is {self.words[0]!r}, which is not below its folder; "
                "put the file beside the header, and its name there",
                "missing_file",
            )
        return path.as_posix()


def parse_header(content: bytes, file: str) -> WfdbHeader:
    """Understand a header.

    Args:
        content: of the file. Each line is UTF-8, or else Latin-1.
        file: its name in messages.

    Raises:
        RecordingError: `unreadable` for a field that is not understood, with its text;
            `header_mismatch` where lines are missing or too many; `missing_file` for a file that
            is not below the header's folder.
    """
    comments: list[str] = []
    lines: list[tuple[str, str]] = []
    text = content.removeprefix(_BYTE_ORDER_MARK).rstrip(_END_OF_FILE)
    for number, raw in enumerate(_LINE_END.split(text), start=1):
        line = _decode(raw).strip(" \t")
        if line.startswith("#"):
            comments.append(line.strip(" \t#"))
        elif "\0" in line:
            raise RecordingError(
                f"{file}, line {number} holds NUL bytes, and a WFDB header is text; save it as "
                "UTF-8",
                "unreadable",
            )
        elif line:
            lines.append((f"{file}, line {number}", line))
    if not lines:
        raise RecordingError(
            f"{file} has no record line, so it is no WFDB header; restore it", "unreadable"
        )
    where, line = lines[0]
    return _parse_lines(file, _Line(where=where, words=_words(line)), lines[1:], tuple(comments))


def _parse_lines(
    file: str, record: _Line, lines: list[tuple[str, str]], comments: tuple[str, ...]
) -> WfdbHeader:
    words = record.words
    _, slash, segments_word = words[0].partition("/")
    n_segments = int(
        record.match(_COUNT, "number of segments", segments_word, "a whole number after the /")[0]
        if slash
        else 0
    )
    signals_word = words[1] if len(words) > 1 else ""
    n_signals = int(record.match(_COUNT, "number of signals", signals_word, "a whole number")[0])
    if len(words) > _RECORD_WORDS and not all(map(_may_be_in_a_date, words[4:])):
        rest = " ".join(words[_RECORD_WORDS:])
        raise record.wrong("text after the date", rest, "left out")
    n_frames_word = words[3] if len(words) > 3 else "0"
    n_frames = int(
        record.match(_COUNT, "number of samples per signal", n_frames_word, "a whole number")[0]
    )
    header = WfdbHeader(
        file=file,
        n_signals=n_signals,
        frame_rate_hz=_frame_rate_hz(record),
        rate_is_assumed=len(words) <= 2,
        n_frames=n_frames or None,
        signals=() if slash else tuple(_signal(where, text) for where, text in lines),
        segments=tuple(_segment(where, text) for where, text in lines) if slash else None,
        comments=comments,
    )
    stated, what = (n_segments, "segments") if slash else (n_signals, "signals")
    if stated != len(lines) or stated == 0:
        raise RecordingError(
            f"{file} states {stated} {what}, but describes {len(lines)}; correct the number, or "
            "restore the lines",
            "header_mismatch",
        )
    return header


def _may_be_in_a_date(word: str) -> bool:
    return word[0].isdigit() or word[:3].lower() in _WORDS_OF_DATES


def _frame_rate_hz(record: _Line) -> float:
    if len(record.words) <= 2:
        return DEFAULT_RATE_HZ
    text, right = record.words[2], "a number of Hz above 0, such as 500 or 500/250(0)"
    rate_hz = float(record.match(_FREQUENCY, "sampling frequency", text, right)["rate"])
    if not 0 < rate_hz < math.inf:
        raise record.wrong("sampling frequency", text, right)
    return rate_hz


def _signal(where: str, text: str) -> SignalLine:
    line = _Line(where=where, words=_words(text, _SIGNAL_WORDS))
    words = line.words
    format_word = words[1] if len(words) > 1 else ""
    form = line.match(
        _FORMAT, "format", format_word, "a number, as in 16, with xSAMPLES:SKEW+OFFSET as needed"
    )
    samples_per_frame = int(form["samples"] or 1)
    if samples_per_frame == 0:
        raise line.wrong("format", format_word, "with one sample per frame at least")
    gain, baseline, unit = _gain(line)
    line.integer(3, "ADC resolution")
    adc_zero = line.integer(4, "ADC zero") or 0
    initial_value = line.integer(5, "initial value")
    return SignalLine(
        file_name=line.file_name("file name"),
        format=form["format"],
        samples_per_frame=samples_per_frame,
        skew_frames=int(form["skew"] or 0),
        byte_offset=int(form["offset"] or 0),
        gain=gain,
        baseline=adc_zero if baseline is None else baseline,
        unit=unit,
        initial_value=adc_zero if initial_value is None else initial_value,
        checksum=line.integer(6, "checksum"),
        block_size_bytes=abs(line.integer(7, "block size") or 0),
        description=words[8] if len(words) > 8 else "",
    )


def _gain(line: _Line) -> tuple[float | None, int | None, str | None]:
    """Return gain, baseline and unit, None for each that is absent."""
    if len(line.words) <= 2:
        return None, None, None
    text, right = line.words[2], "a number with baseline and unit, as in 1000, 200/mV or 1000(0)/uV"
    found = line.match(_GAIN, "ADC gain", text, right)
    gain = float(found["gain"])
    if not math.isfinite(gain):
        raise line.wrong("ADC gain", text, right)
    return (
        gain or None,
        None if found["baseline"] is None else int(found["baseline"]),
        found["unit"],
    )


def _segment(where: str, text: str) -> SegmentLine:
    line = _Line(where=where, words=_words(text, 2))
    length = line.words[1] if len(line.words) > 1 else ""
    right = "a whole number, the last word of the line"
    n_frames = int(line.match(_COUNT, "number of samples of the segment", length, right)[0])
    return SegmentLine(name=line.file_name("name of the segment"), n_frames=n_frames)


def _words(text: str, n_at_most: int = 0) -> list[str]:
    return _BLANKS.split(text, maxsplit=max(n_at_most - 1, 0))


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
