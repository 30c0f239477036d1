"""A damaged MATLAB file is refused before scipy reads it, which would end the process."""

import io

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.data.sources.mat_elements import expect_sound_elements


def written(*, compressed: bool) -> bytes:
    stream = io.BytesIO()
    values = {"sex": "Male", "age": 51.0, "data": np.arange(24.0).reshape(12, 2)}
    scipy.io.savemat(stream, {"ECG": values}, do_compression=compressed)
    return stream.getvalue()


WHOLE = written(compressed=False)
NUMBERS = WHOLE.index(np.arange(24.0).reshape(12, 2).T.tobytes()) - 8
"""Where the element of the samples begins: its type, then its bytes."""


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_as_it_was_written_is_sound(*, compressed: bool) -> None:
    expect_sound_elements(written(compressed=compressed))


@pytest.mark.parametrize("kind", [0, 8, 10, 11, 19, 20, 99, 65535])
def test_a_type_that_there_is_not_is_refused(kind: int) -> None:
    damaged = WHOLE[:NUMBERS] + kind.to_bytes(4, "little") + WHOLE[NUMBERS + 4 :]
    with pytest.raises(ValueError, match=f"the unknown type {kind}"):
        expect_sound_elements(damaged)


def test_bytes_that_are_claimed_and_not_there_are_refused() -> None:
    claimed = (4_000_000_000).to_bytes(4, "little")
    damaged = WHOLE[: NUMBERS + 4] + claimed + WHOLE[NUMBERS + 8 :]
    with pytest.raises(ValueError, match="states 4,000,000,000 bytes, but 192 follow"):
        expect_sound_elements(damaged)


@given(st.integers(129, len(WHOLE) - 1))
def test_a_file_that_lost_its_end_is_refused(n_bytes: int) -> None:
    with pytest.raises(ValueError, match=r"states|in the middle"):
        expect_sound_elements(WHOLE[:n_bytes])
