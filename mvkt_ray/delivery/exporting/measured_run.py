"""Runs an exported graph in a new process, and measures time and memory.

`measure` runs this module as a program. It imports numpy and onnxruntime, but nothing of a study,
so that time and memory are those of a Python program on a device.

Reads: an ONNX file, windows in a `.npy` file. Writes: probabilities in a `.npy` file, and
measurements on stdout.

Shapes: B or W windows, L leads, S samples, C classes.
"""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.errors import ArtifactError
from mvkt_ray.storage.scratch_folder import scratch_folder

_WARM_UP, _RUNS = 5, 50

ENDS_WITHIN_S = 1800.0
"""Time limit of the process: half a minute for each run."""

_STATUS = Path("/proc/self/status")
"""File in which Linux states a process's peak memory; `ru_maxrss` may include the parent's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredRun:
    """Resources and outputs of one graph."""

    median_ms: float
    """Median time of a call with all windows of a recording, on one thread."""
    n_runs: int
    peak_bytes: int | None
    """Peak memory of the process; None except on Linux."""
    own_bytes: int | None
    """Memory that loading and running the graph added to Python, numpy and onnxruntime."""
    probabilities_WC: NDArray[np.float32]


def measure(graph: Path, windows_BLS: NDArray[np.float32]) -> MeasuredRun:
    """Run a graph in a new process, on one thread.

    Args:
        graph: ONNX file.
        windows_BLS: Windows of one recording in mV, float32.

    Raises:
        ArtifactError: The process fails, or exceeds `ENDS_WITHIN_S`.
    """
    with scratch_folder("mvkt-run-") as scratch:
        given, said = scratch / "windows.npy", scratch / "probabilities.npy"
        np.save(given, windows_BLS)
        command = [sys.executable, "-m", __name__, str(graph), str(given), str(said)]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=ENDS_WITHIN_S
            )
        except subprocess.TimeoutExpired:
            raise ArtifactError(
                f"{graph.name} was written, but running it {_WARM_UP + _RUNS} times has not ended "
                f"within {ENDS_WITHIN_S / 60:.0f} min. Export again on a machine that is less busy."
            ) from None
        if run.returncode != 0:
            last = (run.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise ArtifactError(
                f"{graph.name} was written, but cannot be run from its file: {last}. Please "
                "report this with the study file."
            )
        return MeasuredRun(**json.loads(run.stdout), probabilities_WC=np.load(said))


def main(graph: str, given: str, said: str) -> None:
    """Run a graph, write its probabilities to a file, and its measurements to stdout.

    Args:
        graph: Path of the ONNX file.
        given: Path of the windows, `.npy`.
        said: Path of the probabilities to write, `.npy`.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    windows_BLS = np.load(given)
    before = _held("VmRSS")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: windows_BLS}
    np.save(said, np.asarray(session.run(None, inputs)[0]))
    times_ms: list[float] = []
    for _ in range(_WARM_UP + _RUNS):
        started = time.perf_counter()
        session.run(None, inputs)
        times_ms.append(1e3 * (time.perf_counter() - started))
    peak = _held("VmHWM")
    facts = {
        "median_ms": statistics.median(times_ms[_WARM_UP:]),
        "n_runs": _RUNS,
        "peak_bytes": peak,
        "own_bytes": None if peak is None or before is None else peak - before,
    }
    sys.stdout.write(json.dumps(facts))


def _held(name: str) -> int | None:
    """Return a memory size of this process in bytes by its name in `_STATUS`."""
    if not _STATUS.exists():
        return None
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
