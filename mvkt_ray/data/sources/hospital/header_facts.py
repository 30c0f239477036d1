"""What may be kept of the patient in a header: no name, no date, and an id only as a hash."""

import re
from datetime import date
from typing import Literal

from mvkt_ray.data.identity import header_patient
from mvkt_ray.data.sources.file_signal import PatientFacts
from mvkt_ray.data.sources.source import OVER_89_YEARS, sex_of

_YEARS_PER = {"y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25, "h": 1 / 8766}
"""By the first letter of a unit of age."""
_AGE = re.compile(r"(\d{1,3})\s*([A-Za-z]*)")
_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_DATE_OF_MUSE = re.compile(r"(\d{2})-(\d{2})-(\d{4})")
_SEX_OF_CODE = {"248152002": "F", "248153007": "M"}
"""SNOMED CT, as some aECG files have."""
_OLDEST_YEARS = 130


def facts_of(
    *,
    patient_id: str = "",
    age: str = "",
    sex: str = "",
    born: str | date | None = None,
    recorded: str | date | None = None,
) -> PatientFacts:
    """Return what may be kept; the age is that on the day of the recording where none is stated.

    Whoever is over 89 is 90 here, as in de-identified datasets.

    Args:
        patient_id: As the header has it.
        age: In years, or with a unit, as in `061Y` and `3 MONTHS`.
        sex: A word, its first letter, or a code.
        born: The birth date, as `YYYYMMDD` or as MUSE writes it, `MM-DD-YYYY`.
        recorded: The date of the recording, likewise.
    """
    years = _years(age)
    if years is None:
        years = _years_between(_day(born), _day(recorded))
    return PatientFacts(
        patient=header_patient(patient_id) if patient_id else None,
        age=years,
        sex=_sex(sex),
    )


def _sex(text: str) -> Literal["female", "male"] | None:
    word = text.strip()
    return sex_of(_SEX_OF_CODE.get(word, word))


def _years(text: str) -> float | None:
    found = _AGE.fullmatch(text.strip())
    if found is None:
        return None
    per_unit = _YEARS_PER.get(found[2][:1].lower() or "y")
    return None if per_unit is None else _plausible(float(found[1]) * per_unit)


def _years_between(born: date | None, recorded: date | None) -> float | None:
    if born is None or recorded is None or born > recorded:
        return None
    had_birthday = (recorded.month, recorded.day) >= (born.month, born.day)
    return _plausible(float(recorded.year - born.year - (not had_birthday)))


def _plausible(years: float) -> float | None:
    return min(years, OVER_89_YEARS) if 0 <= years <= _OLDEST_YEARS else None


def _day(value: str | date | None) -> date | None:
    if value is None or isinstance(value, date):
        return value
    text = value.strip()
    if found := _DATE.match(text):
        year, month, day = found.groups()
    elif found := _DATE_OF_MUSE.match(text):
        month, day, year = found.groups()
    else:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
