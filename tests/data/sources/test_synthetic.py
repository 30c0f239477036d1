"""The synthetic source: physics, determinism, and leads that differ in what they show."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.data.recording import LEADS, Recording
from mvkt_ray.data.sources import open_source
from mvkt_ray.data.sources.synthetic import DISEASES, Synthetic
from mvkt_ray.errors import ConfigError


def recordings(rate_hz: int = 100, **options: object) -> list[Recording]:
    source = open_source("synthetic", "", options)
    return [source.read(ref) for ref in source.references(rate_hz)]


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), rate_hz=st.sampled_from([100, 250, 500]))
def test_limb_leads_obey_einthoven_and_goldberger(seed: int, rate_hz: int) -> None:
    (recording,) = recordings(rate_hz, n_recordings=1, seed=seed, duration_s=3)
    one, two, three, right, left, foot = recording.signal_mv[:6].astype(np.float64)
    tolerance = 1e-6 * max(1.0, float(np.abs(recording.signal_mv).max()))
    np.testing.assert_allclose(three, two - one, atol=tolerance)
    np.testing.assert_allclose(right, -(one + two) / 2, atol=tolerance)
    np.testing.assert_allclose(left, one - two / 2, atol=tolerance)
    np.testing.assert_allclose(foot, two - one / 2, atol=tolerance)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), duration_s=st.floats(1, 30), equal=st.booleans())
def test_signals_are_whole_and_of_the_size_of_real_ones(
    seed: int, duration_s: float, equal: bool
) -> None:
    options = {"n_recordings": 2, "seed": seed, "duration_s": duration_s, "equal_leads": equal}
    for recording in recordings(100, **options):
        assert recording.signal_mv.shape == (12, round(duration_s * 100))
        assert np.isfinite(recording.signal_mv).all()
        assert np.abs(recording.signal_mv).max() < 15
        assert (np.ptp(recording.signal_mv, axis=1) > 0.02).all()
        assert recording.leads == LEADS
        assert set(recording.codes) <= {"NORM", *DISEASES}


def test_a_recording_depends_on_seed_and_number_alone() -> None:
    source = Synthetic(n_recordings=8, n_patients=5, seed=3)
    refs = list(source.references(100))
    backwards = [source.read(ref) for ref in reversed(refs)][::-1]
    elsewhere = pickle.loads(pickle.dumps(source))
    for ref, recording in zip(refs, backwards, strict=True):
        again = elsewhere.read(pickle.loads(pickle.dumps(ref)))
        np.testing.assert_array_equal(again.signal_mv, recording.signal_mv)
        assert again.codes == recording.codes
    other = Synthetic(n_recordings=8, n_patients=5, seed=4)
    assert not np.array_equal(other.read(refs[0]).signal_mv, backwards[0].signal_mv)


def test_some_patients_have_two_recordings_that_differ_with_the_same_diagnosis() -> None:
    found = recordings(n_recordings=20)
    counts = Counter(recording.patient_id for recording in found)
    assert sorted(Counter(counts.values()).items()) == [(1, 14), (2, 3)]
    twice = next(patient for patient, n in counts.items() if n == 2)
    one, two = (recording for recording in found if recording.patient_id == twice)
    assert (one.codes, one.age, one.sex) == (two.codes, two.age, two.sex)
    assert not np.array_equal(one.signal_mv, two.signal_mv)


def test_every_code_occurs_some_together_and_none_with_normal() -> None:
    found = [recording.codes for recording in recordings(n_recordings=400, duration_s=1)]
    counts = Counter(code for codes in found for code in codes)
    assert counts.keys() == {"NORM", *DISEASES}
    assert min(counts.values()) >= 8
    assert sum(len(codes) == 2 for codes in found) >= 20
    assert all(codes == ("NORM",) for codes in found if "NORM" in codes)


def test_diseases_show_in_the_leads_that_they_show_in_on_patients() -> None:
    found = recordings(500, n_recordings=150, n_patients=150, noise=0)

    def spread(code: str, lead: str) -> tuple[float, float]:
        """Mean height of the QRS complex upwards and downwards, in mV."""
        rows = [r.signal_mv[LEADS.index(lead)] for r in found if r.codes == (code,)]
        assert len(rows) >= 3
        return (float(np.mean([row.max() for row in rows])),
                float(np.mean([row.min() for row in rows])))  # fmt: skip

    assert spread("LVH", "V6")[0] > 1.2 * spread("NORM", "V6")[0]
    assert spread("LVH", "V1")[1] < 1.2 * spread("NORM", "V1")[1]
    assert spread("IMI", "aVF")[0] < spread("NORM", "aVF")[0]
    assert spread("IMI", "aVF")[1] < spread("NORM", "aVF")[1]
    assert spread("AMI", "V4")[0] < spread("NORM", "V4")[0]
    assert spread("CRBBB", "V1")[0] > 1.3 * spread("NORM", "V1")[0]
    assert spread("CRBBB", "I")[1] < spread("NORM", "I")[1]


def test_equal_leads_show_the_same_heart_under_noise_of_the_same_size() -> None:
    for clean in recordings(n_recordings=3, equal_leads=True, noise=0):
        assert (clean.signal_mv == clean.signal_mv[0]).all()
    noisy = recordings(n_recordings=40, equal_leads=True)
    clean = recordings(n_recordings=40, equal_leads=True, noise=0)
    difference = np.stack([a.signal_mv - b.signal_mv for a, b in zip(noisy, clean, strict=True)])
    sizes = difference.std(axis=(0, 2))
    assert sizes.min() > 0.05
    assert sizes.max() / sizes.min() < 1.5
    between = np.corrcoef(difference.transpose(1, 0, 2).reshape(12, -1))
    assert np.abs(between - np.eye(12)).max() < 0.5


def test_mains_show_where_the_rate_can_carry_them() -> None:
    (recording,) = recordings(500, n_recordings=1)
    power = np.abs(np.fft.rfft(recording.signal_mv, axis=1)) ** 2
    bins = power[:, 480:521]  # 48 to 52 Hz, in steps of 0.1 Hz
    assert (bins.argmax(axis=1) == 20).sum() >= 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_recordings": 0}, "n_recordings.*0.*at least 1"),
        ({"n_recordings": 5, "n_patients": 6}, r"n_patients.*6.*n_recordings \(5\)"),
        ({"duration_s": 0.5}, "duration_s.*0.5.*1 to 3600"),
        ({"noise": -1}, "noise"),
        ({"seed": -1}, "seed"),
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_source("synthetic", "", options)
