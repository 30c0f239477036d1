"""Formats of signal files: our samples beside those of wfdb, and of an oracle of our own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.data.wfdb_format.wfdb_formats import FLAC, FORMATS, decode_file, wfdb
from mvkt_ray.errors import RecordingError
from tests.wfdb_oracle import encode_212

PACKED = sorted(name for name, form in FORMATS.items() if len(form.ends) > 1)
BITS = {"80": 8, "212": 12, "24": 24, "32": 32, "508": 8, "524": 24}
"""Significant bits of a sample, where they are not 16."""


def write(folder: Path, fmt: str, n_samples: int, n_leads: int = 2) -> np.ndarray:
    """Write random samples with wfdb; return them as `[n_leads, n_samples]`."""
    high = 2 ** (BITS.get(fmt, 16) - 1) - 1
    digital = np.random.default_rng(n_samples).integers(-high, high, (n_samples, n_leads))
    wfdb.wrsamp(
        "r",
        fs=500,
        units=["mV"] * n_leads,
        sig_name=["I", "II", "V1"][:n_leads],
        d_signal=digital,
        fmt=[fmt] * n_leads,
        adc_gain=[1000.0] * n_leads,
        baseline=[0] * n_leads,
        write_dir=str(folder),
    )
    return digital.T


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212", *sorted(FLAC)])
@pytest.mark.parametrize("n_samples", [6, 7])
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_what_wfdb_writes_gives_the_samples_that_it_was_given(
    tmp_path: Path, fmt: str, n_samples: int
) -> None:
    digital = write(tmp_path, fmt, n_samples)
    found = read_wfdb(str(tmp_path / "r")).signal_mv
    np.testing.assert_array_equal(found, (digital / 1000).astype(np.float32))


@pytest.mark.parametrize("fmt", sorted(set(FORMATS) - FLAC))
@pytest.mark.parametrize("n_samples", [5, 6, 7])
def test_any_bytes_are_the_samples_that_wfdb_finds(
    tmp_path: Path, fmt: str, n_samples: int
) -> None:
    form = FORMATS[fmt]
    content = np.random.default_rng(3).integers(0, 256, 4 + form.n_bytes_padded(3 * n_samples))
    if fmt == "311":
        # wfdb takes one of the two unused bits for part of a sample.
        content[4 + 3 :: 4] &= 0x3F
    (tmp_path / "r.dat").write_bytes(content.astype(np.uint8).tobytes())
    lines = [f"r 3 500 {n_samples}", *(f"r.dat {fmt}+4 1000 16 0 {n} 0 0 I{n}" for n in (1, 2, 3))]
    (tmp_path / "r.hea").write_text("\n".join(lines) + "\n")
    record: Any = wfdb.rdrecord(str(tmp_path / "r"), physical=False)
    found = decode_file(form, tmp_path / "r.dat", 4, 3 * n_samples).reshape(-1, 3)
    if fmt == "8":
        found = np.cumsum(found, axis=0) + np.array([1, 2, 3])
    np.testing.assert_array_equal(found, record.d_signal)


def test_format_212_is_what_the_oracle_packs(tmp_path: Path) -> None:
    values = [-2048, 2047, 0, -1, 1, 1023, -1024]
    for n in range(1, len(values) + 1):
        (tmp_path / "r.dat").write_bytes(encode_212(values[:n]))
        assert decode_file(FORMATS["212"], tmp_path / "r.dat", 0, n).tolist() == values[:n]
        assert FORMATS["212"].n_bytes(n) == len(encode_212(values[:n]))


@pytest.mark.parametrize("fmt", PACKED)
@pytest.mark.parametrize("n_leads", [1, 2, 3])
def test_packed_samples_may_be_filled_up_to_a_whole_group_and_no_further(
    tmp_path: Path, fmt: str, n_leads: int
) -> None:
    form = FORMATS[fmt]
    for n_samples in range(4, 10):
        least = form.n_bytes(n_samples * n_leads)
        most = form.n_bytes_padded(n_samples * n_leads)
        lines = [f"r {n_leads} 500 {n_samples}"]
        lines += [f"r.dat {fmt} 1000" + " 0" * 5 + f" {lead}" for lead in ("I", "II", "V1")]
        (tmp_path / "r.hea").write_text("\n".join(lines[: n_leads + 1]) + "\n")
        for n_bytes in range(least, most + 1):
            (tmp_path / "r.dat").write_bytes(b"\x01" * n_bytes)
            assert read_wfdb(str(tmp_path / "r")).signal_mv.shape == (n_leads, n_samples)
        for n_bytes, reason in ((least - 1, "truncated"), (2 * most, "header_mismatch")):
            (tmp_path / "r.dat").write_bytes(b"\x01" * n_bytes)
            assert reason_of(tmp_path / "r") == reason


def reason_of(path: Path) -> str:
    with pytest.raises(RecordingError) as caught:
        read_wfdb(str(path))
    return caught.value.reason


@pytest.mark.parametrize(("block", "reason"), [(512, None), (0, "header_mismatch")])
def test_a_file_may_be_filled_up_to_its_block_size(
    tmp_path: Path, block: int, reason: str | None
) -> None:
    (tmp_path / "r.dat").write_bytes(np.arange(256, dtype="<i2").tobytes())
    (tmp_path / "r.hea").write_text(f"r 1 500 200\nr.dat 16 1000 16 0 0 0 {block} I\n")
    if reason is not None:
        assert reason_of(tmp_path / "r") == reason
    else:
        wanted = np.arange(200, dtype=np.float32)[None] / 1000
        np.testing.assert_allclose(read_wfdb(str(tmp_path / "r")).signal_mv, wanted)


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_flac_files_tell_their_length_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    digital = write(tmp_path, "516", 500)
    header, signal_file = tmp_path / "r.hea", tmp_path / "r.dat"
    text, content = header.read_text(), signal_file.read_bytes()
    header.write_text(text.replace(" 500 500", " 500"))
    found = read_wfdb(str(tmp_path / "r")).signal_mv
    np.testing.assert_array_equal(found, (digital / 1000).astype(np.float32))
    for length, reason in (("499", "header_mismatch"), ("501", "truncated")):
        header.write_text(text.replace(" 500 500", f" 500 {length}"))
        assert reason_of(tmp_path / "r") == reason
    header.write_text(text)
    for damaged in (content[:900], b"fLaC", b"", np.arange(1000, dtype="<i2").tobytes()):
        signal_file.write_bytes(damaged)
        assert reason_of(tmp_path / "r") == "unreadable"
