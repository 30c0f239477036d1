"""When two texts name the same patient, code or recording: one normalisation for each kind.

Ids are stored as their source writes them; whatever compares them does it by these keys.
"""

import hashlib
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PLAIN = re.compile(r"[1-9][0-9]*|[a-z]+[1-9][0-9]*")
"""Ids that are their own key; most are, and the rest takes longer."""

_UNSEEN = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]+")
_WHOLE = re.compile(r"\+?([0-9]+)(?:\.0*)?")
_SCIENTIFIC = re.compile(r"[0-9]+(?:\.[0-9]+)?e\+?[0-9]{1,2}")
_LEADING_ZEROS = re.compile(r"(?<![0-9.])0+(?=[0-9])")
_RECORD_SUFFIXES = (".hea", ".dat", ".mat")

_NOBODY = {"", "nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat", "-", "--", "?", ".",
           "unknown", "missing"}  # fmt: skip
"""Values of tables for an unknown patient."""

_NOBODY_IN_HEADERS = {"anonymous", "anonymized", "anonymised", "anon", "deidentified", "removed",
                      "redacted", "patient", "patientid", "noname", "noid", "test"}  # fmt: skip
"""Placeholders of de-identification programs; also zeros, or the letter X."""
_OF_HEADER = "header"
_HEADER_PATIENT = re.compile(rf"{_OF_HEADER} [0-9a-f]{{32}}")
_SALT = b"mvkt-ray headers"


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


def odd_ids(patient_ids: pa.Array) -> np.ndarray:
    """Return int64 `[n_odd]`: where ids are that may not be their own `patient_key`."""
    # Most are whole numbers, which is seen in a sixth of the time.
    digits = pc.call_function("ascii_is_decimal", [patient_ids])
    zero_first = pc.call_function("starts_with", [patient_ids], pc.MatchSubstringOptions("0"))
    number = pc.call_function("and_not", [digits, zero_first]).to_numpy(zero_copy_only=False)
    rest = np.flatnonzero(~number)
    if not len(rest):
        return rest
    pattern = pc.MatchSubstringOptions(rf"\A(?:{_PLAIN.pattern})\z")
    plain = pc.call_function("match_substring_regex", [patient_ids.take(rest)], pattern)
    return rest[~plain.to_numpy(zero_copy_only=False)]


def names_nobody(patient_id: str) -> bool:
    """Whether a patient's id is only a word for "not known", as `nan` of pandas."""
    return patient_key(patient_id) in _NOBODY


def own_patient(record_id: str) -> str:
    """Return the patient of a recording whose source names none; no patient's number meets it."""
    return f"record {record_id}"


def header_patient(text: str) -> str | None:
    """Return what stands for a patient whom the header of a file names; None if it names nobody.

    It is a salted hash, the same for all spellings of `patient_key`. The salt is public, so who
    holds one of these can try numbers: ingest puts a number in its place before shards are
    published, and nothing that was made from a header's id is in them.
    """
    key = patient_key(text)
    word = re.sub(r"[^a-z0-9]", "", key)
    if names_nobody(text) or word in _NOBODY_IN_HEADERS or not word.strip("0x"):
        return None
    digest = hashlib.blake2b(key.encode(), digest_size=16, person=_SALT).hexdigest()
    return f"{_OF_HEADER} {digest}"


def is_header_patient(patient_id: str) -> bool:
    """Whether an id is one that `header_patient` made."""
    return _HEADER_PATIENT.fullmatch(patient_id) is not None


def numbered_patient(number: int) -> str:
    """Return the id that a patient of headers has in shards; no patient's number meets it."""
    return f"{_OF_HEADER} patient {number}"


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


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """Whose the recordings are: numbers, as ten million names would take a gigabyte of memory."""

    names: pa.Array
    """Every spelling that occurs, once."""
    number_N: np.ndarray
    """int32 `[n_recordings]`: of each patient the place in `names` of the first, by the alphabet,
    of all its spellings."""

    @classmethod
    def of(cls, ids: pa.ChunkedArray) -> "Patients":
        """Number the patients of recordings by their ids, as the source writes them."""
        # Of the chunks one by one: all ids in one piece would take memory twice.
        encoded = ids.dictionary_encode()
        names = encoded.chunk(0).dictionary if encoded.num_chunks else pa.array([], pa.string())
        number_N = np.concatenate(
            [np.empty(0, np.int32), *(chunk.indices.to_numpy() for chunk in encoded.chunks)]
        )
        odd_places = odd_ids(names)
        if not len(odd_places):
            return cls(names, number_N)
        odd = names.take(odd_places).to_pylist()
        keys = [patient_key(name) for name in odd]
        place_of = dict(zip(odd, odd_places.tolist(), strict=True))
        # A plain name is its own key, and may be that of an odd one.
        own = pc.call_function(
            "index_in", [pa.array(keys, pa.string())], pc.SetLookupOptions(names)
        ).to_pylist()
        place_of |= {key: place for key, place in zip(keys, own, strict=True) if place is not None}
        first = np.arange(len(names), dtype=number_N.dtype)
        for group in spellings({*odd, *(k for k in keys if k in place_of)}, patient_key):
            first[[place_of[name] for name in group]] = place_of[group[0]]
        return cls(names, first[number_N])

    def ids(self, rows: np.ndarray) -> np.ndarray:
        """Return str `[n]`: whose these recordings are, one id for each patient."""
        return self.names.take(self.number_N[rows]).to_numpy(zero_copy_only=False)


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
