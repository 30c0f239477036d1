"""A: plain PyTorch and Optuna, a DataLoader over a file per recording, the teacher in the loop.

    python -m benchmarks.peers.a_dataloader RECIPE.json OUT

The DataLoader works in the process of the trial (its default): there is a core for each trial, and
none left for processes that load.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers.optuna_search import search
from benchmarks.peers.plain_training import batch_size, n_crops, windows_of
from benchmarks.peers.ptbxl_by_wfdb import read_signals, read_table
from benchmarks.peers.recipe import CROP_SAMPLES, GRID_SAMPLES, Recipe

Item = tuple[Tensor, Tensor]


def prepare(recipe: Recipe, out: Path) -> None:
    """Read the recordings by wfdb once, and write a file for each."""
    total = total_of_squares = n = 0.0
    for split, folds in (("train", recipe.train_folds), ("val", recipe.val_folds)):
        table, labels = read_table(recipe.ptbxl, folds)
        (out / split).mkdir()
        for ecg_id, signal in zip(table.index, read_signals(recipe.ptbxl, table), strict=True):
            np.save(out / split / f"{ecg_id}.npy", signal)
            if split == "train":
                n += signal.size
                total += signal.sum(dtype=np.float64)
                total_of_squares += np.square(signal, dtype=np.float64).sum()
        np.save(out / f"{split}_labels.npy", labels)
        (out / f"{split}_ids.json").write_text(json.dumps([str(each) for each in table.index]))
    mean_mv = total / n
    std_mv = (total_of_squares / n - mean_mv**2) ** 0.5
    (out / "scale.json").write_text(json.dumps([mean_mv, std_mv]))


class FilePerRecording(Dataset[Item]):
    """A crop, or all windows, of each recording."""

    def __init__(self, out: Path, split: str) -> None:
        self.ids: list[str] = json.loads((out / f"{split}_ids.json").read_text())
        self.paths = [out / split / f"{each}.npy" for each in self.ids]
        self.labels = torch.from_numpy(np.load(out / f"{split}_labels.npy"))
        self.mean_mv, self.std_mv = json.loads((out / "scale.json").read_text())
        self.is_train = split == "train"

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Item:
        signal = torch.from_numpy(np.load(self.paths[index]))
        if self.is_train:
            start = int(torch.randint(n_crops(signal.shape[1]), ())) * GRID_SAMPLES
            signal = signal[:, start : start + CROP_SAMPLES]
        signal = (signal - self.mean_mv) / self.std_mv
        return signal if self.is_train else windows_of(signal), self.labels[index]


class DataLoaders:
    """What the loops are fed with."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        del recipe
        train, val = FilePerRecording(out, "train"), FilePerRecording(out, "val")
        self._train = DataLoader(
            train, batch_size=batch_size(len(train)), shuffle=True, drop_last=True
        )
        self._val = DataLoader(val, batch_size=batch_size(len(val)))

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return len(self._train)

    def train_batches(self) -> Iterable[Item]:
        """Yield shuffled crops."""
        return self._train

    def val_windows(self) -> Iterable[Item]:
        """Yield windows."""
        return self._val


def main() -> None:
    """Read the command line and search."""
    recipe, out = Recipe.read(Path(sys.argv[1])), Path(sys.argv[2])
    prepare(recipe, out)
    search(recipe, out, DataLoaders)


if __name__ == "__main__":
    main()
