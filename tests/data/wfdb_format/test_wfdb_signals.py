"""Signal files of WFDB records: rates, skew, several files, units, checksums, lengths."""

from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.errors import RecordingError
from tests.wfdb_oracle import Record, Signal


def wave(n: int, rate_hz: float = 500.0, phase: float = 0.0) -> list[int]:
    """A sine of 7 Hz, 1 mV at 1000 units per mV."""
    return np.rint(1000 * np.sin(14 * np.pi * np.arange(n) / rate_hz + phase)).astype(int).tolist()


def refusal(path: Path, reason: str) -> str:
    with pytest.raises(RecordingError) as caught:
        read_wfdb(str(path))
    assert caught.value.reason == reason
    return str(caught.value)


def test_samples_per_frame_multiply_the_rate(tmp_path: Path) -> None:
    signals = [
        Signal(name=name, digital=wave(2000, phase=k), modifiers="x500")
        for k, name in enumerate(("I", "II"))
    ]
    record = Record(signals=signals, record_line="r 2 1 4", samples_per_frame=500)
    signal = read_wfdb(str(record.write(tmp_path)))
    assert signal.sampling_rate_hz == 500
    wanted = np.array([each.digital for each in signals]) / 1000
    np.testing.assert_array_equal(signal.signal_mv, wanted.astype(np.float32))


def test_leads_of_lower_rate_are_brought_to_the_highest(tmp_path: Path) -> None:
    fast, slow, other = wave(2000), wave(1000, 250), [0] * 500
    frames = zip(*(np.reshape(each, (500, -1)) for each in (slow, fast, other)), strict=True)
    content = np.concatenate([value for frame in frames for value in frame])
    (tmp_path / "r.dat").write_bytes(content.astype("<i2").tobytes())
    lines = ["r 3 125 500", "r.dat 16x2 1000 16 0 0 0 0 V1", "r.dat 16x4 1000 16 0 0 0 0 I"]
    (tmp_path / "r.hea").write_text("\n".join([*lines, "r.dat 16 1000 16 0 0 0 0 RESP"]))
    signal = read_wfdb(str(tmp_path / "r"))
    assert (signal.sampling_rate_hz, signal.leads) == (500, ("I", "V1"))
    np.testing.assert_array_equal(signal.signal_mv[0], np.array(fast, dtype=np.float32) / 1000)
    inside = slice(250, -250)
    np.testing.assert_allclose(signal.signal_mv[1, inside], np.array(fast)[inside] / 1e3, atol=2e-3)


def test_skew_shifts_leads_and_cuts_all_to_the_time_they_share(tmp_path: Path) -> None:
    truth = np.array(wave(103))
    late = [700] * 3 + truth[:100].tolist()
    record = Record(
        signals=[
            Signal(name="I", digital=truth.tolist()),
            Signal(name="V6", digital=late, modifiers=":3"),
            Signal(name="RESP", digital=[1] * 103, modifiers=":50"),
        ],
        record_line="r 3 500 103",
    )
    signal = read_wfdb(str(record.write(tmp_path)))
    wanted = (np.array([truth[:100], truth[:100]]) / 1000).astype(np.float32)
    np.testing.assert_array_equal(signal.signal_mv, wanted)


def test_skew_counts_frames_and_cannot_exceed_the_record(tmp_path: Path) -> None:
    record = Record(
        signals=[Signal(name="I", digital=wave(40), modifiers="x4:2")],
        record_line="r 1 125 10",
        samples_per_frame=4,
    )
    found = read_wfdb(str(record.write(tmp_path))).signal_mv
    np.testing.assert_array_equal(found, np.array([wave(40)[8:]], dtype=np.float32) / 1000)
    record.signals[0].modifiers = "x4:10"
    assert "skew of 10" in refusal(record.write(tmp_path), "header_mismatch")


@pytest.mark.parametrize("unit", ["V", "v", "volts"])
@pytest.mark.parametrize("comment", ["#", "#M\xfcller", "#\u60a3\u8005"])
def test_volts_are_volts_whatever_the_comments_are_written_in(
    tmp_path: Path, unit: str, comment: str
) -> None:
    record = Record(
        signals=[Signal(name="I", digital=wave(50), gain=f"1000000(0)/{unit}")],
        record_line="r 1 500 50",
        comments=[comment],
    )
    found = read_wfdb(str(record.write(tmp_path))).signal_mv
    np.testing.assert_allclose(found, np.array([wave(50)]) / 1000, rtol=1e-6)


@pytest.mark.parametrize("unit", [b"\xb5V", "\xb5V".encode(), "\u03bcV".encode(), b"uV", b"UV"])
def test_microvolts_are_microvolts_in_every_encoding(tmp_path: Path, unit: bytes) -> None:
    record = Record(
        signals=[Signal(name="I", digital=wave(50), gain="1/UNIT")], record_line="r 1 500 50"
    )
    content = record.header().encode().replace(b"UNIT", unit)
    found = read_wfdb(str(record.write(tmp_path, header=content))).signal_mv
    np.testing.assert_allclose(found, np.array([wave(50)]) / 1000, rtol=1e-6)


@pytest.mark.parametrize("gain", ["0", "0(9)/mV", "-0.0"])
def test_a_gain_of_0_and_a_rate_that_is_absent_are_told(tmp_path: Path, gain: str) -> None:
    record = Record(
        signals=[
            Signal(name="II", digital=wave(50)),
            Signal(name="I", digital=wave(50), gain=gain),
            Signal(name="RESP", digital=wave(50), gain="0"),
        ],
        record_line="r 3",
    )
    signal = read_wfdb(str(record.write(tmp_path)))
    assert signal.rate_is_assumed
    assert signal.sampling_rate_hz == 250
    assert signal.uncalibrated_leads == ("I",)
    baseline = 9 if "9" in gain else 0
    wanted = ((np.array(wave(50)) - baseline) / 200).astype(np.float32)
    np.testing.assert_array_equal(signal.signal_mv[0], wanted)


@pytest.mark.parametrize("stated", ["signed", "unsigned", "zero"])
def test_checksums_agree_signed_or_not_and_0_may_stand_for_none(
    tmp_path: Path, stated: str
) -> None:
    signals = [
        Signal(name="I", digital=[-9, -9, 5], checksum=stated),
        Signal(name="II", digital=[30_000, 30_000, -7], checksum=stated),
    ]
    read_wfdb(str(Record(signals=signals, record_line="r 2 500 3").write(tmp_path)))


@pytest.mark.parametrize("length", ["", " 0", " 50"])
@pytest.mark.parametrize("name", ["V1", "RESP"])
def test_a_checksum_that_disagrees_is_told_with_lead_and_both_numbers(
    tmp_path: Path, length: str, name: str
) -> None:
    signals = [
        Signal(name="I", digital=wave(50)),
        Signal(name=name, digital=wave(50, phase=1), checksum="wrong"),
    ]
    path = Record(signals=signals, record_line=f"r 2 500{length}").write(tmp_path)
    total = sum(signals[1].digital) % 65536
    message = refusal(path, "checksum")
    assert f": {name} {total + 1} (" in message
    assert "I " not in message.partition("differ from")[2]


def test_a_0_is_a_checksum_where_other_signals_state_one(tmp_path: Path) -> None:
    signals = [
        Signal(name="I", digital=[1, 2, 3]),
        Signal(name="II", digital=[4, 5, 6], checksum="zero"),
    ]
    path = Record(signals=signals, record_line="r 2 500 3").write(tmp_path)
    assert "II 0 (15)" in refusal(path, "checksum")
    signals[1].digital = [-4, 0, 4]
    read_wfdb(str(Record(signals=signals, record_line="r 2 500 3").write(tmp_path)))


@pytest.mark.parametrize("damage", ["swapped", "zeroed", "shifted"])
def test_samples_that_are_another_records_do_not_have_the_checksums(
    tmp_path: Path, damage: str
) -> None:
    signals = [Signal(name=name, digital=wave(50, phase=k)) for k, name in enumerate(("I", "V6"))]
    path = Record(signals=signals, record_line="r 2 500 50").write(tmp_path)
    raw = np.fromfile(tmp_path / "r.dat", dtype="<i2")
    changed = {
        "swapped": raw[::-1],
        "zeroed": np.where(np.arange(len(raw)) < 60, raw, 0),
        "shifted": np.frombuffer(b"\x07" + raw.tobytes()[:-1], dtype="<i2"),
    }[damage]
    changed.astype("<i2").tofile(tmp_path / "r.dat")
    refusal(path, "checksum")


def test_a_file_without_a_lead_says_nothing_about_the_leads(tmp_path: Path) -> None:
    record = Record(
        signals=[
            Signal(name="I", digital=wave(50)),
            Signal(name="RESP", digital=wave(50), file="other.dat", checksum="wrong"),
            Signal(name="V1", digital=wave(50), file="v.dat", fmt=212),
        ],
        record_line="r 3 500 50",
    )
    path = record.write(tmp_path)
    assert read_wfdb(str(path)).leads == ("I", "V1")
    (tmp_path / "other.dat").unlink()
    assert read_wfdb(str(path)).leads == ("I", "V1")
    (tmp_path / "v.dat").unlink()
    assert "v.dat" in refusal(path, "missing_file")


def test_files_of_one_record_have_one_length(tmp_path: Path) -> None:
    record = Record(
        signals=[
            Signal(name="I", digital=wave(50)),
            Signal(name="V1", digital=wave(50), file="v.dat"),
        ],
        record_line="r 2 500",
    )
    path = record.write(tmp_path)
    assert read_wfdb(str(path)).signal_mv.shape == (2, 50)
    (tmp_path / "v.dat").write_bytes((tmp_path / "v.dat").read_bytes()[:-2])
    assert "holds 49 samples of each signal, but r.dat holds 50" in refusal(path, "header_mismatch")
    for name in ("r.dat", "v.dat"):
        (tmp_path / name).write_bytes(b"")
    refusal(path, "truncated")


@pytest.mark.parametrize(
    ("lines", "reason", "words"),
    [
        (["a 16 1", "b 16 1", "a 16 1"], "header_mismatch", "consecutive lines"),
        (["a 16+2 1", "a 16+4 1"], "header_mismatch", "byte offset 2 and 4"),
        (["a 16 1", "./a 212 1"], "header_mismatch", "format 16 and 212"),
        (["a 516 1", "a 516x2 1"], "header_mismatch", "FLAC"),
        (["a 77 1"], "unreadable", "'77'"),
        (["- 16 1"], "missing_file", "no file -"),
        (["~ 0 1", "~ 0 1"], "missing_lead", "none of the twelve leads"),
    ],
)
def test_lines_that_contradict_each_other_are_refused(
    tmp_path: Path, lines: list[str], reason: str, words: str
) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(bytes(60))
    leads = ("I", "II", "III")
    lines = [f"{line} 16 0 0 0 0 {lead}" for line, lead in zip(lines, leads, strict=False)]
    (tmp_path / "r.hea").write_text("\n".join([f"r {len(lines)} 500 10", *lines]))
    assert words in refusal(tmp_path / "r", reason)


def test_a_lead_without_samples_is_missing(tmp_path: Path) -> None:
    path = Record(signals=[Signal(name="I", digital=wave(50))], record_line="r 1 500 50").write(
        tmp_path
    )
    header = path.with_suffix(".hea")
    header.write_text(header.read_text().replace("r 1", "r 2") + "~ 0 200 16 0 0 0 0 V1\n")
    assert read_wfdb(str(path)).leads == ("I",)


def test_names_that_differ_in_case_alone_are_two_records(tmp_path: Path) -> None:
    for name in ("r1", "R1"):
        Record(
            signals=[Signal(name="I", digital=wave(50), file=f"{name}.dat")],
            record_line=f"{name} 1 500 50",
        ).write(tmp_path, name)
    (tmp_path / "R1.dat").unlink()
    assert "R1.dat" in refusal(tmp_path / "R1", "missing_file")
    (tmp_path / "R1.hea").unlink()
    refusal(tmp_path / "R1", "missing_file")


def test_files_in_upper_case_are_found(tmp_path: Path) -> None:
    record = Record(
        signals=[Signal(name="I", digital=wave(50), file="r01.dat")], record_line="r01 1 500 50"
    )
    record.write(tmp_path, "R01")
    (tmp_path / "R01.hea").rename(tmp_path / "R01.HEA")
    (tmp_path / "r01.dat").rename(tmp_path / "R01.DAT")
    assert read_wfdb(str(tmp_path / "R01")).leads == ("I",)
    with pytest.raises(RecordingError, match="no file"):
        read_wfdb(str(tmp_path / "r01"))
    (tmp_path / "R01.hea").write_text("no header")
    refusal(tmp_path / "R01", "unreadable")


@pytest.mark.parametrize("gain", ["1e-300", "1e-36"])
def test_what_a_gain_makes_infinite_is_refused_without_a_warning(tmp_path: Path, gain: str) -> None:
    record = Record(
        signals=[Signal(name="I", digital=wave(50), gain=gain + "/V")], record_line="r 1 500 50"
    )
    path = record.write(tmp_path)
    refusal(path, "nan")
