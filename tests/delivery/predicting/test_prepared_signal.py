import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.data.recording import Recording
from mvkt_ray.delivery.predicting.prepared_signal import (
    LARGEST_MV,
    SHORTEST_S,
    SMALLEST_MV,
    SignalPreparation,
)
from mvkt_ray.errors import ArtifactError, RecordingError
from tests.delivery.predicting.model_values import model_file
from tests.delivery.predicting.written_recordings import signal_of


def recording(signal_mv: np.ndarray, rate_hz: float = 100, **facts: object) -> Recording:
    values = np.atleast_2d(signal_mv).astype(np.float32)
    return Recording(
        source="test",
        record_id="r1",
        patient_id="p1",
        signal_mv=values,
        sampling_rate_hz=rate_hz,
        **{"leads": ("V5",), **facts},  # pyright: ignore[reportArgumentType]
    )


@given(
    n_samples=st.integers(100, 1500),
    window=st.integers(2, 400),
    stride=st.integers(1, 400),
)
def test_windows_show_every_sample_and_end_with_the_recording(
    n_samples: int, window: int, stride: int
) -> None:
    model = model_file(window_samples=window, stride_samples=min(stride, window))
    signal = SignalPreparation(model).prepare(recording(np.arange(n_samples) * 0.002))
    windows_WLS = signal.windows(0, signal.n_windows, window)
    assert windows_WLS.shape == (signal.n_windows, 1, window)
    shown = np.rint(windows_WLS / 0.002).astype(int)
    assert set(shown.ravel()) == set(range(n_samples))
    if n_samples >= window:
        assert shown[-1, 0, -1] == n_samples - 1
        assert (np.diff(shown[:, 0], axis=1) == 1).all()
        assert signal.remarks == ()
    else:
        assert shown.ravel().tolist() == [at % n_samples for at in range(window)]
        assert "were repeated" in signal.remarks[0]


@given(ends=st.tuples(st.integers(0, 7), st.integers(0, 7)).map(sorted))
def test_some_windows_are_those_of_all(ends: list[int]) -> None:
    signal = SignalPreparation(model_file()).prepare(recording(signal_of(0, 1000)))
    first, last = ends
    whole = signal.windows(0, signal.n_windows, 250)
    np.testing.assert_array_equal(signal.windows(first, last, 250), whole[first:last])


def test_a_signal_is_brought_to_the_rate_and_rounded_to_microvolts() -> None:
    time_s = np.arange(5000) / 500
    signal = SignalPreparation(model_file()).prepare(recording(np.sin(2 * np.pi * time_s), 500))
    assert signal.bits_LS.shape == (1, 1000)
    assert signal.bits_LS.dtype == np.int16
    expected = np.rint(1000 * np.sin(2 * np.pi * np.arange(1000) / 100))
    assert np.abs(signal.bits_LS[0] - expected)[50:-50].max() <= 1


def test_only_the_leads_of_the_model_are_looked_at() -> None:
    ill_mv = np.stack([signal_of(0, 500), np.full(500, np.nan), np.zeros(500)])
    signal = SignalPreparation(model_file(leads=("I",))).prepare(
        recording(ill_mv, leads=("I", "II", "V5"))
    )
    np.testing.assert_array_equal(signal.bits_LS[0], np.rint(signal_of(0, 500) * 1000))


TEN_S = signal_of(3, 1000)


@pytest.mark.parametrize(
    ("signal_mv", "reason"),
    [
        (TEN_S[: int(SHORTEST_S * 100) - 1], "too_short"),
        (TEN_S[:0], "empty"),
        (np.where(np.arange(1000) == 500, np.nan, TEN_S), "nan"),
        (np.where(np.arange(1000) == 500, np.inf, TEN_S), "nan"),
        (np.full(1000, 0.7), "flat_lead"),
        (TEN_S * 1000, "not_millivolts"),
        (TEN_S / 1000, "not_millivolts"),
        (TEN_S * 200, "not_millivolts"),
        (np.where(np.arange(1000) == 500, 40.0, TEN_S), "amplitude"),
    ],
)
def test_what_is_no_ecg_is_refused(signal_mv: np.ndarray, reason: str) -> None:
    with pytest.raises(RecordingError) as raised:
        SignalPreparation(model_file()).prepare(recording(signal_mv))
    assert raised.value.reason == reason
    assert "recording r1" in str(raised.value)


def test_what_electrodes_do_is_not_refused() -> None:
    preparation = SignalPreparation(model_file())
    spike_mv = np.where(np.arange(1000) % 20 == 0, 30.0, TEN_S)
    preparation.prepare(recording(spike_mv))
    preparation.prepare(recording(TEN_S + 12.0))
    preparation.prepare(recording(TEN_S[: int(SHORTEST_S * 100)]))
    preparation.prepare(recording(np.where(TEN_S > 0, 1.01 * SMALLEST_MV, 0.0)))
    preparation.prepare(recording(np.where(np.arange(1000) % 2 == 0, LARGEST_MV, -LARGEST_MV)))


def test_another_lead_is_named() -> None:
    with pytest.raises(RecordingError, match="has no lead V5: it has I and II") as raised:
        SignalPreparation(model_file()).prepare(
            recording(np.stack([TEN_S, TEN_S]), leads=("I", "II"))
        )
    assert raised.value.reason == "missing_lead"


def test_a_rate_of_no_ecg_is_refused() -> None:
    with pytest.raises(RecordingError) as raised:
        SignalPreparation(model_file()).prepare(recording(np.tile(TEN_S, 100), 1e5))
    assert raised.value.reason == "rate"


def test_what_is_assumed_is_remarked() -> None:
    facts = {"uncalibrated_leads": ("V5", "V6"), "rate_is_assumed": True}
    signal = SignalPreparation(model_file()).prepare(recording(np.tile(TEN_S, 3), 250, **facts))
    assert signal.remarks == (
        "no gain is stated for V5: the format's default is assumed",
        "no rate is stated: 250 Hz assumed",
    )


def test_a_model_of_another_rounding_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"0\.01 mV per bit"):
        SignalPreparation(model_file(mv_per_bit=0.01))
