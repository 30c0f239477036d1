"""Sealed files: read as they were written, or refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.storage.sealed import sealed_json, sealed_text, unsealed_json, unsealed_text

NAMES = st.text(max_size=5).filter(lambda name: name != "sha256")
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.dictionaries(NAMES, st.none() | st.booleans() | NUMBERS | st.text())


@given(PLAIN)
def test_property_what_was_written_is_read(value: dict[str, object]) -> None:
    assert unsealed_json(sealed_json(value)) == value


@given(st.floats(0, 1), st.integers(0), st.integers(0, 7))
def test_property_a_flipped_bit_is_refused_or_means_the_same(
    score: float, place: int, bit: int
) -> None:
    value = {"macro_auroc": score, "state": "complete"}
    content = bytearray(sealed_json(value))
    content[place % len(content)] ^= 1 << bit
    try:
        assert unsealed_json(bytes(content)) == value
    except (ValueError, KeyError, AttributeError):
        return


@given(st.text(), st.integers(0), st.integers(0, 7))
def test_property_a_sealed_text_is_read_whole_or_not(text: str, place: int, bit: int) -> None:
    content = bytearray(sealed_text(text))
    assert unsealed_text(bytes(content)) == text
    content[place % len(content)] ^= 1 << bit
    with pytest.raises(ValueError, match="does not match the hash"):
        unsealed_text(bytes(content))


def test_people_can_read_it() -> None:
    assert json.loads(sealed_json({"a": (1, 2)}))["a"] == [1, 2]
    assert sealed_text("a: 1\n").decode().splitlines()[1:] == ["a: 1"]
