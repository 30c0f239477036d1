import math
import string
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import (
    NumberStyle,
    byte_size,
    did_you_mean,
    duration,
    hide_passwords,
    listing,
    nearest,
    number_ranges,
    one_line,
    percent,
    shortly,
    without_passwords,
)

plain = NumberStyle()
page = NumberStyle(minus="\N{MINUS SIGN}", nothing="\N{EM DASH}", to="..")
numbers = st.floats(-2, 2)
words = st.text(string.ascii_letters, min_size=1, max_size=8)


@settings(deadline=None)
@given(numbers, numbers)
def test_a_style_changes_signs_and_words_but_no_digit(low: float, high: float) -> None:
    for mine, theirs in (
        (plain.score(low), page.score(low)),
        (plain.signed(low), page.signed(low)),
        (plain.interval((low, high)), page.interval((low, high))),
        (plain.signed_interval((low, high)), page.signed_interval((low, high))),
    ):
        assert theirs.replace("\N{MINUS SIGN}", "-").replace("..", " to ") == mine


@settings(deadline=None)
@given(numbers)
def test_a_difference_reads_back_and_has_a_sign_unless_it_is_zero(value: float) -> None:
    text = plain.signed(value)
    assert float(text) == pytest.approx(value, abs=5.1e-4)
    assert (text[0] in "+-") == (float(text) != 0)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_number_that_is_not_defined_is_said_to_be_so(value: float | None) -> None:
    assert plain.score(value) == plain.signed(value) == "-"
    assert page.score(value) == page.signed(value) == "\N{EM DASH}"
    assert page.interval(None) == page.signed_interval(None) == "\N{EM DASH}"


@pytest.mark.parametrize(
    ("share", "text"), [(0.95, "95 %"), (0.05, "5 %"), (0.999, "99.9 %"), (1.0, "100 %")]
)
def test_a_share_is_written_as_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (8.26, "8.3 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (100 * 3600, "100 h 00 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (1.2e12, "1.20 TB")],
)
def test_sizes_have_units(size_bytes: float, text: str) -> None:
    assert byte_size(size_bytes) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (plain.short(0.25), "0.25"),
        (plain.short(999.7), "1 k"),
        (plain.short(2_400_000), "2.4 M"),
        (plain.rounded_duration(59), "59 s"),
        (plain.rounded_duration(90), "2 min"),
        (page.rounded_duration(-5400), "\N{MINUS SIGN}1.5 h"),
        (page.rounded_duration(-0.4), "0 s"),
        (page.rounded_duration(None), "\N{EM DASH}"),
        (plain.count(1600), "1,600"),
        (plain.count(None), "-"),
        (plain.whole_percent(0.314), "31 %"),
        (page.whole_percent(-0.314), "\N{MINUS SIGN}31 %"),
        (page.whole_percent(-0.004), "0 %"),
    ],
)
def test_sizes_times_counts_and_shares_suit_their_medium(written: str, text: str) -> None:
    assert written == text


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["V6"], "V6"),
        (("V6", "I"), "V6 and I"),
        (["V6", "V5", "I"], "V6, V5 and I"),
    ],
)
def test_names_are_listed_as_in_a_sentence(names: Sequence[str], text: str) -> None:
    assert listing(names) == text


@settings(deadline=None)
@given(st.sets(st.integers(0, 60)))
def test_ranges_name_exactly_the_numbers(numbers: set[int]) -> None:
    named: set[int] = set()
    for part in filter(None, number_ranges(numbers).split(", ")):
        first, _, last = part.partition("-")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == numbers


def test_numbers_in_a_row_are_written_as_ranges() -> None:
    assert number_ranges([9, 1, 2, 3, 10, 5]) == "1-3, 5, 9-10"
    assert number_ranges([1, 2, 5], ",") == "1-2,5"


@settings(deadline=None)
@given(words, st.lists(words, unique_by=str.lower, max_size=5))
def test_an_unknown_name_gets_the_nearest_one_or_all(name: str, names: list[str]) -> None:
    sentence = did_you_mean(name, names)
    near = nearest(name, names)
    if near is None:
        assert all(each in sentence for each in names)
        assert sentence.startswith("there is: " if names else "there are none")
    else:
        assert near in names
        assert sentence.startswith(f"did you mean {near!r}")
        assert sentence.endswith("?")


@settings(deadline=None)
@given(st.lists(words, min_size=1, unique_by=str.lower), st.randoms())
def test_a_name_in_another_case_is_found(names: list[str], random: object) -> None:
    meant = names[0]
    assert nearest(meant.swapcase(), names) == meant


@pytest.mark.parametrize(
    ("name", "meant"),
    [("n_trails", "n_trials"), ("regin", "region"), ("minReplica", "minReplicas")],
)
def test_a_misspelled_name_is_found(name: str, meant: str) -> None:
    assert nearest(name, ["epochs", meant, "zone"]) == meant


def test_a_name_of_another_section_is_found_by_its_last_part() -> None:
    sections = ["search.n_trials", "student.epochs"]
    assert did_you_mean("n_trails", ["search", "name"], elsewhere=sections) == (
        "did you mean 'search.n_trials'?"
    )
    assert did_you_mean("serach", ["search", "name"], elsewhere=["x.serach"]) == (
        "did you mean 'search'?"
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("wrong. Mend it."), "wrong. Mend it."),
        (ValueError("first\n  second\n"), "first"),
        (ValueError("Traceback:\n  File x\nKeyError: 'a'"), "Traceback: KeyError: 'a'"),
        (ValueError("nothing follows:"), "nothing follows:"),
        (ValueError(""), "ValueError"),
    ],
)
def test_of_an_error_of_many_lines_the_telling_ones_are_shown(error: Exception, text: str) -> None:
    assert shortly(error) == text


@settings(deadline=None)
@given(st.text())
def test_an_error_is_one_line_and_never_empty(text: str) -> None:
    for said in (shortly(ValueError(text)), one_line(ValueError(text))):
        assert said
        assert len(said.splitlines()) == 1
        assert len(said) <= 601


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:pw@db:5432/ecg", "postgresql://ann:***@db:5432/ecg"),
        ("postgresql://ann:p/w@x@db/ecg", "postgresql://ann:***@db/ecg"),
        ("mlflow=https://token@host/a?sig=abc&b=1", "mlflow=https://***@host/a?sig=***&b=1"),
        ("http://ann:pw@127.0.0.1:80/?token=x", "http://***@127.0.0.1:80/?token=***"),
        ("postgresql://ann@db/ecg?password=pw", "postgresql://ann@db/ecg?password=***"),
        # Nothing of these is secret.
        ("http://host:8265/a@b", "http://host:8265/a@b"),
        ("abfss://box@account.dfs.core.windows.net/a", "abfss://box@account.dfs.core.windows.net/a"),
        ("postgresql://ann@db:5432/ecg?sslmode=require", "postgresql://ann@db:5432/ecg?sslmode=require"),
        ("II+V5=a:b@c", "II+V5=a:b@c"),
    ],
)  # fmt: skip
def test_the_secrets_of_a_url_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
    assert hide_passwords(f"a {text}\nb") == f"a {shown}\nb"
    assert without_passwords(shown) == shown


@given(st.text(st.characters(exclude_characters="\x00"), min_size=8), st.booleans())
def test_no_password_survives_whatever_letters_it_has(password: str, has_port: bool) -> None:
    password = f"x{password}"
    url = f"postgresql://ann:{password}@db{':5432' if has_port else ''}/ecg"
    assert without_passwords(url).startswith("postgresql://ann:***@")
    assert password not in without_passwords(url)
