"""B: as A, by a careful user: all recordings in one tensor per process, crops gathered at once.

python -m benchmarks.peers.b_tensors RECIPE.json OUT
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers.optuna_search import search
from benchmarks.peers.plain_training import batch_size, n_crops, windows_of
from benchmarks.peers.ptbxl_by_wfdb import read_signals, read_table
from benchmarks.peers.recipe import CROP_SAMPLES, GRID_SAMPLES, Recipe

NAMES = ("train_signal", "train_labels", "val_signal", "val_labels")


def read_scaled(recipe: Recipe) -> dict[str, np.ndarray]:
    """Read the recordings by wfdb once; scaled signals `[N, 12, 1000]`, and labels."""
    arrays: dict[str, np.ndarray] = {}
    for split, folds in (("train", recipe.train_folds), ("val", recipe.val_folds)):
        table, labels = read_table(recipe.ptbxl, folds)
        arrays[f"{split}_signal"] = np.stack(list(read_signals(recipe.ptbxl, table)))
        arrays[f"{split}_labels"] = labels
    mean_mv = arrays["train_signal"].mean(dtype=np.float64)
    std_mv = arrays["train_signal"].std(dtype=np.float64)
    for split in ("train", "val"):
        signal = arrays[f"{split}_signal"]
        signal -= np.float32(mean_mv)
        signal /= np.float32(std_mv)
    return arrays


class Tensors:
    """What the loops are fed with."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._signal = torch.from_numpy(arrays["train_signal"])
        self._labels = torch.from_numpy(arrays["train_labels"])
        self._val_signal = torch.from_numpy(arrays["val_signal"])
        self._val_labels = torch.from_numpy(arrays["val_labels"])
        self._batch_size = batch_size(len(self._signal))

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return len(self._signal) // self._batch_size

    def train_batches(self) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield shuffled crops."""
        n, n_leads, n_samples = self._signal.shape
        order = torch.randperm(n)
        starts = torch.randint(n_crops(n_samples), (n,)) * GRID_SAMPLES
        inside = torch.arange(CROP_SAMPLES)
        for step in range(self.steps_per_epoch):
            chosen = order[step * self._batch_size : (step + 1) * self._batch_size]
            samples = (starts[chosen, None, None] + inside).expand(-1, n_leads, -1)
            yield self._signal[chosen].gather(2, samples), self._labels[chosen]

    def val_windows(self) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield windows."""
        for signal, labels in zip(
            self._val_signal.split(self._batch_size),
            self._val_labels.split(self._batch_size),
            strict=True,
        ):
            yield windows_of(signal), labels


def open_tensors(recipe: Recipe, out: Path) -> Tensors:
    """Load all of it into this process."""
    del recipe
    return Tensors({name: np.load(out / f"{name}.npy") for name in NAMES})


def main() -> None:
    """Read the command line and search."""
    recipe, out = Recipe.read(Path(sys.argv[1])), Path(sys.argv[2])
    for name, array in read_scaled(recipe).items():
        np.save(out / f"{name}.npy", array)
    search(recipe, out, open_tensors)


if __name__ == "__main__":
    main()
