"""Facts of a recording and its patient in a table; unreadable cells are errors, not gaps."""

from typing import Literal

from mvkt_ray.data.sources.source import age_of, sex_of

LARGEST_FOLD = 32767
"""Largest value of the column `fold` of a shard."""

_NOT_KNOWN = {"", "nan", "none", "null", "na", "n/a", "#n/a", "<na>", "-", "?", "unknown", "u",
              "missing"}  # fmt: skip
_NEITHER = {"other", "o", "x", "d", "divers", "diverse", "intersex", "non-binary"}
_OLDEST_YEARS, _HIDDEN_AGE = 130, 300


def fold_in(text: str) -> int | None:
    """Return a fold, written `3` or `3.0`; None where it is no whole number that shards hold."""
    word = text.removesuffix(".0")
    digits = word.lstrip("0") or word[-1:]
    if digits.isascii() and digits.isdigit() and len(digits) <= len(str(LARGEST_FOLD)):
        return int(digits) if int(digits) <= LARGEST_FOLD else None
    return None


def age_in(text: str) -> float | None:
    """Return years, None where they are not known; see `age_of`.

    Raises:
        ValueError: It is no age; says what one is.
    """
    if text.lower() in _NOT_KNOWN:
        return None
    age = age_of(text)
    if age is None or (float(text) > _OLDEST_YEARS and float(text) != _HIDDEN_AGE):
        raise ValueError(
            f"is {text!r}, but must be years from 0 to {_OLDEST_YEARS}, {_HIDDEN_AGE} for an age "
            "over 89 (de-identified), or empty if unknown"
        )
    return age


def sex_in(text: str) -> Literal["female", "male"] | None:
    """Return the sex that a word names, None for neither, and where it is not known.

    Raises:
        ValueError: It is another word, or a number.
    """
    sex = sex_of(text)
    if sex is None and text.lower() not in _NOT_KNOWN | _NEITHER:
        numbers = "; numbers mean different things in different datasets" if text.isdigit() else ""
        raise ValueError(
            f"is {text!r}, but must be female, male, F, M or other, or empty if unknown{numbers}: "
            "write female or male"
        )
    return sex
