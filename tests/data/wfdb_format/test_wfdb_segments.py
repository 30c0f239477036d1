"""WFDB records of several segments: both layouts, gaps, and headers that contradict each other."""

from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.errors import RecordingError
from tests.wfdb_oracle import Record, Signal

LAYOUT = "layout 2 500 0\n~ 0 200 16 0 0 0 0 V1\n~ 0 200 16 0 0 0 0 I\n"


def ramp(begin: int, n: int = 20) -> list[int]:
    return list(range(begin, begin + n))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two segments of 20 samples that go on from each other, in other order, gain and format."""
    Record(
        signals=[
            Signal(name="I", digital=ramp(0), file="a.dat"),
            Signal(name="V1", digital=ramp(100), file="a.dat"),
        ],
        record_line="a 2 500 20",
    ).write(tmp_path, "a")
    Record(
        signals=[
            Signal(name="V1", digital=[n * 2 for n in ramp(120)], file="b.dat", gain="2/uV"),
            Signal(name="I", digital=ramp(27), file="b2.dat", fmt=212, gain="1000(7)/mV"),
        ],
        record_line="b 2 500 20",
    ).write(tmp_path, "b")
    (tmp_path / "layout.hea").write_text(LAYOUT)
    return tmp_path


def joined(folder: Path, text: str) -> np.ndarray:
    (folder / "m.hea").write_text(text)
    signal = read_wfdb(str(folder / "m"))
    assert signal.leads == ("I", "V1")
    return signal.signal_mv


def refusal(folder: Path, text: str, reason: str) -> str:
    (folder / "m.hea").write_text(text)
    with pytest.raises(RecordingError) as caught:
        read_wfdb(str(folder / "m"))
    assert caught.value.reason == reason
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "m/2 2 500 40\na 20\nb 20\n",
        "m/2 2 500\na 20\nb 20\n# Age: 51\n",
        "m/3 2 500 40 10:00:00 2006\nlayout 0\na 20\nb 20\n",
    ],
)
def test_leads_are_joined_by_name_each_in_the_units_of_its_segment(folder: Path, text: str) -> None:
    wanted = np.array([ramp(0, 40), ramp(100, 40)]) / 1000
    np.testing.assert_allclose(joined(folder, text), wanted, atol=1e-6)


def test_a_segment_may_come_twice(folder: Path) -> None:
    found = joined(folder, "m/2 2 500 40\na 20\na 20\n")
    np.testing.assert_array_equal(found[:, :20], found[:, 20:])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("m/3 2 500 50\na 20\n~ 10\nb 20\n", "a gap of 10 samples"),
        ("m/3 2 500 50\nlayout 0\na 20\n~ 30\n", "a gap of 30 samples"),
        ("m/3 2 500 40\nlayout 0\na 20\nonly_v1 20\n", "I have no samples"),
    ],
)
def test_samples_that_are_missing_in_between_are_told(folder: Path, text: str, words: str) -> None:
    Record(
        signals=[Signal(name="V1", digital=ramp(0), file="v.dat")], record_line="v 1 500 20"
    ).write(folder, "only_v1")
    assert words in refusal(folder, text, "nan")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("m/2 2 500 41\na 20\nb 20\n", "41 samples"),
        ("m/2 2 500 41\na 20\nb 21\n", "has 20 samples, and 21"),
        ("m/3 2 500 40\na 20\nlayout 0\nb 20\n", "states 0 samples"),
        ("m/1 2 500\nlayout 0\n", "0 in all"),
        ("m/2 2 250 40\na 20\nb 20\n", "has 500 Hz, the record 250 Hz"),
        ("m/2 2 40\na 20\nb 20\n", "the record 40 Hz"),
        ("m/2 3 500 40\na 20\nb 20\n", "states 3 signals"),
        ("m/2 2 500 40\na 20\nm 20\n", "joins segments"),
        ("m/2 2 500 40\na 20\nother 20\n", "states 2 signals"),
        ("m/3 2 500 40\nlayout 0\na 20\nother 20\n", "states 2 signals"),
        ("m/2 2 500 40\na 20\nshifted 20\n", "skew frames 0 and 3"),
    ],
)
def test_headers_that_contradict_each_other_are_refused(
    folder: Path, text: str, words: str
) -> None:
    for name, third, skew in (("other", "V2", ""), ("shifted", "V1", ":3")):
        Record(
            signals=[
                Signal(name="I", digital=ramp(0), file=f"{name}.dat", modifiers=skew),
                Signal(name=third, digital=ramp(0), file=f"{name}.dat"),
                *[Signal(name="V1", digital=ramp(0), file=f"{name}.dat")] * (name == "other"),
            ],
            record_line=f"{name} {2 + (name == 'other')} 500 20",
        ).write(folder, name)
    assert words in refusal(folder, text, "header_mismatch")


def test_what_is_wrong_with_a_segment_is_wrong_with_the_record(folder: Path) -> None:
    text = "m/2 2 500 40\na 20\nb 20\n"
    (folder / "b.dat").write_bytes(bytes(40))
    assert "b.hea" in refusal(folder, text, "checksum")
    (folder / "b.dat").write_bytes(bytes(38))
    refusal(folder, text, "truncated")
    (folder / "b.hea").unlink()
    assert "b.hea" in refusal(folder, text, "missing_file")


def test_one_skew_in_all_segments_shifts_the_joined_lead(tmp_path: Path) -> None:
    whole = ramp(0, 40)
    for name, part in (("a", whole[:20]), ("b", whole[20:])):
        Record(
            signals=[
                Signal(name="I", digital=part, file=f"{name}.dat"),
                Signal(name="V1", digital=part, file=f"{name}.dat", modifiers=":3"),
            ],
            record_line=f"{name} 2 500 20",
        ).write(tmp_path, name)
    found = joined(tmp_path, "m/2 2 500 40\na 20\nb 20\n")
    wanted = np.array([whole[:37], whole[3:]]) / 1000
    np.testing.assert_array_equal(found, wanted.astype(np.float32))


def test_a_layout_alone_has_no_samples(folder: Path) -> None:
    with pytest.raises(RecordingError) as caught:
        read_wfdb(str(folder / "layout"))
    assert caught.value.reason == "missing_lead"
