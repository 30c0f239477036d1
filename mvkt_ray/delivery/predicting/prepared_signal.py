"""Prepares a recording for a model: resampling, rounding and checks as at ingest, then windows.

Two further checks replace the view that an ingest has of a whole dataset: a recording must not be
shorter than `SHORTEST_S`, and its values must be plausible millivolts of an ECG.

Shapes: L leads, S samples, W windows.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.data.ingest.shard_writer import IngestSettings, row_of_recording
from mvkt_ray.data.recording import Recording
from mvkt_ray.data.shard_columns import MV_PER_BIT
from mvkt_ray.data.views import View
from mvkt_ray.errors import ArtifactError, RecordingError
from mvkt_ray.phrasing import listing

SHORTEST_S = 1.0
"""A shorter recording contains no complete beat at a resting heart rate."""
LARGEST_MV = 10.0
"""Bound on the 90th percentile of the distance to the lead's median. In PTB-XL and the Challenge of
2021 the largest one is 5.4 mV, with loose electrodes; values in ADC units exceed the bound."""
SMALLEST_MV = 0.02
"""Bound on the peak-to-peak amplitude: an ECG's is several times as large, values in volts are
below it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedSignal:
    """Input of a model for one recording."""

    bits_LS: NDArray[np.int16]
    """Signal at the model's sampling rate, in units of `MV_PER_BIT` mV."""
    starts_W: NDArray[np.int64]
    """First sample of each window."""
    remarks: tuple[str, ...]

    @property
    def n_windows(self) -> int:
        """Number of windows, at least 1."""
        return len(self.starts_W)

    def windows(self, first: int, last: int, window_samples: int) -> NDArray[np.float32]:
        """Return windows `first` to `last - 1`; a recording shorter than a window is repeated.

        Returns:
            Signals in mV, float32 `[last - first, n_leads, window_samples]`.
        """
        inside_WS = self.starts_W[first:last, None] + np.arange(window_samples)
        bits_LWS = self.bits_LS[:, inside_WS % self.bits_LS.shape[1]]
        return bits_LWS.swapaxes(0, 1) * np.float32(MV_PER_BIT)


class SignalFormat(Protocol):
    """Input format of a model: an exported file, or a loaded student."""

    @property
    def name(self) -> str:
        """Name in messages."""
        ...

    @property
    def mv_per_bit(self) -> float:
        """Resolution of its training recordings in mV."""
        ...

    @property
    def leads(self) -> tuple[str, ...]:
        """Leads in the order of its input."""
        ...

    @property
    def sampling_rate_hz(self) -> int:
        """Sampling rate of its input in Hz."""
        ...

    @property
    def window_samples(self) -> int:
        """Length of a window."""
        ...

    @property
    def stride_samples(self) -> int:
        """Distance between the beginnings of windows."""
        ...

    @property
    def mean_mv(self) -> float:
        """Mean that the input scaling subtracts, in mV."""
        ...

    @property
    def std_mv(self) -> float:
        """Standard deviation by which the input scaling divides, in mV."""
        ...


class SignalPreparation:
    """Prepares recordings for a model.

    Raises:
        ArtifactError: The model's resolution differs from this version's.
    """

    def __init__(self, model: SignalFormat) -> None:
        if model.mv_per_bit != MV_PER_BIT:
            raise ArtifactError(
                f"the model {model.name!r} was made from recordings of {model.mv_per_bit:g} mV per "
                f"bit, this mvkt-ray rounds to {MV_PER_BIT:g}. Export it again with this version."
            )
        self._rate_hz, self._leads = model.sampling_rate_hz, model.leads
        self._window_samples = model.window_samples
        self._settings = IngestSettings(sampling_rate_hz=model.sampling_rate_hz, leads=model.leads)
        self._view = View(
            leads=model.leads,
            crop_samples=model.window_samples,
            grid_samples=model.stride_samples,
            stride_samples=model.stride_samples,
            mean_mv=model.mean_mv,
            std_mv=model.std_mv,
        )

    def prepare(self, recording: Recording) -> PreparedSignal:
        """Check a recording, resample it to the model's rate, and round it.

        Raises:
            RecordingError: With a reason of `row_of_recording`, or `missing_lead`, `too_short` or
                `not_millivolts`.
        """
        self._check(recording)
        row = row_of_recording(recording, self._settings)
        n_samples = row.signal.shape[1]
        numbers_W = np.arange(int(self._view.n_windows(n_samples)))
        return PreparedSignal(
            bits_LS=row.signal,
            starts_W=self._view.window_starts(numbers_W, n_samples),
            remarks=tuple(self._remarks(recording, n_samples)),
        )

    def _check(self, recording: Recording) -> None:
        name = f"recording {recording.record_id}"
        missing = [lead for lead in self._leads if lead not in recording.leads]
        if missing:
            raise RecordingError(
                f"{name} has no lead {listing(missing)}: it has {listing(recording.leads)}",
                "missing_lead",
            )
        signal_LS = recording.signal_mv[[recording.leads.index(lead) for lead in self._leads]]
        duration_s = signal_LS.shape[1] / recording.sampling_rate_hz
        if 0 < duration_s < SHORTEST_S:
            raise RecordingError(
                f"{name} lasts {duration_s:.3g} s; at least {SHORTEST_S:g} s are needed",
                "too_short",
            )
        if signal_LS.size and np.isfinite(signal_LS).all():  # else row_of_recording raises
            _check_unit(name, signal_LS)

    def _remarks(self, recording: Recording, n_samples: int) -> list[str]:
        remarks: list[str] = []
        if n_samples < self._window_samples:
            remarks.append(
                f"{n_samples / self._rate_hz:g} s are shorter than a window of "
                f"{self._window_samples / self._rate_hz:g} s and were repeated"
            )
        assumed = [lead for lead in self._leads if lead in recording.uncalibrated_leads]
        if assumed:
            remarks.append(
                f"no gain is stated for {listing(assumed)}: the format's default is assumed"
            )
        if recording.rate_is_assumed:
            remarks.append(f"no rate is stated: {recording.sampling_rate_hz:g} Hz assumed")
        return remarks


def _check_unit(name: str, signal_LS: NDArray[np.float32]) -> None:
    wrong = f"{name} is not in millivolts, or not an ECG"
    away_LS = np.abs(signal_LS - np.median(signal_LS, axis=1, keepdims=True))
    usual_mv = float(np.quantile(away_LS, 0.9, axis=1).max())
    if usual_mv > LARGEST_MV:
        raise RecordingError(
            f"{wrong}: a tenth of its samples are {usual_mv:.3g} mV or more from their median",
            "not_millivolts",
        )
    spread_mv = float(np.ptp(signal_LS, axis=1).min())
    if MV_PER_BIT <= spread_mv < SMALLEST_MV:  # row_of_recording refuses a flat lead
        raise RecordingError(f"{wrong}: it spans {spread_mv:.3g} mV in all", "not_millivolts")
