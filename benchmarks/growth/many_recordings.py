"""What opening shards, splits and a loader takes, in time and memory, with millions of recordings.

    python -m benchmarks.growth.many_recordings [--recordings 100000 1000000 10000000] [--at FOLDER]

The shards are real ones: manifest, files of 2,048 rows, all columns; but their signals are a
quarter of a second of one lead, so that ten million of them take two gigabytes. Each step is run in
a process of its own, which tells the memory that it holds in the end, and its peak, both above what
the imports had taken. The peak counts pages of the mapped files, which the system may take back.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mvkt_ray.config.schema import FoldsConfig
from mvkt_ray.data.loader import TrainLoader
from mvkt_ray.data.shards import (
    KIND,
    RECORDINGS_FOLDER,
    SUMS,
    open_shards,
    shard_name,
    shard_schema,
)
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.views import View
from mvkt_ray.storage.artifacts import publish
from mvkt_ray.storage.location import Location

ROWS_PER_SHARD = 2048
N_SAMPLES = 25
LEAD = "II"
CODES = ("426783006", "164889003", "164890007", "713422000")
TASK = Task.of_classes("rhythm", {name: [name] for name in CODES})
FOLDS = FoldsConfig(train=tuple(range(1, 9)), val=(9,), test=(10,))
VIEW = View(
    leads=(LEAD,),
    crop_samples=N_SAMPLES,
    grid_samples=5,
    stride_samples=5,
    mean_mv=0.0,
    std_mv=1.0,
)
STEPS = ("manifest", "splits", "first batch")


def make_shards(folder: Path, n_recordings: int) -> None:
    """Write a shard set in which every patient has two recordings."""
    location = Location.parse(folder / "shards")
    made = folder / "shards.partial"
    (made / RECORDINGS_FOLDER).mkdir(parents=True)
    rows: dict[str, int] = {}
    for index, first in enumerate(range(0, n_recordings, ROWS_PER_SHARD)):
        numbers = np.arange(first, min(first + ROWS_PER_SHARD, n_recordings))
        rows[shard_name(index)] = len(numbers)
        batch = _batch(numbers)
        with pa.ipc.new_file(made / shard_name(index), batch.schema) as writer:
            writer.write_batch(batch)
    publish(
        location,
        kind=KIND,
        config={"made_up": n_recordings},
        inputs={},
        n_rows=rows,
        known_hashes=dict.fromkeys(rows, "0" * 64),
        counts={"n_recordings": n_recordings, "n_with_missing_lead": 0},
        details={
            "source": "made_up",
            "sampling_rate_hz": 100,
            "leads": [LEAD],
            "compression": "none",
            "tasks": {TASK.name: TASK.to_json()},
            "codes": dict.fromkeys(CODES, n_recordings // len(CODES)),
        },
    )


def _batch(numbers: np.ndarray) -> pa.RecordBatch:
    n = len(numbers)
    patients = numbers // 2
    ones = np.arange(n + 1, dtype=np.int32)
    schema = shard_schema([LEAD], 100)
    codes = pa.array(CODES).take(pa.array(numbers % len(CODES)))

    def texts(values: np.ndarray, pattern: str) -> pa.Array:
        before, after = pattern.split("{}")
        parts = [before, pa.array(values).cast(pa.string()), after, ""]
        return pc.call_function("binary_join_element_wise", parts)

    columns: dict[str, Any] = {
        "record_id": texts(numbers, "records100/00000/{}_lr"),
        "patient_id": texts(patients + 1, "{}"),
        "source": pa.repeat("made_up", n),
        "fold": (patients % 10 + 1).astype(np.int16),
        "age": np.full(n, 60, dtype=np.float32),
        "sex": pa.repeat("female", n),
        "codes": pa.ListArray.from_arrays(ones, codes),
        "likelihoods": pa.ListArray.from_arrays(ones, pa.array(np.full(n, 100, np.float32))),
        "flat_leads": pa.ListArray.from_arrays(np.zeros(n + 1, np.int32), pa.array([], "string")),
        "n_samples": np.full(n, N_SAMPLES, dtype=np.int32),
        **{name: np.zeros(n, dtype=np.int64) for name in SUMS},
        LEAD: pa.ListArray.from_arrays(ones * N_SAMPLES, pa.array(np.zeros(n * 25, np.int16))),
    }
    return pa.record_batch([_as_array(columns[each.name], each.type) for each in schema], schema)


def _as_array(values: Any, kind: pa.DataType) -> pa.Array:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


def run_steps(folder: Path, last: str) -> dict[str, float]:
    """Run all steps up to one; return its seconds, and the peak of memory above the imports'."""
    before_mb, held_before_mb = _peak_mb(), _held_mb()
    took: dict[str, float] = {}

    def step(name: str, function: Callable[[], Any]) -> Any:
        if STEPS.index(name) > STEPS.index(last):
            return None
        started, cpu = time.perf_counter(), time.process_time()
        answer = function()
        took["wall_s"] = took.get("wall_s", 0.0) + time.perf_counter() - started
        took["cpu_s"] = took.get("cpu_s", 0.0) + time.process_time() - cpu
        return answer

    def first_batch() -> Any:
        loader = TrainLoader(shards, splits.train, VIEW, batch_size=64, seed=0)
        return next(loader.epoch(1))

    shards = step("manifest", lambda: open_shards(folder / "shards", leads=[LEAD]))
    splits = step("splits", lambda: open_training_splits(shards, shards.task("rhythm"), FOLDS))
    step("first batch", first_batch)
    return took | {"held_mb": _held_mb() - held_before_mb, "peak_mb": _peak_mb() - before_mb}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _held_mb() -> float:
    """Memory of this process alone, without what it has mapped of files."""
    [line] = [each for each in Path("/proc/self/status").open() if each.startswith("RssAnon")]
    return int(line.split()[1]) / 1024


def main() -> None:
    """Make each shard set, and print what opening it takes, step by step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--at", type=Path, help="keep the shards here")
    parser.add_argument("--step", choices=STEPS, help="run up to it, in this process")
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(run_steps(arguments.at, arguments.step)))
        return
    with tempfile.TemporaryDirectory(prefix="mvkt-recordings-") as name:
        for n_recordings in arguments.recordings:
            folder = (arguments.at or Path(name)) / str(n_recordings)
            if not folder.exists():
                make_shards(folder, n_recordings)
            for step in STEPS:
                line = [sys.executable, "-m", "benchmarks.growth.many_recordings"]
                line += ["--at", str(folder), "--step", step]
                found = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
                shown = "  ".join(f"{key} {value:,.2f}" for key, value in found.items())
                print(f"{n_recordings:>12,} recordings, to {step:12} {shown}", flush=True)


if __name__ == "__main__":
    main()
