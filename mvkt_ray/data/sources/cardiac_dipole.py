"""A heart as one moving dipole, and the twelve leads as a fixed linear view of it.

After McSharry et al., "A dynamical model for generating synthetic electrocardiogram signals", IEEE
Trans. Biomed. Eng. 50(3), 2003, and Sameni et al., "Multichannel ECG and noise modeling", EURASIP
J. Adv. Signal Process., 2007: each wave is a Gaussian bump of the dipole, in time and in space. We
depart from them in timing waves from the R peak in seconds, not by phase, so that PR and QT behave
by themselves when the rate changes.

Axes are Frank's: x to the left, y to the feet, z to the back. Lengths of the dipole are in mV of
Frank's leads.
"""

from dataclasses import dataclass

import numpy as np

from mvkt_ray.data.recording import LEADS, OF_I_AND_II

WAVES = ("P1", "P2", "septal", "R", "lateral", "basal", "ST", "T1", "T2")
"""Right and left atrium; septum, apex, left wall, base; ST segment; rise and end of the T wave."""

_CENTRE_S = np.array([-0.165, -0.135, -0.026, 0.0, 0.017, 0.036, 0.13, 0.235, 0.28])
_WIDTH_S = np.array([0.018, 0.020, 0.008, 0.011, 0.011, 0.010, 0.050, 0.048, 0.030])
_DIPOLE_MV = np.array(
    [
        [0.05, 0.09, -0.04],
        [0.07, 0.06, 0.05],
        [-0.12, -0.05, -0.18],
        [1.00, 0.70, 0.15],
        [0.50, 0.20, 0.75],
        [-0.20, -0.20, 0.35],
        [0.00, 0.00, 0.00],
        [0.22, 0.16, -0.16],
        [0.12, 0.08, -0.10],
    ]
)
_REPOLARISATION = np.array([name in ("ST", "T1", "T2") for name in WAVES])

_INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")

_DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""Lead vectors of the independent leads: Dower et al., "On deriving the electrocardiogram from
vectorcardiographic leads", Clin. Cardiol. 3, 1980."""


def _twelve_from_eight() -> np.ndarray:
    matrix = np.zeros((len(LEADS), len(_INDEPENDENT)))
    for row, lead in enumerate(LEADS):
        if lead in OF_I_AND_II:
            matrix[row, :2] = OF_I_AND_II[lead]
        else:
            matrix[row, _INDEPENDENT.index(lead)] = 1.0
    return matrix


_TWELVE_FROM_EIGHT = _twelve_from_eight()

_EQUAL_VIEW = np.array([0.55, 0.55, -0.55])
"""The one direction from which every lead looks when all are to be equally informative."""

ELECTRODES = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")


def _eight_from_electrodes() -> np.ndarray:
    matrix = np.zeros((len(_INDEPENDENT), len(ELECTRODES)))
    matrix[0, :2] = -1.0, 1.0
    matrix[1, [0, 2]] = -1.0, 1.0
    # The chest leads are measured against Wilson's central terminal.
    matrix[2:, :3] = -1.0 / 3.0
    matrix[2:, 3:] = np.eye(6)
    return matrix


_EIGHT_FROM_ELECTRODES = _eight_from_electrodes()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Heart:
    """How one heart's dipole moves in a beat; a row for each of `WAVES`."""

    centre_s: np.ndarray
    """Time after the R peak at a rate of 60 per minute, `[n_waves]`."""
    width_s: np.ndarray
    """Standard deviation of the bump, `[n_waves]`."""
    dipole_mv: np.ndarray
    """Where the dipole points at its height, `[n_waves, 3]`."""

    @classmethod
    def healthy(cls) -> "Heart":
        """Return a heart to start from; the arrays are fresh and may be changed."""
        return cls(centre_s=_CENTRE_S.copy(), width_s=_WIDTH_S.copy(), dipole_mv=_DIPOLE_MV.copy())

    def turned(self, rotation: np.ndarray) -> "Heart":
        """Return the same heart, lying otherwise in the chest."""
        return Heart(
            centre_s=self.centre_s, width_s=self.width_s, dipole_mv=self.dipole_mv @ rotation.T
        )


def wave(name: str) -> int:
    """Return the row of a wave."""
    return WAVES.index(name)


def rotation_matrix(angles_rad: np.ndarray) -> np.ndarray:
    """Return the rotation by three angles about x, y and z, in this order, `[3, 3]`."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles_rad), np.cos(angles_rad)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def dipole_over_time(heart: Heart, r_peaks_s: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Return the dipole at each time, in mV, `[3, n_samples]`.

    A sample sees the beat before it, the one before that (its T wave, at high rates), and the next
    one (its P wave); more are too far away.

    Args:
        heart: whose beats these are.
        r_peaks_s: rising; two beats or more must lie before the first sample and after the last.
        time_s: rising.
    """
    rr_s = np.diff(r_peaks_s, append=2 * r_peaks_s[-1] - r_peaks_s[-2])
    # Bazett: the QT interval goes with the square root of the RR interval.
    stretch = np.where(_REPOLARISATION, np.sqrt(np.clip(rr_s, 0.3, 1.5))[:, None], 1.0)
    centre_s = r_peaks_s[:, None] + heart.centre_s * stretch
    before = np.searchsorted(r_peaks_s, time_s, side="right") - 1
    dipole = np.zeros((3, len(time_s)))
    for step in (-1, 0, 1):
        beat = before + step
        distance = (time_s[:, None] - centre_s[beat]) / (heart.width_s * stretch[beat])
        dipole += (np.exp(-0.5 * distance * distance) @ heart.dipole_mv).T
    return dipole


def twelve_leads(dipole_mv: np.ndarray, electrode_noise_mv: np.ndarray) -> np.ndarray:
    """Return what twelve leads show, `[12, n_samples]`: Einthoven and Goldberger hold exactly.

    Noise enters at the electrodes, as it does on a patient, so that it obeys them too.

    Args:
        dipole_mv: `[3, n_samples]`.
        electrode_noise_mv: `[9, n_samples]`, a row for each of `ELECTRODES`.
    """
    return _TWELVE_FROM_EIGHT @ (_DOWER @ dipole_mv + _EIGHT_FROM_ELECTRODES @ electrode_noise_mv)


def twelve_equal_leads(dipole_mv: np.ndarray, lead_noise_mv: np.ndarray) -> np.ndarray:
    """Return twelve leads that look from one direction, each with noise of its own.

    Nothing but chance tells them apart. They cannot obey Einthoven: III would be zero.

    Args:
        dipole_mv: `[3, n_samples]`.
        lead_noise_mv: `[12, n_samples]`.
    """
    return _EQUAL_VIEW @ dipole_mv + lead_noise_mv
