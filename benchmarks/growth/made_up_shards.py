"""Shards that are written at once, noise for signals, of any number of recordings and leads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.data.shard_columns import KIND, RECORDINGS_FOLDER, SUMS, shard_name, shard_schema
from mvkt_ray.data.tasks import Task
from mvkt_ray.storage.artifacts import publish
from mvkt_ray.storage.location import Location

SAMPLING_RATE_HZ = 100
ROWS_PER_SHARD = 2048
FOLDS = FoldsConfig(train=tuple(range(1, 9)), val=(9,), test=(10,))


def made_up_task(n_classes: int) -> Task:
    """Return a task of so many classes, with codes as long as those of SNOMED CT."""
    codes = [f"{164889003 + number}" for number in range(n_classes)]
    return Task.of_classes("made_up", {code: [code] for code in codes}, sort=False)


def make_shards(
    folder: Path, n_recordings: int, *, leads: Sequence[str], n_samples: int, n_classes: int
) -> None:
    """Write a shard set in which every patient has two recordings, and every recording a code."""
    made = folder.with_name(f"{folder.name}.partial")
    (made / RECORDINGS_FOLDER).mkdir(parents=True)
    task = made_up_task(n_classes)
    rows: dict[str, int] = {}
    for index, first in enumerate(range(0, n_recordings, ROWS_PER_SHARD)):
        numbers = np.arange(first, min(first + ROWS_PER_SHARD, n_recordings))
        rows[shard_name(index)] = len(numbers)
        batch = _batch(numbers, leads, n_samples, task)
        with pa.ipc.new_file(made / shard_name(index), batch.schema) as writer:
            writer.write_batch(batch)
    publish(
        Location.parse(folder),
        kind=KIND,
        config={"made_up": [n_recordings, list(leads), n_samples, n_classes]},
        inputs={},
        n_rows=rows,
        known_hashes=dict.fromkeys(rows, "0" * 64),
        counts={"n_recordings": n_recordings, "n_with_missing_lead": 0},
        details={
            "source": "made_up",
            "sampling_rate_hz": SAMPLING_RATE_HZ,
            "leads": list(leads),
            "compression": "none",
            "tasks": {task.name: task.to_json()},
            "codes": dict.fromkeys(task.classes, n_recordings // n_classes),
        },
    )


def _batch(numbers: np.ndarray, leads: Sequence[str], n_samples: int, task: Task) -> pa.RecordBatch:
    n, patients = len(numbers), numbers // 2
    rng = np.random.default_rng(numbers[0])
    ones = np.arange(n + 1, dtype=np.int32)
    schema = shard_schema(leads, SAMPLING_RATE_HZ)
    codes = pa.array(task.classes).take(pa.array(rng.integers(len(task.classes), size=n)))
    columns: dict[str, Any] = {
        "record_id": _texts("records100/00000/", numbers, "_lr"),
        "patient_id": _texts("", patients + 1, ""),
        "source": pa.repeat("made_up", n),
        "fold": (patients % 10 + 1).astype(np.int16),
        "age": np.full(n, 60, dtype=np.float32),
        "sex": pa.repeat("female", n),
        "codes": pa.ListArray.from_arrays(ones, codes),
        "likelihoods": pa.ListArray.from_arrays(ones, pa.array(np.full(n, 100, np.float32))),
        "flat_leads": pa.ListArray.from_arrays(np.zeros(n + 1, np.int32), pa.array([], "string")),
        "n_samples": np.full(n, n_samples, dtype=np.int32),
    }
    sums = np.zeros((len(SUMS), n), dtype=np.int64)
    for lead in leads:
        bits = rng.integers(-1000, 1000, size=n * n_samples, dtype=np.int16)
        columns[lead] = pa.ListArray.from_arrays(ones * n_samples, pa.array(bits))
        values = bits.reshape(n, n_samples).astype(np.int64)
        sums += [np.full(n, n_samples), values.sum(1), (values**2).sum(1)]
    columns |= dict(zip(SUMS, sums, strict=True))
    return pa.record_batch([_as_array(columns[each.name], each.type) for each in schema], schema)


def _texts(before: str, numbers: np.ndarray, after: str) -> pa.Array:
    parts = [before, pa.array(numbers).cast(pa.string()), after, ""]
    return pc.call_function("binary_join_element_wise", parts)


def _as_array(values: Any, kind: pa.DataType) -> pa.Array:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)
