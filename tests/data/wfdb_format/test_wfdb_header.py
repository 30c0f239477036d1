"""Headers of WFDB records: what header(5) allows is understood, all else is named."""

import pytest

from mvkt_ray.data.wfdb_format.wfdb_header import parse_header
from mvkt_ray.errors import RecordingError

RECORD = "r 2 500 1000"
SIGNAL = "r.dat 16x4:2+24 1000.5(-7)/mV 12 3 5 -99 512 lead II of the chest"


def header(record: str = RECORD, signal: str = SIGNAL) -> bytes:
    return f"{record}\n{signal}\n~ 0\n# Age: 50\n".encode()


def test_every_field_of_a_signal_line_is_read() -> None:
    parsed = parse_header(header(), "r.hea")
    line, null = parsed.signals
    assert (line.file_name, line.format, line.samples_per_frame) == ("r.dat", "16", 4)
    assert (line.skew_frames, line.byte_offset, line.block_size_bytes) == (2, 24, 512)
    assert (line.gain, line.baseline, line.unit) == (1000.5, -7, "mV")
    assert (line.initial_value, line.checksum) == (5, -99)
    assert line.description == "lead II of the chest"
    assert (null.format, null.gain, null.unit, null.checksum) == ("0", None, None, None)
    assert parsed.comments == ("Age: 50",)


def test_what_is_absent_follows_the_adc_zero() -> None:
    line = parse_header(header(signal="r.dat 16 200 11 1024"), "r.hea").signals[0]
    assert (line.baseline, line.initial_value, line.unit) == (1024, 1024, None)


@pytest.mark.parametrize(
    ("record", "rate_hz", "is_assumed", "n_frames"),
    [
        ("r 2", 250, True, None),
        ("r 2 500", 500, False, None),
        ("r 2 5e2/-3(.5) 0", 500, False, None),
        ("r.mat 2 500. 7 05-May-2020 09:49:17", 500, False, 7),
        ("r\t2 \t 500 7 any thing", 500, False, 7),
        ("r 2 500 7 9:30 pm Fri, 31 February 2020", 500, False, 7),
    ],
)
def test_the_record_line(
    record: str, rate_hz: float, is_assumed: bool, n_frames: int | None
) -> None:
    parsed = parse_header(header(record), "r.hea")
    assert (parsed.frame_rate_hz, parsed.rate_is_assumed) == (rate_hz, is_assumed)
    assert parsed.n_frames == n_frames


@pytest.mark.parametrize(
    ("record", "field", "text"),
    [
        ("no header at all", "number of signals", "header"),
        ("r", "number of signals", ""),
        ("r 2.0 500 7", "number of signals", "2.0"),
        ("r/x 2 500 7", "number of segments", "x"),
        ("r 2 500Hz 7", "sampling frequency", "500Hz"),
        ("r 2 0 7", "sampling frequency", "0"),
        ("r 2 -500 7", "sampling frequency", "-500"),
        ("r 2 nan 7", "sampling frequency", "nan"),
        ("r 2 1e999 7", "sampling frequency", "1e999"),
        ("r 2 500/ 7", "sampling frequency", "500/"),
        ("r 2 500/9(1 7", "sampling frequency", "500/9(1"),
        ("r 2 500 7s", "number of samples per signal", "7s"),
        ("r 2 500 -7", "number of samples per signal", "-7"),
        ("r 2 500 \uff17", "number of samples per signal", "\uff17"),
        ("r 2 500 " + "9" * 5000, "number of samples per signal", "9999"),
        ("r 2 500 7 10:00:00 1/2/2020 and more", "text after the date", "and more"),
    ],
)
def test_a_field_of_the_record_line_that_is_not_understood_is_named(
    record: str, field: str, text: str
) -> None:
    message = refusal(header(record))
    assert message.startswith("folder/r.hea, line 1: ")
    assert f"the {field} is {text!r}"[:-1] in message


@pytest.mark.parametrize(
    ("signal", "field", "text"),
    [
        ("r.dat", "format", ""),
        ("r.dat 16x", "format", "16x"),
        ("r.dat 16x0", "format", "16x0"),
        ("r.dat 16:-2", "format", "16:-2"),
        ("r.dat 16+24x2", "format", "16+24x2"),
        ("my r.dat 16", "format", "r.dat"),
        ("r.dat 16 1000,0/mV", "ADC gain", "1000,0/mV"),
        ("r.dat 16 1000(0.5)/mV", "ADC gain", "1000(0.5)/mV"),
        ("r.dat 16 1000(0/mV", "ADC gain", "1000(0/mV"),
        ("r.dat 16 1000(0)mV", "ADC gain", "1000(0)mV"),
        ("r.dat 16 1000/", "ADC gain", "1000/"),
        ("r.dat 16 inf/mV", "ADC gain", "inf/mV"),
        ("r.dat 16 1000 /mV 16", "ADC resolution", "/mV"),
        ("r.dat 16 1000/mV V1", "ADC resolution", "V1"),
        ("r.dat 16 1000/mV 16 x", "ADC zero", "x"),
        ("r.dat 16 1000/mV 16 0 1.5", "initial value", "1.5"),
        ("r.dat 16 1000/mV 16 0 0 0xFF", "checksum", "0xFF"),
        ("r.dat 16 1000/mV 16 0 0 0 V1", "block size", "V1"),
    ],
)
def test_a_field_of_a_signal_line_that_is_not_understood_is_named(
    signal: str, field: str, text: str
) -> None:
    message = refusal(header(signal=signal))
    assert f"folder/r.hea, line 2: the {field} is {text!r}" in message


def refusal(content: bytes) -> str:
    with pytest.raises(RecordingError) as caught:
        parse_header(content, "folder/r.hea")
    assert caught.value.reason == "unreadable"
    return str(caught.value)


@pytest.mark.parametrize(
    "text", [b"", b"\n\n", b"# only\n# comments", b"\xff\xfer\0 \x002\0", b"r 1\na\0 16\n"]
)
def test_what_is_no_text_or_only_comments_is_no_header(text: bytes) -> None:
    assert "folder/r.hea" in refusal(text)


@pytest.mark.parametrize(
    "lines", ["r 1 500\n", "r 1 500\na 16\na 16\n", "r 0 500\n", "r/1 2 500\n"]
)
def test_lines_missing_or_too_many_are_a_mismatch(lines: str) -> None:
    with pytest.raises(RecordingError, match=r"states \d (signals|segments), but describes") as e:
        parse_header(lines.encode(), "r.hea")
    assert e.value.reason == "header_mismatch"


def test_each_line_is_utf_8_or_else_latin_1() -> None:
    content = "r 2\na 16 1/\xb5V\n".encode() + "a 16 1/\xb5V\n#M\xfcller\n".encode("latin-1")
    parsed = parse_header(content, "r.hea")
    assert [line.unit for line in parsed.signals] == ["\xb5V", "\xb5V"]
    assert parsed.comments == ("M\xfcller",)


def test_marks_at_the_begin_and_the_end_of_a_text_file_are_no_part_of_it() -> None:
    for end in (b"\x1a", b"\0\0\0"):
        parsed = parse_header(b"\xef\xbb\xbfr 1\r\na.dat 16\r\n#A\0 b\r\n" + end, "r.hea")
        assert (parsed.n_signals, parsed.comments) == (1, ("A\0 b",))


@pytest.mark.parametrize("name", ["/etc/passwd", "../r.dat", "sub/../../r.dat"])
def test_files_are_below_the_folder_of_the_header(name: str) -> None:
    for content in (f"r 1\n{name} 16\n", f"r/1 1\n{name} 300\n"):
        with pytest.raises(RecordingError, match="not below its folder"):
            parse_header(content.encode(), "r.hea")


def test_segments_are_read_and_nothing_may_follow_their_length() -> None:
    parsed = parse_header(b"r/3 2 500 900\ns1 300\n~ 300\nsub/s2 300\n", "r.hea")
    assert parsed.signals == ()
    assert parsed.segments is not None
    assert [(each.name, each.n_frames) for each in parsed.segments] == [
        ("s1", 300),
        ("~", 300),
        ("sub/s2", 300),
    ]
    assert "'300 more'" in refusal(b"r/1 2 500\ns1 300 more\n")
