"""The header of a WFDB record: each field is understood completely, or the recording is refused.

Fields, their order and what holds where one is absent are those of header(5) in the WFDB
Applications Guide (physionet.org/physiotools/wag/header-5.htm). Time and date of the recording are
not used, so anything may stand there.
"""

import math
import re
from dataclasses import dataclass

from mvkt_ray.data.wfdb_format.wfdb_lines import TextLine, text_lines
from mvkt_ray.errors import RecordingError

NO_FILE = "~"
"""Name in a header for a signal or a segment without a file."""
NO_SAMPLES = "0"
"""The format of a signal that has no samples."""
DEFAULT_RATE_HZ = 250.0
"""Assumed where the record line states no sampling frequency."""

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
    """Its path; files that it names lie beside it."""
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


def parse_header(content: bytes, file: str) -> WfdbHeader:
    """Understand a header.

    Args:
        content: of the file.
        file: its path, for messages and to find the files that it names.

    Raises:
        RecordingError: `unreadable` for a field that is not understood, with its text;
            `header_mismatch` where lines are missing or too many; `missing_file` for a file that
            is not below the header's folder.
    """
    (record, *described), comments = text_lines(content, file)
    words = record.words()
    _, slash, n_segments = words[0].partition("/")
    n_signals = record.count("number of signals", "".join(words[1:2]))
    n_lines, what = n_signals, "signals"
    if slash:
        n_lines, what = record.count("number of segments", n_segments), "segments"
    header = WfdbHeader(
        file=file,
        n_signals=n_signals,
        frame_rate_hz=_frame_rate_hz(record, words[2]) if len(words) > 2 else DEFAULT_RATE_HZ,
        rate_is_assumed=len(words) <= 2,
        n_frames=record.count("number of samples per signal", "".join(words[3:4]) or "0") or None,
        signals=() if slash else tuple(map(_signal, described)),
        segments=tuple(map(_segment, described)) if slash else None,
        comments=tuple(comments),
    )
    if len(words) > _RECORD_WORDS and not all(map(_may_be_in_a_date, words[4:])):
        rest = " ".join(words[_RECORD_WORDS:])
        raise record.wrong("text after the date", rest, "left out")
    if n_lines != len(described) or n_lines == 0:
        raise RecordingError(
            f"{file} states {n_lines} {what}, but describes {len(described)}; correct the number, "
            "or restore the lines",
            "header_mismatch",
        )
    return header


def _may_be_in_a_date(word: str) -> bool:
    return word[0].isdigit() or word[:3].lower() in _WORDS_OF_DATES


def _frame_rate_hz(record: TextLine, word: str) -> float:
    field, right = "sampling frequency", "a number of Hz above 0, such as 500 or 500/250(0)"
    rate_hz = float(record.match(_FREQUENCY, field, word, right)["rate"])
    if not 0 < rate_hz < math.inf:
        raise record.wrong(field, word, right)
    return rate_hz


def _signal(line: TextLine) -> SignalLine:
    words = line.words(_SIGNAL_WORDS)
    form_word = "".join(words[1:2])
    right = "a number, as in 16, with xSAMPLES:SKEW+OFFSET as needed"
    form = line.match(_FORMAT, "format", form_word, right)
    samples_per_frame = int(form["samples"] or 1)
    if samples_per_frame == 0:
        raise line.wrong("format", form_word, "with one sample per frame at least")
    gain, baseline, unit = _gain(line, words[2]) if len(words) > 2 else (None, None, None)
    fields = ("ADC resolution", "ADC zero", "initial value", "checksum", "block size")
    numbers = {
        field: line.whole_number(field, word)
        for field, word in zip(fields, words[3:8], strict=False)
    }
    adc_zero = numbers.get("ADC zero", 0)
    return SignalLine(
        file_name=line.file_name("file name", words[0]),
        format=form["format"],
        samples_per_frame=samples_per_frame,
        skew_frames=int(form["skew"] or 0),
        byte_offset=int(form["offset"] or 0),
        gain=gain,
        baseline=adc_zero if baseline is None else baseline,
        unit=unit,
        initial_value=numbers.get("initial value", adc_zero),
        checksum=numbers.get("checksum"),
        block_size_bytes=abs(numbers.get("block size", 0)),
        description="".join(words[8:]),
    )


def _gain(line: TextLine, word: str) -> tuple[float | None, int | None, str | None]:
    """Return gain, baseline and unit, None for each that is absent."""
    right = "a number with baseline and unit, as in 1000, 200/mV or 1000(0)/uV"
    found = line.match(_GAIN, "ADC gain", word, right)
    gain = float(found["gain"])
    if not math.isfinite(gain):
        raise line.wrong("ADC gain", word, right)
    baseline = None if found["baseline"] is None else int(found["baseline"])
    return gain or None, baseline, found["unit"]


def _segment(line: TextLine) -> SegmentLine:
    name, *length = line.words(2)
    return SegmentLine(
        name=line.file_name("name of the segment", name),
        n_frames=line.count("number of samples of the segment", "".join(length)),
    )
