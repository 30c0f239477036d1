from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mvkt_ray.data.sources.hospital.signal_tables import read_array, read_table
from mvkt_ray.errors import RecordingError
from mvkt_ray.storage.location import Location

SAMPLES = arrays(np.float32, st.integers(1, 40), elements=st.floats(-30, 30, width=32))


def at(path: Path) -> Location:
    return Location.parse(path)


@given(samples=SAMPLES)
def test_a_column_without_a_name_is_the_one_lead(
    tmp_path_factory: pytest.TempPathFactory, samples: np.ndarray
) -> None:
    path = tmp_path_factory.getbasetemp() / "one.csv"
    np.savetxt(path, samples, fmt="%.9g")
    np.testing.assert_array_equal(read_table(at(path), ["V5"]), samples[None])


def test_leads_are_found_by_name_in_the_order_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "ecg.csv"
    path.write_bytes("\ufefftime, avf ,V5,note\n0,1.5,-2,3\n1,0.25,1e-3,4\n".encode())
    found = read_table(at(path), ["V5", "aVF"])
    np.testing.assert_array_equal(found, np.array([[-2, 0.001], [1.5, 0.25]], np.float32))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_may_end_as_on_any_system(tmp_path: Path, end: str) -> None:
    path = tmp_path / "ecg.csv"
    path.write_bytes(end.join(["V5,V6", "1,2", "3,4", ""]).encode())
    np.testing.assert_array_equal(read_table(at(path), ["V5"]), np.array([[1, 3]], np.float32))
    np.testing.assert_array_equal(read_table(at(path), ["V6"]), np.array([[2, 4]], np.float32))


@pytest.mark.parametrize(
    ("text", "reason", "part"),
    [
        ("", "unreadable", "first line is empty"),
        ("V5;V6\n1;2\n", "unreadable", "separated by ';'"),
        ("V5,v5\n1,2\n", "unreadable", "names lead V5 twice"),
        ("I,II\n1,2\n", "missing_lead", "has no lead V5: it names I and II"),
        ("a,b\n1,2\n", "missing_lead", "its first line is 'a,b'"),
        ("1,2\n3,4\n", "missing_lead", "2 columns without names"),
        ("V5\n1\nx\n", "unreadable", "a cell is not a number"),
        ("V5\n", "empty", "has no samples"),
        ("I,V5\n\n", "empty", "has no samples"),
        ("I,V5\n1,2\n3\n", "unreadable", "a line is too short"),
        ("V5\n1\n\xff", "unreadable", "UTF-8"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, text: str, reason: str, part: str) -> None:
    path = tmp_path / "ecg.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecordingError, match=part) as raised:
        read_table(at(path), ["V5"])
    assert raised.value.reason == reason


def test_a_table_of_two_leads_must_name_them(tmp_path: Path) -> None:
    path = tmp_path / "ecg.csv"
    path.write_text("1\n2\n")
    with pytest.raises(RecordingError, match="1 columns without names"):
        read_table(at(path), ["I", "V5"])


@given(samples=SAMPLES)
def test_an_array_is_the_leads_of_the_model(
    tmp_path_factory: pytest.TempPathFactory, samples: np.ndarray
) -> None:
    path = tmp_path_factory.getbasetemp() / "one.npy"
    for shaped in (samples, samples[None], samples.astype(np.float64)):
        np.save(path, shaped)
        np.testing.assert_array_equal(read_array(at(path), ["V5"]), samples[None])
    np.save(path, np.stack([samples, -samples]))
    np.testing.assert_array_equal(read_array(at(path), ["I", "V5"])[1], -samples)


@pytest.mark.parametrize(
    ("array", "n_leads", "part"),
    [
        (np.zeros((500, 1)), 1, "500 x 1, but must be 1 x samples for the model's V5, or one row"),
        (np.zeros(500), 2, "500, but must be 2 x samples for the model's I and V5;"),
        (np.zeros((12, 500)), 1, "12 x 500"),
        (np.zeros((1, 1, 5)), 1, "1 x 1 x 5"),
        (np.float64(1.0), 1, "a single number"),
        (np.zeros(500, np.int16), 1, "holds int16, but must hold millivolts"),
        (np.zeros(500, complex), 1, "holds complex128"),
        (np.array([{}]), 1, "not an array written by numpy.save"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: Any, n_leads: int, part: str) -> None:
    path = tmp_path / "ecg.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(RecordingError, match=part):
        read_array(at(path), ["I", "V5"][-n_leads:])


def test_a_file_that_is_no_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ecg.npy"
    for content in (b"", b"text", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="not an array"):
            read_array(at(path), ["V5"])


def test_what_is_too_large_for_32_bits_is_infinite(tmp_path: Path) -> None:
    (tmp_path / "ecg.csv").write_text("V5\n1e99\n1\n")
    np.save(tmp_path / "ecg.npy", np.array([1e99, 1.0]))
    for found in (
        read_table(at(tmp_path / "ecg.csv"), ["V5"]),
        read_array(at(tmp_path / "ecg.npy"), ["V5"]),
    ):
        np.testing.assert_array_equal(found, np.array([[np.inf, 1]], np.float32))


BEGINNINGS = (b"", b"V5\n", b"0.5\n", b"V5,V6\r\n")


def outcome(read: Callable[..., np.ndarray], path: Path) -> str:
    """Return why a file is refused; empty where it is one lead."""
    try:
        found = read(at(path), ["V5"])
    except RecordingError as error:
        return error.reason
    assert (found.shape[0], found.dtype) == (1, np.float32)
    return ""


@given(content=st.binary(max_size=60), begin=st.sampled_from(BEGINNINGS))
def test_any_bytes_are_a_table_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, begin: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(begin + content)
    assert outcome(read_table, path) in ("", "unreadable", "missing_lead", "empty")


@given(content=st.binary(max_size=200), place=st.integers(0, 200))
def test_any_bytes_are_an_array_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.npy"
    np.save(path, np.zeros(9, np.float32))
    path.write_bytes(path.read_bytes()[:place] + content)
    assert outcome(read_array, path) in ("", "unreadable", "wrong_shape")
