"""Recordings on disk, written by hand from the formats' manuals, and signals to put in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from mvkt_ray.data.recording import LEADS


def signal_of(seed: int, n_samples: int) -> NDArray[np.float64]:
    """Return noise about as large as an ECG, in whole microvolts."""
    return np.round(np.random.default_rng(seed).normal(0.1, 0.4, n_samples), 3)


def write_wfdb(
    path: Path, signals_mv: Mapping[str, NDArray[Any]], rate_hz: float = 100, unit: str = "mV"
) -> Path:
    """Write a record of 16 bits with 1000 units per mV; return its path without suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digital = np.rint(np.stack(list(signals_mv.values())) * 1000).astype("<i2")
    path.with_name(f"{path.name}.dat").write_bytes(digital.T.tobytes())
    lines = [f"{path.name} {len(digital)} {rate_hz:g} {digital.shape[1]}"]
    lines += [f"{path.name}.dat 16 1000/{unit} 16 0 0 0 0 {name}" for name in signals_mv]
    path.with_name(f"{path.name}.hea").write_text("\n".join(lines) + "\n")
    return path


def write_struct(path: Path, signal_mv: NDArray[Any]) -> None:
    """Write twelve leads as CPSC 2018 has them; `[12, n_samples]` at 500 Hz."""
    assert len(signal_mv) == len(LEADS)
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"ECG": {"sex": "Male", "age": 60, "data": signal_mv}})
