"""Names and columns of the files of a shard set, and arrays made from columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mvkt_ray.data.tasks import Task

KIND = "shards"
RECORDINGS_FOLDER = "recordings"
QUARANTINE_NAME = "quarantine.parquet"
MV_PER_BIT = 0.001
"""1 uV per bit, the resolution of PTB-XL, CPSC and the Challenges."""

QUARANTINE_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("record_id", "path", "reason", "message")]
)

SUMS = ("n_values", "sum_of_values", "sum_of_squares")
"""Columns with the number of int16 values of all leads of a recording, and their two sums."""


def shard_schema(leads: Sequence[str], sampling_rate_hz: int) -> pa.Schema:
    """Return the columns of a shard; the scale of a lead is in its field's metadata."""
    unit = {"unit": "mV", "mv_per_bit": str(MV_PER_BIT)}
    return pa.schema(
        [
            pa.field("record_id", pa.string(), nullable=False),
            pa.field("patient_id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("fold", pa.int16()),
            pa.field("age", pa.float32(), metadata={"unit": "years"}),
            pa.field("sex", pa.string()),
            pa.field("codes", pa.list_(pa.string()), nullable=False),
            pa.field("likelihoods", pa.list_(pa.float32()), nullable=False),
            pa.field("flat_leads", pa.list_(pa.string()), nullable=False),
            pa.field("n_samples", pa.int32(), nullable=False),
            *(pa.field(name, pa.int64(), nullable=False) for name in SUMS),
            *(pa.field(lead, pa.list_(pa.int16()), metadata=unit) for lead in leads),
        ],
        metadata={"sampling_rate_hz": str(sampling_rate_hz)},
    )


def shard_name(index: int) -> str:
    """Path of a shard inside its shard set."""
    return f"{RECORDINGS_FOLDER}/shard-{index:05d}.arrow"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LeadColumn:
    """One lead of all recordings, one array per shard."""

    lead: str
    values: tuple[np.ndarray, ...]
    """int16, read-only, `MV_PER_BIT` mV per bit; the recordings of a shard one after the other."""
    offsets: tuple[np.ndarray, ...]
    """int64 `[n_rows + 1]`: recording i of a shard is `values[offsets[i]:offsets[i + 1]]`."""

    def starts(self) -> np.ndarray:
        """Return int64 `[n_recordings]`: where each recording begins within its shard's values."""
        return np.concatenate([offsets[:-1] for offsets in self.offsets])

    def lengths(self) -> np.ndarray:
        """Return int64 `[n_recordings]` in samples; 0 where a recording lacks the lead."""
        return np.concatenate([np.diff(offsets) for offsets in self.offsets])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SplitColumns:
    """Facts that determine the split of each recording; N recordings, C classes."""

    fold_N: np.ndarray
    """int16; -1 where the source gives a recording no fold."""
    patient_hash_N: np.ndarray
    """uint64, the same for every spelling of a patient; two patients may have one."""
    labels_NC: np.ndarray
    """bool, multi-hot."""


NO_FOLD = -1
"""Fold number of a recording without a fold."""


def fold_numbers(fold: pa.Array) -> np.ndarray:
    """Return int16 `[n_rows]` from the column `fold`, with `NO_FOLD` for null."""
    return pc.fill_null(fold, pa.scalar(NO_FOLD, pa.int16())).to_numpy()


def labels_of(
    codes: pa.ListArray, likelihoods: pa.ListArray, task: Task, min_likelihood: float = 0.0
) -> np.ndarray:
    """Return bool `[n_rows, n_classes]` from the columns of a shard, without Python per row."""
    labels = np.zeros((len(codes), len(task.classes)), dtype=bool)
    encoded = codes.flatten().dictionary_encode()
    row = np.repeat(np.arange(len(codes)), np.diff(codes.offsets.to_numpy()))
    code = encoded.indices.to_numpy()
    if min_likelihood > 0:
        counts = likelihoods.flatten().to_numpy() >= min_likelihood
        row, code = row[counts], code[counts]
    known = encoded.dictionary.to_pylist()
    place_of = {name: place for place, name in enumerate(task.classes)}
    belongs = np.zeros((len(known), len(task.classes)), dtype=bool)
    for number, name in enumerate(known):
        belongs[number, [place_of[each] for each in task.classes_of(name)]] = True
    labelled, column = np.nonzero(belongs[code])
    labels[row[labelled], column] = True
    return labels
