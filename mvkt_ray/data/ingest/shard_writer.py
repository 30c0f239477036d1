"""Turns recordings into the one record batch of a shard: leads, rate, scale, and what is refused.

Writes: `recordings/shard-*.arrow`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from mvkt_ray.data.recording import LEADS, Recording
from mvkt_ray.data.sampling_rate import resample
from mvkt_ray.data.shard_columns import MV_PER_BIT, SUMS, shard_schema
from mvkt_ray.data.shard_file import Parts, measure_parts
from mvkt_ray.errors import ConfigError, RecordingError
from mvkt_ray.storage.location import Location

_INT16_MAX = np.iinfo(np.int16).max
_LIST_MAX = np.iinfo(np.int32).max
_MAX_RATE_HZ = 32_000
"""No ECG is sampled faster; a rate above it is a slip of the keyboard that would fill the disk."""
_MAX_RATIO = 1000
"""Of a recording's rate and the shards', either way: beyond it a header is wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestSettings:
    """Settings that all recordings of a shard set share."""

    sampling_rate_hz: int = 100
    leads: tuple[str, ...] = LEADS
    rows_per_shard: int = 2048
    flat_leads: Literal["quarantine", "keep"] = "quarantine"
    """Recordings with a lead of one value throughout; kept ones name it in `flat_leads`."""
    missing_leads: Literal["quarantine", "keep"] = "quarantine"
    """Recordings that lack a lead; kept ones have null there, and no split that needs it."""
    uncalibrated: Literal["quarantine", "keep"] = "keep"
    """Recordings whose file states no gain of a lead, or no sampling rate; kept ones are counted,
    with the format's default for both."""
    n_folds: int = 10
    """Where the source has no folds."""
    seed: int = 0
    compression: Literal["none", "zstd"] = "none"
    """`zstd` is for cold storage: it cannot be mapped without copying."""
    strict: bool = False
    """Stop at the first recording that cannot be used."""

    def __post_init__(self) -> None:
        if not 1 <= self.sampling_rate_hz <= _MAX_RATE_HZ:
            raise ConfigError(
                f"sampling_rate_hz must be from 1 to {_MAX_RATE_HZ}, got "
                f"{self.sampling_rate_hz!r}; ECGs are usually kept at 100 to 1000 Hz."
            )
        if self.rows_per_shard < 1:
            raise ConfigError(f"rows_per_shard must be at least 1, got {self.rows_per_shard!r}.")
        if not 3 <= self.n_folds <= _INT16_MAX:
            raise ConfigError(
                f"n_folds must be at least 3, for train, val and test, and at most {_INT16_MAX}; "
                f"got {self.n_folds!r}."
            )
        if self.seed < 0:
            raise ConfigError(f"seed must be 0 or above, got {self.seed!r}.")
        wrong = [lead for lead in self.leads if lead not in LEADS]
        if wrong or not self.leads or len(set(self.leads)) < len(self.leads):
            raise ConfigError(
                f"leads must be some of {', '.join(LEADS)}, each once; got {list(self.leads)!r}."
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Row:
    """One recording as a shard holds it."""

    recording: Recording
    """Its signal is no longer needed."""
    signal: np.ndarray
    """int16 `[n_leads, n_samples]`, a row for each of `leads`."""
    leads: tuple[str, ...]
    flat_leads: tuple[str, ...]
    has_assumed_gain: bool
    has_assumed_rate: bool


def row_of_recording(recording: Recording, settings: IngestSettings) -> Row:
    """Check a recording and bring it to the rate and the scale of the shard set.

    Raises:
        RecordingError: It cannot be used: `missing_lead`, `uncalibrated`, `nan`, `flat_lead`,
            `amplitude`, `empty`, `rate`.
    """
    name = f"recording {recording.record_id}"
    leads = tuple(lead for lead in settings.leads if lead in recording.leads)
    missing = [lead for lead in settings.leads if lead not in leads]
    if not leads or (missing and settings.missing_leads == "quarantine"):
        raise RecordingError(f"{name} lacks {', '.join(missing)}", "missing_lead")
    assumed_gains = [lead for lead in leads if lead in recording.uncalibrated_leads]
    if settings.uncalibrated == "quarantine" and (assumed_gains or recording.rate_is_assumed):
        unstated = [f"no gain of {', '.join(assumed_gains)}"] if assumed_gains else []
        unstated += ["no sampling rate"] if recording.rate_is_assumed else []
        raise RecordingError(f"{name} states {' and '.join(unstated)}", "uncalibrated")
    signal_mv = recording.signal_mv[[recording.leads.index(lead) for lead in leads]]
    if signal_mv.shape[1] == 0:
        raise RecordingError(f"{name} has no samples", "empty")
    if not np.isfinite(signal_mv).all():
        raise RecordingError(f"{name} has samples that are not numbers", "nan")
    flat = tuple(
        lead for lead, values in zip(leads, signal_mv, strict=True) if np.ptp(values) < MV_PER_BIT
    )
    if flat and settings.flat_leads == "quarantine":
        raise RecordingError(f"{name} is constant in {', '.join(flat)}", "flat_lead")
    ratio = settings.sampling_rate_hz / recording.sampling_rate_hz
    if not 1 / _MAX_RATIO <= ratio <= _MAX_RATIO or recording.sampling_rate_hz > _MAX_RATE_HZ:
        raise RecordingError(
            f"{name} states a rate of {recording.sampling_rate_hz:g} Hz, which is no rate of an "
            f"ECG to bring to {settings.sampling_rate_hz} Hz",
            "rate",
        )
    resampled = resample(signal_mv, recording.sampling_rate_hz, settings.sampling_rate_hz)
    bits = np.rint(resampled.astype(np.float64) / MV_PER_BIT)
    if np.abs(bits).max() > _INT16_MAX:
        worst_mv = float(np.abs(resampled).max())
        raise RecordingError(
            f"{name} reaches {worst_mv:.1f} mV, 16 bits hold {_INT16_MAX * MV_PER_BIT:.3f} mV",
            "amplitude",
        )
    return Row(
        recording=recording,
        signal=bits.astype(np.int16),
        leads=leads,
        flat_leads=flat,
        has_assumed_gain=bool(assumed_gains),
        has_assumed_rate=recording.rate_is_assumed,
    )


def record_batch(rows: Sequence[Row], settings: IngestSettings) -> pa.RecordBatch:
    """Put rows into Arrow columns.

    Raises:
        ConfigError: A lead has more samples than one shard can count.
    """
    schema = shard_schema(settings.leads, settings.sampling_rate_hz)
    recordings = [row.recording for row in rows]
    sums = [_sums(row.signal) for row in rows]
    columns = {
        "record_id": [recording.record_id for recording in recordings],
        "patient_id": [recording.patient_id for recording in recordings],
        "source": [recording.source for recording in recordings],
        "fold": [recording.fold for recording in recordings],
        "age": [recording.age for recording in recordings],
        "sex": [recording.sex for recording in recordings],
        "codes": [recording.codes for recording in recordings],
        "likelihoods": [recording.likelihoods for recording in recordings],
        "flat_leads": [row.flat_leads for row in rows],
        "n_samples": [row.signal.shape[1] for row in rows],
        **{name: [each[at] for each in sums] for at, name in enumerate(SUMS)},
    }
    arrays = [pa.array(values, schema.field(name).type) for name, values in columns.items()]
    arrays += [_lead_array(rows, lead, settings) for lead in settings.leads]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _sums(signal: np.ndarray) -> tuple[int, int, int]:
    """Return `SUMS` of a recording."""
    values = signal.ravel().astype(np.int64)
    return len(values), int(values.sum()), int(np.dot(values, values))


def _lead_array(rows: Sequence[Row], lead: str, settings: IngestSettings) -> pa.Array:
    parts = [
        row.signal[row.leads.index(lead)] if lead in row.leads else np.empty(0, np.int16)
        for row in rows
    ]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    if offsets[-1] > _LIST_MAX:
        raise ConfigError(
            f"{len(rows)} recordings have {offsets[-1]} samples a lead, a shard holds {_LIST_MAX}. "
            f"Set rows_per_shard below {settings.rows_per_shard}."
        )
    absent = np.array([lead not in row.leads for row in rows], dtype=bool)
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()),
        pa.array(np.concatenate([np.empty(0, np.int16), *parts])),
        mask=pa.array(absent) if absent.any() else None,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenShard:
    """Entry of a shard in the manifest and in the list of parts."""

    sha256: str
    size_bytes: int
    parts: Parts
    """Empty when the shard is compressed."""


def write_shard(batch: pa.RecordBatch, path: Location, settings: IngestSettings) -> WrittenShard:
    """Write a shard aside and move it, or upload it, into place."""
    is_compressed = settings.compression != "none"
    codec = settings.compression if is_compressed else None
    with path.writing_aside() as aside:
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with pa.ipc.new_file(str(aside), batch.schema, options=options) as writer:
            writer.write_batch(batch)
        return WrittenShard(
            sha256=Location.parse(aside).sha256(),
            size_bytes=aside.stat().st_size,
            parts={} if is_compressed else measure_parts(aside, settings.leads),
        )


def with_folds(
    batch: pa.RecordBatch, folds: np.ndarray, patients: pa.Array | None = None
) -> pa.RecordBatch:
    """Return the batch with other folds, and other patients if given; the signals are the same."""
    position = batch.schema.get_field_index("fold")
    batch = batch.set_column(position, batch.schema.field(position), pa.array(folds, pa.int16()))
    if patients is None:
        return batch
    position = batch.schema.get_field_index("patient_id")
    return batch.set_column(position, batch.schema.field(position), patients)
