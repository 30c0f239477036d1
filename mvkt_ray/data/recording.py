"""One recording: twelve leads of one patient, in mV, and the reference by which it is found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mvkt_ray.errors import DataError

LEADS: tuple[str, ...] = (
    "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6",
)  # fmt: skip
"""The twelve leads by canonical name, in the order that is used everywhere."""

OF_I_AND_II = {"III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0)}
"""Einthoven: III = II - I. Goldberger: aVR = -(I + II)/2, aVL = I - II/2, aVF = II - I/2."""

_LEAD_OF_LOWER_NAME = {lead.lower(): lead for lead in LEADS}

_MV_PER_UNIT = {"nv": 1e-6, "uv": 1e-3, "mv": 1.0, "v": 1e3} | {
    f"{prefix}{volts}": mv
    for prefix, mv in {"nano": 1e-6, "micro": 1e-3, "milli": 1.0, "": 1e3}.items()
    for volts in ("volt", "volts")
}
_MICRO_SIGNS = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})


def canonical_lead(name: str) -> str | None:
    """Return the canonical name of a lead (`AVR` gives `aVR`), or None for another signal."""
    return _LEAD_OF_LOWER_NAME.get(name.strip().lower())


def mv_per_unit(unit: str) -> float | None:
    """Return how many mV a unit is: of `uV`, `microvolts` and the like; None for another one.

    Nobody writes an ECG in megavolts, so neither case decides: `MV` is a millivolt.
    """
    return _MV_PER_UNIT.get(unit.strip().translate(_MICRO_SIGNS).lower())


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingRef:
    """Where a source finds one recording; small and picklable, it travels to the ingest tasks."""

    source: str
    """Name of the source, with the database behind a slash where it holds several."""
    record_id: str
    """Identity within the source."""
    path: str
    """File to read, as the source wants it; empty where there is none."""
    metadata: Mapping[str, str | int | float | None] = field(
        default_factory=dict[str, "str | int | float | None"]
    )
    """Whatever else the source knew when it listed the recording, and needs to read it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Recording:
    """One acquisition of one patient, in physical units."""

    source: str
    record_id: str
    patient_id: str
    """Identity within the source; the record's own where the source does not know patients."""
    signal_mv: np.ndarray
    """float32 `[n_leads, n_samples]`, in mV, finite; a row for each of `leads`."""
    sampling_rate_hz: float
    leads: tuple[str, ...]
    """Canonical names, in the order of `LEADS`."""
    uncalibrated_leads: tuple[str, ...] = ()
    """Leads whose file does not say how many units are a mV, so that their size is a convention."""
    rate_is_assumed: bool = False
    """The file does not state the sampling rate, so that it is the format's default."""
    age: float | None = None
    """Years; 90.0 means "over 89" where the source says no more than that."""
    sex: Literal["female", "male"] | None = None
    fold: int | None = None
    codes: tuple[str, ...] = ()
    """Label codes as in the source's vocabulary, in its order, each once."""
    likelihoods: tuple[float, ...] = ()
    """Per code, 0 to 100; 100.0 where the source gives none."""

    def lead_mv(self, lead: str) -> np.ndarray:
        """Return one lead, float32 `[n_samples]` in mV.

        Raises:
            DataError: The recording lacks it; names those that it has.
        """
        name = canonical_lead(lead)
        if name not in self.leads:
            raise DataError(
                f"recording {self.record_id} has no lead {lead!r}; it has {', '.join(self.leads)}. "
                "Choose one of them."
            )
        return self.signal_mv[self.leads.index(name)]

    @property
    def age_text(self) -> str:
        """The age in words."""
        return "age unknown" if self.age is None else f"{self.age:.0f} years"

    @property
    def sex_text(self) -> str:
        """The sex in words."""
        return self.sex or "sex unknown"

    def __post_init__(self) -> None:
        assert self.signal_mv.dtype == np.float32, self.signal_mv.dtype
        assert self.signal_mv.ndim == 2
        assert len(self.signal_mv) == len(self.leads)
        assert len(self.codes) == len(self.likelihoods)
