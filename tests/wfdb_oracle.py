"""WFDB records written and read without wfdb and without mvkt_ray: formats 16 and 212 only.

After header(5) and signal(5), in plain Python, so that it is slow and easy to check by eye.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

MV_PER_UNIT = {
    "nV": 1e-6,
    "uV": 1e-3,
    "\xb5V": 1e-3,
    "\u03bcV": 1e-3,
    "mV": 1.0,
    "mv": 1.0,
    "V": 1e3,
}
FLOAT = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"


@dataclass(kw_only=True)
class Signal:
    """One signal, as it is to be in a file."""

    name: str
    digital: list[int]
    file: str = "r.dat"
    fmt: int = 16
    modifiers: str = ""
    """What follows the format: `xN`, `:N`, `+N`."""
    gain: str | None = "1000(0)/mV"
    """As in the header; None leaves out this field, and all after it."""
    adc_zero: int = 0
    checksum: str = "signed"
    """`signed`, `unsigned`, `zero`, or `wrong`."""

    @property
    def line(self) -> str:
        if self.gain is None:
            return f"{self.file} {self.fmt}{self.modifiers}"
        total = sum(self.digital) % 65536
        stated = {
            "signed": total - 65536 if total > 32767 else total,
            "unsigned": total,
            "zero": 0,
            "wrong": (total + 1) % 65536 or 1,
        }[self.checksum]
        fields = f"16 {self.adc_zero} {self.digital[0]} {stated} 0 {self.name}"
        return f"{self.file} {self.fmt}{self.modifiers} {self.gain} {fields}"


@dataclass(kw_only=True)
class Record:
    """An ordinary record, as it is to be on disk."""

    signals: list[Signal]
    record_line: str
    samples_per_frame: int = 1
    """Of every signal."""
    preamble: bytes = b""
    padding: bytes = b""
    comments: list[str] = field(default_factory=list[str])

    def header(self) -> str:
        return "\n".join([self.record_line, *(each.line for each in self.signals), *self.comments])

    def write(self, folder: Path, name: str = "r", header: bytes | None = None) -> Path:
        """Write the files; return the record's path without extension."""
        content = (self.header() + "\n").encode() if header is None else header
        (folder / f"{name}.hea").write_bytes(content)
        for file in dict.fromkeys(signal.file for signal in self.signals):
            group = [signal for signal in self.signals if signal.file == file]
            flat = interleave([signal.digital for signal in group], self.samples_per_frame)
            encode = encode_16 if group[0].fmt == 16 else encode_212
            (folder / file).write_bytes(self.preamble + encode(flat) + self.padding)
        return folder / name


def interleave(signals: list[list[int]], samples_per_frame: int) -> list[int]:
    n_frames = len(signals[0]) // samples_per_frame
    frames = range(0, n_frames * samples_per_frame, samples_per_frame)
    return [
        value for at in frames for each in signals for value in each[at : at + samples_per_frame]
    ]


def encode_16(values: list[int]) -> bytes:
    return b"".join(value.to_bytes(2, "little", signed=True) for value in values)


def encode_212(values: list[int]) -> bytes:
    content = bytearray()
    for at in range(0, len(values), 2):
        first, second = (value & 0xFFF for value in (*values[at : at + 2], 0)[:2])
        content += bytes([first & 0xFF, first >> 8 | second >> 8 << 4, second & 0xFF])
    # An odd last sample ends with its second byte.
    return bytes(content[: len(values) * 3 // 2 + len(values) % 2])


def decode_212(content: bytes) -> list[int]:
    values: list[int] = []
    for at in range(0, len(content), 3):
        group = content[at : at + 3]
        if len(group) >= 2:
            values.append(group[0] | (group[1] & 0xF) << 8)
        if len(group) == 3:
            values.append(group[2] | group[1] >> 4 << 8)
    return [value - 4096 if value > 2047 else value for value in values]


def read(path: Path, leads: tuple[str, ...]) -> tuple[float, dict[str, np.ndarray]] | None:
    """Return the rate and the leads in mV of a record whose leads all have one rate and no skew.

    Its header must state length and checksums. None for anything that header(5) does not allow.
    """
    try:
        return _read(path, leads)
    except (ValueError, IndexError, KeyError, AssertionError, FileNotFoundError):
        return None


def _read(path: Path, leads: tuple[str, ...]) -> tuple[float, dict[str, np.ndarray]]:
    text = path.with_suffix(".hea").read_bytes().decode()
    lines = [line.strip(" \t") for line in text.replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line and line[0] != "#"]
    words = re.split(r"[ \t]+", lines[0])
    assert "/" not in words[0]
    assert len(words) >= 3
    # No more than time and date, or words of a date with blanks in it.
    assert len(words) <= 6 or all(word[0].isdigit() for word in words[4:])
    n_signals, length = count(words[1]), count(words[3] if len(words) > 3 else "0")
    frequency = re.fullmatch(rf"(?P<rate>{FLOAT})(/{FLOAT}(\({FLOAT}\))?)?", words[2])
    assert frequency
    rate = number(frequency["rate"])
    assert rate > 0
    assert n_signals == len(lines) - 1 > 0
    signals = [_signal(line) for line in lines[1:]]
    files: dict[str, list[_Read]] = {}
    for signal in signals:
        files.setdefault(signal.file, []).append(signal)
    found: dict[str, np.ndarray] = {}
    for file, group in files.items():
        if not {each.name.lower() for each in group} & {lead.lower() for lead in leads}:
            continue
        assert len({(each.fmt, each.offset, each.block) for each in group}) == 1
        content = (path.parent / file).read_bytes()[group[0].offset :]
        values = decode_212(content) if group[0].fmt == 212 else list(np.frombuffer(content, "<i2"))
        per_frame = sum(each.samples for each in group)
        n_frames = length or len(values) // per_frame
        assert n_frames == len(values) // per_frame > 0
        length = n_frames
        begin = 0
        for each in group:
            own = [
                int(values[frame * per_frame + begin + n])
                for frame in range(n_frames)
                for n in range(each.samples)
            ]
            begin += each.samples
            if any(signal.checksum for signal in signals) and each.checksum is not None:
                assert (sum(own) - each.checksum) % 65536 == 0
            if each.name.lower() in {lead.lower() for lead in leads}:
                assert each.name.lower() not in {name.lower() for name in found}
                unit = {key.lower(): value for key, value in MV_PER_UNIT.items()}[each.unit.lower()]
                invalid = -2048 if each.fmt == 212 else -32768
                assert invalid not in own
                scaled = (np.array(own, dtype=float) - each.baseline) / each.gain * unit
                found[each.name] = scaled
    assert found
    (samples,) = {each.samples for each in signals if each.name in found}
    assert all(each.skew == 0 for each in signals if each.name in found)
    return rate * samples, found


@dataclass(kw_only=True)
class _Read:
    file: str
    fmt: int
    samples: int
    skew: int
    offset: int
    gain: float
    baseline: int
    unit: str
    checksum: int | None
    block: int
    name: str


def _signal(line: str) -> _Read:
    words = re.split(r"[ \t]+", line, maxsplit=8)
    found = re.fullmatch(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?", words[1])
    assert found
    fmt, samples, skew, offset = found.groups()
    given = re.fullmatch(rf"(?P<g>{FLOAT})(\((?P<b>-?\d+)\))?(/(?P<u>\S+))?", (*words, "0")[2])
    assert given
    assert fmt in ("16", "212")
    others = [whole(word) for word in words[3:8]]
    zero, checksum, block = ((others + [None] * 5)[at] for at in (1, 3, 4))
    assert not Path(words[0]).is_absolute()
    assert ".." not in words[0].split("/")
    assert samples is None or int(samples) > 0
    return _Read(
        file=str(Path(words[0])),
        fmt=int(fmt),
        samples=int(samples or 1),
        skew=int(skew or 0),
        offset=int(offset or 0),
        gain=number(given["g"]) or 200.0,
        baseline=int(given["b"]) if given["b"] else zero or 0,
        unit=given["u"] or "mV",
        checksum=checksum,
        block=abs(block or 0),
        name=words[8] if len(words) > 8 else "",
    )


def count(text: str) -> int:
    assert re.fullmatch(r"[0-9]+", text)
    return int(text)


def whole(text: str) -> int:
    assert re.fullmatch(r"[+-]?[0-9]+", text)
    return int(text)


def number(text: str) -> float:
    value = float(text)
    assert np.isfinite(value)
    return value
