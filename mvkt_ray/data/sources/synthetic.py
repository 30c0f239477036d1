"""Synthetic ECGs: patients with hearts of their own, of which some are diseased.

For demonstrations and tests where no dataset is at hand; no result on it says anything about ECGs.
Every recording follows from (seed, its number) alone, so any process can make it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from mvkt_ray.data.recording import LEADS, Recording, RecordingRef
from mvkt_ray.data.sources.cardiac_dipole import (
    ELECTRODES,
    Heart,
    dipole_over_time,
    rotation_matrix,
    twelve_equal_leads,
    twelve_leads,
    wave,
)
from mvkt_ray.data.sources.record_files import NotListed
from mvkt_ray.data.sources.source import CERTAIN
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import ConfigError

MAINS_HZ = 50.0
_PATIENT, _RECORDING = 1, 2
"""Streams of random numbers: what is the patient's, and what is the recording's."""


def _inferior_infarction(heart: Heart, severity: float, stage: float) -> None:
    heart.dipole_mv[wave("septal")] += severity * np.array([0.0, -0.35, 0.0])
    heart.dipole_mv[wave("R")] += severity * np.array([0.0, -0.50, 0.0])
    heart.dipole_mv[wave("ST")] += severity * stage * np.array([-0.03, 0.16, 0.0])
    heart.dipole_mv[wave("T1")] += severity * (1 - stage) * np.array([0.0, -0.30, 0.0])


def _anterior_infarction(heart: Heart, severity: float, stage: float) -> None:
    heart.dipole_mv[wave("septal")] += severity * np.array([0.10, 0.0, 0.25])
    heart.dipole_mv[wave("R")] += severity * np.array([-0.15, 0.0, 0.35])
    heart.dipole_mv[wave("ST")] += severity * stage * np.array([0.02, -0.03, -0.18])
    heart.dipole_mv[wave("T1")] += severity * (1 - stage) * np.array([-0.10, 0.0, 0.32])


def _left_bundle_branch_block(heart: Heart, severity: float, stage: float) -> None:
    heart.dipole_mv[wave("septal")] += severity * np.array([0.20, 0.05, 0.25])
    heart.dipole_mv[wave("lateral")] += severity * np.array([0.40, -0.10, 0.40])
    heart.dipole_mv[wave("T1")] += severity * np.array([-0.45, -0.22, 0.40])
    heart.centre_s[wave("lateral")] += 0.03 * severity
    for name in ("R", "lateral", "basal"):
        heart.width_s[wave(name)] *= 1 + 0.8 * severity


def _right_bundle_branch_block(heart: Heart, severity: float, stage: float) -> None:
    heart.dipole_mv[wave("basal")] += severity * np.array([-0.50, 0.05, -0.60])
    heart.dipole_mv[wave("T1")] += severity * np.array([0.05, 0.0, 0.20])
    heart.centre_s[wave("basal")] += 0.03 * severity
    heart.width_s[wave("basal")] *= 1 + severity


def _first_degree_av_block(heart: Heart, severity: float, stage: float) -> None:
    for name in ("P1", "P2"):
        heart.centre_s[wave(name)] -= 0.05 + 0.10 * severity


def _left_ventricular_hypertrophy(heart: Heart, severity: float, stage: float) -> None:
    heart.dipole_mv[wave("R")] *= 1 + 0.5 * severity
    heart.dipole_mv[wave("lateral")] += severity * np.array([0.45, -0.10, 0.60])
    heart.dipole_mv[wave("T1")] += severity * np.array([-0.25, -0.10, -0.08])


def _lateral_ischaemia(heart: Heart, severity: float, stage: float) -> None:
    heart.dipole_mv[wave("ST")] += severity * stage * np.array([-0.12, -0.03, 0.0])
    heart.dipole_mv[wave("T1")] += severity * (1.2 - stage) * np.array([-0.28, -0.05, 0.03])


def _atrial_fibrillation(heart: Heart, severity: float, stage: float) -> None:
    heart.dipole_mv[[wave("P1"), wave("P2")]] = 0.0  # Rhythm and f waves are made with the beats.


_Change = Callable[[Heart, float, float], None]

DISEASES: dict[str, tuple[str, float, _Change]] = {
    "IMI": ("MI", 0.16, _inferior_infarction),
    "AMI": ("MI", 0.14, _anterior_infarction),
    "CLBBB": ("CD", 0.09, _left_bundle_branch_block),
    "CRBBB": ("CD", 0.11, _right_bundle_branch_block),
    "1AVB": ("CD", 0.10, _first_degree_av_block),
    "LVH": ("HYP", 0.15, _left_ventricular_hypertrophy),
    "ISCAL": ("STTC", 0.15, _lateral_ischaemia),
    "AFIB": ("AF", 0.10, _atrial_fibrillation),
}
"""Per code: its class, its share of first diagnoses, and what it does to the dipole, given how
severe it is (0 to 1) and its stage (1 acute, 0 old)."""

_EXCLUDING = ({"CLBBB", "CRBBB"}, {"1AVB", "AFIB"})
_NORMAL = "NORM"
_LONGEST_S, _MOST_NOISE = 3600, 100
_PATIENTS_PER_100 = 85

_NORMAL_SHARE = 0.4
_SECOND_SHARE = 0.25


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Patient:
    heart: Heart
    codes: tuple[str, ...]
    heart_rate_hz: float
    age: float
    sex: Literal["female", "male"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Synthetic:
    """A dataset made up on the spot; all is set by its options."""

    name: ClassVar[str] = "synthetic"

    location: str = ""
    """Not used: there is no folder."""
    n_recordings: int = 600
    n_patients: int | None = None
    """By default fewer than recordings (`_PATIENTS_PER_100`): the first patients then have two."""
    duration_s: float = 10.0
    seed: int = 0
    equal_leads: bool = False
    """Make all leads equally informative, to test statistics that compare leads."""
    noise: float = 1.0
    """Of electrodes, wander and mains; 0 for none, 1 for that of a fair recording."""

    def __post_init__(self) -> None:
        self._require(self.n_recordings >= 1, "n_recordings", "at least 1")
        patients = self.n_patients
        valid = patients is None or 1 <= patients <= self.n_recordings
        self._require(valid, "n_patients", f"from 1 to n_recordings ({self.n_recordings})")
        self._require(
            1 <= self.duration_s <= _LONGEST_S, "duration_s", f"from 1 to {_LONGEST_S} seconds"
        )
        self._require(self.seed >= 0, "seed", "0 or above")
        self._require(0 <= self.noise <= _MOST_NOISE, "noise", f"from 0 to {_MOST_NOISE}")

    def _require(self, condition: bool, name: str, wanted: str) -> None:
        if not condition:
            raise ConfigError(
                f"{name} of the source 'synthetic' is {getattr(self, name)!r}, but must be "
                f"{wanted}. Correct it."
            )

    @property
    def has_folds(self) -> bool:
        """None, so that folds are made at ingest as for most datasets."""
        return False

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the recordings; they are made at the rate that is wanted."""
        for index in range(self.n_recordings):
            yield RecordingRef(
                source=self.name,
                record_id=f"syn{index:07d}",
                path="",
                metadata={"index": index, "sampling_rate_hz": sampling_rate_hz},
            )

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        """There are no files."""
        return NotListed()

    def read(self, ref: RecordingRef) -> Recording:
        """Make one recording."""
        index, rate_hz = ref.metadata["index"], ref.metadata["sampling_rate_hz"]
        assert isinstance(index, int)
        assert isinstance(rate_hz, int)
        number = self._patient_number(index)
        patient = _make_patient(np.random.default_rng([self.seed, _PATIENT, number]))
        rng = np.random.default_rng([self.seed, _RECORDING, index])
        time_s = np.arange(round(self.duration_s * rate_hz)) / rate_hz
        dipole_mv = _make_beats(patient, time_s, rng)
        if self.equal_leads:
            noise_mv = 1.5 * self.noise * _make_noise(len(LEADS), time_s, rate_hz, rng)
            signal_mv = twelve_equal_leads(dipole_mv, noise_mv)
        else:
            noise_mv = self.noise * _make_noise(len(ELECTRODES), time_s, rate_hz, rng)
            signal_mv = twelve_leads(dipole_mv, noise_mv)
        return Recording(
            source=ref.source,
            record_id=ref.record_id,
            patient_id=f"patient{number:07d}",
            signal_mv=signal_mv.astype(np.float32),
            sampling_rate_hz=float(rate_hz),
            leads=LEADS,
            age=patient.age,
            sex=patient.sex,
            codes=patient.codes,
            likelihoods=(CERTAIN,) * len(patient.codes),
        )

    def tasks(self) -> Mapping[str, Task]:
        """Return `synthetic` (AF, CD, HYP, MI, NORM, STTC) and `synthetic_codes` (each code)."""
        groups: dict[str, list[str]] = {_NORMAL: [_NORMAL]}
        for code, (group, _, _) in DISEASES.items():
            groups.setdefault(group, []).append(code)
        codes = {code: [code] for code in (_NORMAL, *DISEASES)}
        return {
            "synthetic": Task.of_classes("synthetic", groups),
            "synthetic_codes": Task.of_classes("synthetic_codes", codes),
        }

    def _patient_number(self, index: int) -> int:
        n_patients = self.n_patients or -(-self.n_recordings * _PATIENTS_PER_100 // 100)
        return index % n_patients


def _make_patient(rng: np.random.Generator) -> _Patient:
    codes = _draw_codes(rng)
    heart = Heart.healthy()
    n_waves = len(heart.centre_s)
    heart.dipole_mv[:] *= np.exp(rng.normal(0.0, 0.22, size=(n_waves, 1)))
    heart.dipole_mv[:] += (
        0.1 * rng.normal(size=(n_waves, 3)) * np.abs(heart.dipole_mv).max(axis=1, keepdims=True)
    )
    heart.width_s[:] *= rng.uniform(0.88, 1.18, size=n_waves)
    heart.centre_s[[wave("P1"), wave("P2")]] += rng.uniform(-0.03, 0.02)
    for code in codes:
        severity, stage = rng.uniform(0.25, 1.0), rng.uniform()
        if code in DISEASES:
            DISEASES[code][2](heart, severity, stage)
    # The heart's axis varies most in the frontal plane, that is about z.
    rotation = rotation_matrix(rng.normal(0.0, [0.15, 0.15, 0.30]))
    heart.dipole_mv[:] *= np.exp(rng.normal(0.0, 0.22))
    rate_per_minute = rng.uniform(65, 120) if "AFIB" in codes else rng.uniform(50, 100)
    return _Patient(
        heart=heart.turned(rotation),
        codes=codes,
        heart_rate_hz=rate_per_minute / 60,
        age=float(np.clip(np.round(rng.normal(62, 15)), 18, 89)),
        sex="female" if rng.uniform() < 0.5 else "male",
    )


def _draw_codes(rng: np.random.Generator) -> tuple[str, ...]:
    """Draw NORM, or one disease and sometimes a second one."""
    if rng.uniform() < _NORMAL_SHARE:
        return (_NORMAL,)
    names = list(DISEASES)
    shares = np.array([share for _, share, _ in DISEASES.values()])
    first, second = rng.choice(names, size=2, replace=False, p=shares / shares.sum())
    pair = {str(first), str(second)}
    if rng.uniform() > _SECOND_SHARE or pair in _EXCLUDING:
        return (str(first),)
    return tuple(name for name in names if name in pair)


def _make_beats(patient: _Patient, time_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the dipole over time, `[3, n_samples]`, with breathing and the patient's rhythm."""
    breath_hz, breath_phase = rng.uniform(0.2, 0.33), rng.uniform(0, 2 * np.pi)
    mean_rr_s = np.exp(rng.normal(0.0, 0.06)) / patient.heart_rate_hz
    n_beats = int(np.ceil((time_s[-1] + 6) / (0.6 * mean_rr_s))) + 8
    fibrillating = "AFIB" in patient.codes
    if fibrillating:
        rr_s = np.maximum(mean_rr_s * np.exp(rng.normal(0.0, 0.20, size=n_beats)), 0.3)
    else:
        sinus = 0.04 * np.sin(2 * np.pi * breath_hz * mean_rr_s * np.arange(n_beats) + breath_phase)
        rr_s = mean_rr_s * (1 + sinus + np.clip(rng.normal(0.0, 0.015, size=n_beats), -0.1, 0.1))
    r_peaks_s = np.cumsum(rr_s) - rr_s[0] * rng.uniform(2.0, 3.0) - rr_s[:3].sum()
    n_needed = int(np.searchsorted(r_peaks_s, time_s[-1])) + 3
    dipole_mv = dipole_over_time(patient.heart, r_peaks_s[:n_needed], time_s)
    if fibrillating:
        # f waves, 4 to 9 per second, seen best in V1 and the inferior leads.
        frequency_hz, phase = rng.uniform(4, 9), rng.uniform(0, 2 * np.pi)
        drift = 0.6 * np.sin(2 * np.pi * rng.uniform(0.2, 0.5) * time_s)
        size_mv = rng.uniform(0.03, 0.09)
        f_wave_mv = size_mv * np.sin(2 * np.pi * frequency_hz * time_s + phase + drift)
        dipole_mv += np.array([-0.3, 0.5, -0.8])[:, None] * f_wave_mv
    return dipole_mv * (1 + 0.05 * np.sin(2 * np.pi * breath_hz * time_s + breath_phase))


def _make_noise(
    n_electrodes: int, time_s: np.ndarray, rate_hz: float, rng: np.random.Generator
) -> np.ndarray:
    """Return noise of muscles, wander and mains in mV, `[n_electrodes, n_samples]`."""
    one = (n_electrodes, 1)
    noise_mv = 0.03 * np.exp(rng.normal(0.0, 0.5)) * rng.normal(size=(n_electrodes, len(time_s)))
    for _ in range(2):
        angle = 2 * np.pi * rng.uniform(0.05, 0.45) * time_s + rng.uniform(0, 2 * np.pi, size=one)
        noise_mv += 0.06 * np.exp(rng.normal(0.0, 0.5, size=one)) * np.sin(angle)
    if rate_hz > 2 * MAINS_HZ:  # At lower rates the recorder's filter has taken it out.
        angle = 2 * np.pi * MAINS_HZ * time_s + rng.uniform(0, 2 * np.pi, size=one)
        noise_mv += 0.01 * np.exp(rng.normal(0.0, 0.5, size=one)) * np.sin(angle)
    return noise_mv
