"""Brings a signal to another sampling rate.

scipy.signal takes most of a second to import, so it is where it is needed: a search whose shards
are there does without, and so does an ingest at the rate of the recordings.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np

_MAX_FACTOR = 5000
"""Rates are matched by whole factors up to this, that is within one part in its square."""
_FILTER_PERIODS = 20
_CUTOFF = 0.9
_KAISER_BETA = 5.65
"""A Kaiser low-pass that passes 0.8 of the lower Nyquist frequency, is 6 dB down at `_CUTOFF`, and
60 dB down from 1 on, so that mains hum at 50 Hz does not get into signals of 100 Hz. PTB-XL's own
100 Hz files were made by such a filter (measured: 0.98 at 41 Hz, 0.64 at 44 Hz, 0.02 at 48.5 Hz).
"""


def resample(signal_mv: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """Change the rate by a polyphase low-pass filter of linear phase; sample 0 stays at time 0.

    Beyond its ends the signal is continued by the line through them: an offset makes no step.

    Args:
        signal_mv: `[n_leads, n_samples]`.
        from_hz: Its rate.
        to_hz: The rate wanted.

    Returns:
        float32 `[n_leads, ceil(n_samples * to_hz / from_hz)]`.
    """
    ratio = (Fraction(to_hz) / Fraction(from_hz)).limit_denominator(_MAX_FACTOR)
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return signal_mv.astype(np.float32, copy=False)
    from scipy.signal import resample_poly

    doubles = signal_mv.astype(np.float64)
    resampled = resample_poly(
        doubles, up, down, axis=-1, window=_low_pass(max(up, down)), padtype="line"
    )
    return np.asarray(resampled, dtype=np.float32)


@lru_cache(maxsize=16)
def _low_pass(longest: int) -> np.ndarray:
    """Design the filter for the rate that both rates divide."""
    from scipy.signal.windows import kaiser

    n_taps = 2 * _FILTER_PERIODS * longest + 1
    window = kaiser(n_taps, _KAISER_BETA, sym=True)
    ideal = np.sinc(_CUTOFF / longest * (np.arange(n_taps) - (n_taps - 1) / 2)) * window
    return ideal / ideal.sum()
