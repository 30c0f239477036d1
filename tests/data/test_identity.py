"""What a person would call one patient, code or recording has one key, however it is written."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.data.folds import (
    hash_ids,
    hash_patients,
    make_folds,
    one_hash_each,
    patients_in_several_folds,
)
from mvkt_ray.data.identity import (
    Patients,
    code_key,
    names_nobody,
    patient_key,
    record_key,
    spellings,
)

NUMBERS = st.integers(0, 10**12)


def ways_to_write(number: int) -> list[str]:
    return [
        str(number), f"{number}.0", f"{number}.", f"{number}.00", f" {number} ", f"\u00a0{number}",
        f"{number:05d}", f"{number}\ufeff", f"+{number}",
        str(number).translate({ord(str(n)): 0xFF10 + n for n in range(10)}),
    ]  # fmt: skip


@given(NUMBERS)
def test_property_a_patients_number_has_one_key_in_whatever_way_it_is_written(number: int) -> None:
    assert {patient_key(text) for text in ways_to_write(number)} == {str(number)}


@given(st.sampled_from(["p", "pat", "PATIENT"]), NUMBERS)
def test_property_neither_case_nor_blanks_tell_patients_apart(word: str, number: int) -> None:
    names = (word, word.upper(), f"{word} ", f"{word}00")
    assert len({patient_key(f"{name}{number}") for name in names}) == 1


@given(NUMBERS, NUMBERS)
def test_property_two_numbers_are_two_patients(one: int, two: int) -> None:
    assert (patient_key(f"{one}.0") == patient_key(str(two))) == (one == two)


@settings(max_examples=200)
@given(st.text(max_size=8))
def test_property_a_key_is_its_own_key(text: str) -> None:
    for key in (patient_key, code_key):
        assert key(key(text)) == key(text)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)), min_size=1),
    st.integers(3, 6),
)
def test_property_no_patient_is_in_two_folds_however_it_is_spelled(
    recordings: list[tuple[int, int, int]], n_folds: int
) -> None:
    ids = pa.array([ways_to_write(patient)[way] for patient, way, _ in recordings])
    patients = one_hash_each(hash_ids(ids), hash_patients(ids))
    strata = np.array([stratum for _, _, stratum in recordings])
    folds = make_folds(patients, strata, n_folds, seed=0)
    numbers = np.array([patient for patient, _, _ in recordings]).astype(np.uint64)
    assert not len(patients_in_several_folds(numbers, folds))
    found = Patients.of(pa.chunked_array([ids[:2], ids[2:]]))
    unified = found.ids(np.arange(len(ids)))
    assert len(set(unified)) == len(set(numbers))
    # Each is written as the first, by the alphabet, of its own spellings.
    for patient in set(numbers):
        own = [name.as_py() for name, number in zip(ids, numbers, strict=True) if number == patient]
        assert set(unified[numbers == patient]) == {min(own)}


def test_patients_who_are_written_in_one_way_keep_their_hash() -> None:
    ids = pa.array(["15709", "A0001", "patient7", "A0002", "15709"])
    np.testing.assert_array_equal(one_hash_each(hash_ids(ids), hash_patients(ids)), hash_ids(ids))


@pytest.mark.parametrize("word", ["", " ", "nan", "NaN", "None", "NULL", "n/a", "<NA>", "-", "?"])
def test_a_word_for_not_known_is_no_patient(word: str) -> None:
    assert names_nobody(word)


@pytest.mark.parametrize("word", ["0", "Nancy", "p-1", "anna"])
def test_other_words_are_patients(word: str) -> None:
    assert not names_nobody(word)


@pytest.mark.parametrize(
    "text",
    ["a/r1", "./a/r1", "a//r1", "a/r1.hea", "a/r1.DAT", "a/r1.mat", " a/r1 ", "a/b/../r1", r"a\r1"],
)
def test_a_record_has_one_key_in_whatever_way_its_path_is_written(text: str) -> None:
    assert record_key(text) == "a/r1"


def test_records_of_other_names_are_others() -> None:
    names = ["r1", "R1", "r01", "1", "01", "a.b", "a", ".hea", "r1_0001"]
    assert len({record_key(name) for name in names}) == len(names)
    assert record_key("1.0") == "1"


def test_codes_differ_neither_by_case_nor_by_the_zero_of_a_spreadsheet() -> None:
    assert spellings(["NORM", "Norm", "MI", "426783006", "426783006.0", "1AVB"], code_key) == [
        ("426783006", "426783006.0"), ("NORM", "Norm"),
    ]  # fmt: skip
