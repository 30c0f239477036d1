"""Samples out of the bytes of a signal file, in the formats of signal(5) of the WFDB manual.

physionet.org/physiotools/wag/signal-5.htm. FLAC files (formats 508, 516 and 524) are read by wfdb,
which is given a header of our own so that it has nothing to guess.

Reads: one signal file.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

with warnings.catch_warnings():
    # wfdb 4.3.1 builds its annotation tables with a keyword that pandas 3 deprecates; we read no
    # annotations. May go when wfdb no longer does so.
    warnings.filterwarnings("ignore", message="The inplace keyword in DataFrame.set_index")
    import wfdb

from mvkt_ray.errors import RecordingError
from mvkt_ray.storage.scratch_folder import scratch_folder


def _two_complement(values: np.ndarray, n_bits: int) -> np.ndarray:
    return (values ^ (1 << (n_bits - 1))) - (1 << (n_bits - 1))


def _numbers(dtype: str, zero: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    if zero == 0:
        return lambda raw: raw.view(dtype)
    return lambda raw: raw.view(dtype).astype(np.int32) - zero


def _three_bytes(raw: np.ndarray) -> np.ndarray:
    low, middle, high = raw.astype(np.int32).reshape(-1, 3).T
    return _two_complement(low | middle << 8 | high << 16, 24)


def _two_in_three_bytes(raw: np.ndarray) -> np.ndarray:
    first, shared, second = raw.astype(np.int32).reshape(-1, 3).T
    pair = np.stack([first | (shared & 0xF) << 8, second | (shared >> 4) << 8], axis=1)
    return _two_complement(pair.reshape(-1), 12)


def _three_in_two_words(raw: np.ndarray) -> np.ndarray:
    one, other = raw.view("<u2").astype(np.int32).reshape(-1, 2).T
    third = one >> 11 | (other >> 11) << 5
    triple = np.stack([one >> 1 & 0x3FF, other >> 1 & 0x3FF, third], axis=1)
    return _two_complement(triple.reshape(-1), 10)


def _three_in_one_word(raw: np.ndarray) -> np.ndarray:
    word = raw.view("<u4").astype(np.int32)
    triple = np.stack([word & 0x3FF, word >> 10 & 0x3FF, word >> 20 & 0x3FF], axis=1)
    return _two_complement(triple.reshape(-1), 10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """How samples lie in a file."""

    invalid: int | None
    """The value that marks a sample as missing; None where the format has none."""
    ends: tuple[int, ...] = ()
    """Bytes after which each sample of a group is complete; the last is the group's size."""
    decode: Callable[[np.ndarray], np.ndarray] | None = None
    """Of whole groups, as uint8, to integers; None for FLAC."""

    def n_bytes(self, n_samples: int) -> int:
        """Return the bytes that hold so many samples."""
        groups, rest = divmod(n_samples, len(self.ends))
        return groups * self.ends[-1] + (self.ends[rest - 1] if rest else 0)

    def n_bytes_padded(self, n_samples: int) -> int:
        """Return the same, filled up to a whole group."""
        return -(-n_samples // len(self.ends)) * self.ends[-1]

    def n_samples(self, n_bytes: int) -> int:
        """Return the samples that are complete in so many bytes."""
        groups, rest = divmod(max(n_bytes, 0), self.ends[-1])
        return groups * len(self.ends) + sum(end <= rest for end in self.ends)


DIFFERENCES = "8"
"""The format whose bytes are first differences of each signal."""

FORMATS: dict[str, Format] = {
    DIFFERENCES: Format(ends=(1,), invalid=None, decode=_numbers("i1")),
    "16": Format(ends=(2,), invalid=-(2**15), decode=_numbers("<i2")),
    "24": Format(ends=(3,), invalid=-(2**23), decode=_three_bytes),
    "32": Format(ends=(4,), invalid=-(2**31), decode=_numbers("<i4")),
    "61": Format(ends=(2,), invalid=-(2**15), decode=_numbers(">i2")),
    "80": Format(ends=(1,), invalid=-(2**7), decode=_numbers("u1", 2**7)),
    "160": Format(ends=(2,), invalid=-(2**15), decode=_numbers("<u2", 2**15)),
    "212": Format(ends=(2, 3), invalid=-(2**11), decode=_two_in_three_bytes),
    "310": Format(ends=(2, 4, 4), invalid=-(2**9), decode=_three_in_two_words),
    "311": Format(ends=(2, 3, 4), invalid=-(2**9), decode=_three_in_one_word),
    "508": Format(invalid=-(2**7)),
    "516": Format(invalid=-(2**15)),
    "524": Format(invalid=-(2**23)),
}

FLAC = frozenset(name for name, form in FORMATS.items() if form.decode is None)


def decode_file(form: Format, file: Path, byte_offset: int, n_samples: int) -> np.ndarray:
    """Return integers `[n_samples]`; in difference formats the differences.

    Args:
        form: not FLAC.
        file: holds so many samples.
        byte_offset: where they begin.
        n_samples: of all signals together.
    """
    assert form.decode is not None
    n_bytes = form.n_bytes(n_samples)
    raw = np.fromfile(file, dtype=np.uint8, count=n_bytes, offset=byte_offset)
    filled = form.n_bytes_padded(n_samples) - len(raw)
    if filled:
        raw = np.concatenate([raw, np.zeros(filled, np.uint8)])
    return form.decode(raw)[:n_samples]


def flac_samples(file: Path) -> int | None:
    """Return the samples of each channel that a FLAC file states; None where it states none.

    Raises:
        RecordingError: It is no FLAC file.
    """
    with file.open("rb") as content:
        start = content.read(26)
    if len(start) < 26 or start[:4] != b"fLaC":
        raise RecordingError(
            f"{file} is not a FLAC file, although its format says so", "unreadable"
        )
    # RFC 9639, 8.2: rate, channels, bits and, in the last 36 of 64 bits, the samples.
    return int.from_bytes(start[18:26], "big") & (1 << 36) - 1 or None


def decode_flac(
    file: Path, form: str, sample_offset: int, samples_per_frame: Sequence[int], n_frames: int
) -> list[np.ndarray]:
    """Return each signal of a FLAC file, integers `[n_frames * samples_per_frame]`."""
    with scratch_folder("mvkt-flac-") as folder:
        (folder / "signals.flac").symlink_to(file.absolute())
        lines = [f"record {len(samples_per_frame)} 1 {n_frames}"]
        lines += [f"signals.flac {form}x{n}+{sample_offset}" for n in samples_per_frame]
        (folder / "record.hea").write_text("\n".join(lines) + "\n", encoding="ascii")
        record: Any = wfdb.rdrecord(f"{folder}/record", physical=False, smooth_frames=False)
    return list(record.e_d_signal)
