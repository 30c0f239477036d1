"""When two texts name the same patient, code or recording: one normalisation for each kind.

Ids are stored as their source writes them; whatever compares them does it by these keys.
"""

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable
from decimal import Decimal

import numpy as np

_PLAIN = re.compile(r"[1-9][0-9]*|[a-z]+[1-9][0-9]*")
"""Ids that are their own key; most are, and the rest takes longer."""

_UNSEEN = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]+")
_WHOLE = re.compile(r"\+?([0-9]+)(?:\.0*)?")
_SCIENTIFIC = re.compile(r"[0-9]+(?:\.[0-9]+)?e\+?[0-9]{1,2}")
_LEADING_ZEROS = re.compile(r"(?<![0-9.])0+(?=[0-9])")
_RECORD_SUFFIXES = (".hea", ".dat", ".mat")

_NOBODY = {"", "nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat", "-", "--", "?", ".",
           "unknown", "missing"}  # fmt: skip
"""What tables hold where a patient is not known."""


def patient_key(patient_id: str) -> str:
    """Return what is compared of a patient's id: `12`, `12.0`, ` 12 ` and `012` are one patient.

    Neither case nor blanks tell patients apart, nor zeros in front of a number, which spreadsheets
    remove. Two patients taken for one cost a little balance of the folds; one patient taken for two
    may be in two splits.
    """
    if _PLAIN.fullmatch(patient_id):
        return patient_id
    key = unicodedata.normalize("NFC", _UNSEEN.sub("", _folded(patient_id)))
    if whole := _whole(key):
        return whole
    return _LEADING_ZEROS.sub("", key)


def names_nobody(patient_id: str) -> bool:
    """Whether a patient's id is only a word for "not known", as `nan` of pandas."""
    return patient_key(patient_id) in _NOBODY


def own_patient(record_id: str) -> str:
    """Return the patient of a recording whose source names none; no patient's number meets it."""
    return f"record {record_id}"


def code_key(code: str) -> str:
    """Return what is compared of a label code: `Norm` and `NORM`, `426783006` and `426783006.0`."""
    key = " ".join(_folded(code).split())
    return _whole(key) or key


def record_key(record_id: str) -> str:
    """Return what is compared of a recording's id: `./a//r1.hea` and `a/r1`, `1.0` and `1`.

    A backslash is how Windows writes the slash.
    """
    text = unicodedata.normalize("NFC", record_id).strip().replace("\\", "/")
    text = posixpath.normpath(text) if text else text
    for suffix in _RECORD_SUFFIXES:
        if text.lower().endswith(suffix) and posixpath.basename(text).lower() != suffix:
            return text[: -len(suffix)]
    return text.removesuffix(".0") if _WHOLE.fullmatch(text) else text


def spellings(names: Iterable[str], key: Callable[[str], str]) -> list[tuple[str, ...]]:
    """Return the names of which several mean the same, together and sorted."""
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(key(name), set()).add(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def one_spelling(names: np.ndarray, key: Callable[[str], str]) -> np.ndarray:
    """Return str `[n]`: each name in the first, by the alphabet, of all its spellings."""
    first_of = {name: group[0] for group in spellings(set(names), key) for name in group}
    if not first_of:
        return names
    return np.array([first_of.get(name, name) for name in names], dtype=object)


def _folded(text: str) -> str:
    # Folding can undo the normal form, so it is made again.
    once = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", once)


def _whole(key: str) -> str | None:
    """Return the digits of a whole number, in whatever way a spreadsheet wrote it."""
    if found := _WHOLE.fullmatch(key):
        return found[1].lstrip("0") or "0"
    if _SCIENTIFIC.fullmatch(key):
        number = Decimal(key)
        if number == number.to_integral_value():
            return str(int(number))
    return None
