"""The lead field and the moving dipole."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.sources.cardiac_dipole import (
    ELECTRODES,
    WAVES,
    Heart,
    dipole_over_time,
    rotation_matrix,
    twelve_leads,
)


def test_leads_by_hand_from_electrode_potentials() -> None:
    potential = dict(zip(ELECTRODES, [1.0, 4.0, 10.0, 7.0, 8.0, 9.0, 6.0, 5.0, 2.0], strict=True))
    electrodes = np.array([[potential[name]] for name in ELECTRODES])
    leads = dict(zip(LEADS, twelve_leads(np.zeros((3, 1)), electrodes)[:, 0], strict=True))
    limbs = {"I": 3, "II": 9, "III": 6, "aVR": 1 - 14 / 2, "aVL": 4 - 11 / 2, "aVF": 10 - 5 / 2}
    for lead, wanted in limbs.items():
        np.testing.assert_allclose(leads[lead], wanted)
    for lead in ("V1", "V2", "V3", "V4", "V5", "V6"):
        np.testing.assert_allclose(leads[lead], potential[lead] - 15 / 3, atol=1e-12)


def test_a_dipole_to_the_left_and_feet_shows_as_in_the_books() -> None:
    left, feet, front = (twelve_leads(d[:, None], np.zeros((9, 1)))[:, 0]
                         for d in (np.eye(3)[0], np.eye(3)[1], -np.eye(3)[2]))  # fmt: skip
    assert left[LEADS.index("I")] > 0
    assert left[LEADS.index("V6")] > 0 > left[LEADS.index("V1")]
    assert feet[LEADS.index("aVF")] > 0 > feet[LEADS.index("aVL")]
    assert front[LEADS.index("V2")] > 1


def test_the_dipole_is_the_sum_over_all_beats() -> None:
    heart = Heart.healthy()
    peaks_s = np.array([-2.1, -1.2, -0.4, 0.5, 1.3, 2.2, 3.1, 4.0])
    time_s = np.arange(0, 2.0, 0.01)
    fast = dipole_over_time(heart, peaks_s, time_s)
    rr_s = np.diff(peaks_s, append=4.9)
    slow = np.zeros((3, len(time_s)))
    for peak_s, interval_s in zip(peaks_s, rr_s, strict=True):
        for row, name in enumerate(WAVES):
            stretch = np.sqrt(interval_s) if name in ("ST", "T1", "T2") else 1.0
            z = (time_s - peak_s - heart.centre_s[row] * stretch) / (heart.width_s[row] * stretch)
            slow += heart.dipole_mv[row][:, None] * np.exp(-z * z / 2)
    np.testing.assert_allclose(fast, slow, atol=1e-6)


@settings(max_examples=20)
@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_a_rotation_keeps_lengths_and_handedness(angles: list[float]) -> None:
    rotation = rotation_matrix(np.array(angles))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)
