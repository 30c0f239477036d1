"""What opening shards, splits and a loader takes, in time and memory, with millions of recordings.

    python -m benchmarks.growth.many_recordings [--recordings 100000 1000000 10000000] [--at FOLDER]

The shards are real ones: manifest, files of 2,048 rows, all columns; but their signals are a
quarter of a second of one lead, so that ten million of them take two gigabytes. Each step is run in
a process of its own, which tells the memory that it holds in the end, and its peak, both above what
the imports had taken. The peak counts pages of the mapped files, which the system may take back.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mvkt_ray.data.loader import TrainLoader
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.data.views import View

from .made_up_shards import FOLDS, made_up_task, make_shards
from .measured import held_mb, peak_mb

N_SAMPLES = 25
LEAD = "II"
N_CLASSES = 4
VIEW = View(
    leads=(LEAD,),
    crop_samples=N_SAMPLES,
    grid_samples=5,
    stride_samples=5,
    mean_mv=0.0,
    std_mv=1.0,
)
STEPS = ("manifest", "splits", "first batch")


def run_steps(folder: Path, last: str) -> dict[str, float]:
    """Run all steps up to one; return its seconds, and the peak of memory above the imports'."""
    before_mb, held_before_mb = peak_mb(), held_mb()
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
    splits = step("splits", lambda: open_training_splits(shards, made_up_task(N_CLASSES), FOLDS))
    step("first batch", first_batch)
    return took | {"held_mb": held_mb() - held_before_mb, "peak_mb": peak_mb() - before_mb}


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
                folder.mkdir(parents=True)
                make_shards(
                    folder / "shards",
                    n_recordings,
                    leads=[LEAD],
                    n_samples=N_SAMPLES,
                    n_classes=N_CLASSES,
                )
            for step in STEPS:
                line = [sys.executable, "-m", "benchmarks.growth.many_recordings"]
                line += ["--at", str(folder), "--step", step]
                found = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
                shown = "  ".join(f"{key} {value:,.2f}" for key, value in found.items())
                print(f"{n_recordings:>12,} recordings, to {step:12} {shown}", flush=True)


if __name__ == "__main__":
    main()
