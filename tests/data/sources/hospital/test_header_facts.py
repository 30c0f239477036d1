from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.data.identity import header_patient, is_header_patient, patient_key
from mvkt_ray.data.sources.hospital.header_facts import facts_of


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("051Y", 51), ("51", 51), ("51 YEARS", 51), ("006M", 0.5), ("014D", 14 / 365.25),
        ("93Y", 90), ("089Y", 89), ("999Y", None), ("-4", None), ("", None), ("old", None),
        ("51Q", None),
    ],
)  # fmt: skip
def test_ages_are_in_years_and_nobody_is_over_90(text: str, age: float | None) -> None:
    assert facts_of(age=text).age == (None if age is None else pytest.approx(age))


@pytest.mark.parametrize(
    ("born", "recorded", "age"),
    [
        ("19440229", "20190228", 74), ("19440229", "20190301120000", 75),
        ("02-29-1944", "07-01-2019", 75), (date(1944, 2, 29), "2019-07-01", 75),
        ("18000101", "20190101", None), ("20200101", "20190101", None), ("", "20190101", None),
        ("19449999", "20190101", None), ("1.1.1944", "20190101", None),
    ],
)  # fmt: skip
def test_an_age_follows_from_two_dates(born: str | date, recorded: str, age: float | None) -> None:
    assert facts_of(born=born, recorded=recorded).age == age


@pytest.mark.parametrize(
    ("text", "sex"),
    [("F", "female"), ("MALE", "male"), ("248152002", "female"), ("UN", None), ("", None)],
)
def test_the_sex_is_a_word_a_letter_or_a_code(text: str, sex: str | None) -> None:
    assert facts_of(sex=text).sex == sex


@pytest.mark.parametrize("nobody", ["", " ", "0000", "XXXX", "Anonymous", "ANON", "n/a", "X X"])
def test_what_stands_for_no_patient_is_none(nobody: str) -> None:
    assert facts_of(patient_id=nobody).patient is None


@settings(max_examples=50)
@given(one=st.text(min_size=1, max_size=8), other=st.text(min_size=1, max_size=8))
def test_a_patient_of_headers_is_the_same_for_all_spellings_and_nothing_of_the_id(
    one: str, other: str
) -> None:
    first, second = header_patient(one), header_patient(other)
    if first is None or second is None:
        return
    assert is_header_patient(first)
    assert (first == second) == (patient_key(one) == patient_key(other))
    assert header_patient("0012") == header_patient(" 12.0 ") != header_patient("13")
