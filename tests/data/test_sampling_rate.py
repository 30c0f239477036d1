"""Another sampling rate: waves keep their time and size."""

import numpy as np
import pytest

from mvkt_ray.data.sampling_rate import resample


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(500, 100), (1000, 100), (257, 100), (100, 100), (250, 500), (360, 500)]
)
def test_resampling_keeps_waves_in_time_and_size(from_hz: int, to_hz: int) -> None:
    def wave_mv(rate_hz: int, n_samples: int) -> np.ndarray:
        time_s = np.arange(n_samples) / rate_hz
        return np.stack([np.sin(2 * np.pi * 7 * time_s) + 3, np.cos(2 * np.pi * 1.3 * time_s)])

    n_in = from_hz * 4
    found = resample(wave_mv(from_hz, n_in).astype(np.float32), from_hz, to_hz)
    assert found.dtype == np.float32
    assert found.shape == (2, 4 * to_hz)
    expected = wave_mv(to_hz, 4 * to_hz)
    inside = slice(to_hz // 2, -to_hz // 2)
    np.testing.assert_allclose(found[:, inside], expected[:, inside], atol=4e-3)


def test_resampling_takes_out_mains_hum_and_leaves_an_offset_alone() -> None:
    time_s = np.arange(2000) / 500
    hum = (2.5 + np.sin(2 * np.pi * 50 * time_s))[None].astype(np.float32)
    found = resample(hum, 500, 100)
    assert np.abs(found[:, 30:-30] - 2.5).max() < 2e-3
    constant = resample(np.full((1, 700), 1.234, np.float32), 257, 100)
    np.testing.assert_allclose(constant, 1.234, atol=5e-5)
