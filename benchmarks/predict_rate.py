"""Seconds of `mvkt predict` for many recordings on one core, as a user runs it.

    python benchmarks/predict_rate.py MODEL FOLDER [--recordings 1000] [--rounds 3]

The command is started anew each time, its imports and its file of predictions included, and is
held to one core; both graphs of the model in turn, where it has both.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Time both graphs in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder that mvkt export made")
    parser.add_argument("folder", type=Path, help="folder with WFDB records")
    parser.add_argument("--recordings", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    found = itertools.islice(sorted(arguments.folder.rglob("*.hea")), arguments.recordings)
    records = [str(header) for header in found]
    graphs = {"model.onnx": (), "model.int8.onnx": ("--int8",)}
    seconds = {name: [] for name in graphs if (arguments.model / name).exists()}
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="mvkt-predict-") as scratch:
        out = str(Path(scratch) / "predictions.csv")
        for _ in range(arguments.rounds):
            for name, each in seconds.items():
                line = [sys.executable, "-m", "mvkt_ray", "predict", str(arguments.model), *records]
                started = time.perf_counter()
                subprocess.run(
                    [*line, *graphs[name], "--out", out, "--quiet"],
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                each.append(time.perf_counter() - started)
    for name, each in seconds.items():
        times = ", ".join(f"{one:.2f}" for one in each)
        print(f"{len(records):,} recordings, {name}: {statistics.median(each):.2f} s ({times})")


if __name__ == "__main__":
    main()
