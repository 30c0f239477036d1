"""Loaders: batches for training, evaluation and teacher knowledge, by vectorised gathers.

B batch, L leads, S samples, C classes. No Python per recording and no worker processes: int16 crops
are gathered from memory-mapped columns, and scaled on the device.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from mvkt_ray.data.shard_columns import MV_PER_BIT
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.splits import Split
from mvkt_ray.data.views import View
from mvkt_ray.errors import DataError

_ORDER, _CROPS = 0, 1
"""Streams of random numbers of an epoch."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """Crops of recordings."""

    signal_BLS: torch.Tensor
    """float32, scaled by the view."""
    labels_BC: torch.Tensor
    """float32, multi-hot; a row of NaN where the label is not known."""
    example_B: torch.Tensor
    """int64: index into the split, or into the rows given."""
    crop_B: torch.Tensor
    """int64: number of the crop on the training grid, or of the evaluation window."""


class CropReader:
    """Reads crops of some recordings, any number at once.

    Raises:
        DataError: A recording lacks a lead of the view.
    """

    def __init__(
        self,
        shards: Shards,
        rows: np.ndarray,
        view: View,
        device: torch.device | str | None = None,
    ) -> None:
        self.device = torch.device(device or "cpu")
        self._scale = MV_PER_BIT / view.std_mv
        self._shift = -view.mean_mv / view.std_mv
        self._crop = view.crop_samples
        self._shard, _ = shards.locate(rows)
        columns = [shards.lead(lead) for lead in view.leads]
        self._values = [column.values for column in columns]
        self._begins: list[np.ndarray] = []
        self.n_samples = shards.n_samples()[rows].astype(np.int64)
        """int64 `[n]`."""
        for column in columns:
            self._check_lengths(column.lead, column.lengths()[rows])
            begins = column.starts()[rows]
            same = self._begins and np.array_equal(begins, self._begins[0])
            self._begins.append(self._begins[0] if same else begins)
        self._windows = [
            [_windows(values, self._crop) for values in column.values] for column in columns
        ]
        self._any_short = bool((self.n_samples < self._crop).any())

    def _check_lengths(self, lead: str, lengths: np.ndarray) -> None:
        n_missing = int((lengths != self.n_samples).sum())
        if n_missing:
            raise DataError(
                f"{n_missing} of {len(lengths)} recordings lack the lead {lead!r} of this view. "
                "Open the shards with the leads that are used, so that the splits exclude such "
                "recordings, or ingest without keeping missing leads."
            )

    def bits(self, example: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return int16 `[B, L, S]`: the crop of each example that begins at `start` samples."""
        signal_BLS = np.empty((len(example), len(self._values), self._crop), dtype=np.int16)
        shard = self._shard[example]
        for index in np.unique(shard):
            position = np.flatnonzero(shard == index)
            short = np.zeros(len(position), dtype=bool)
            if self._any_short:
                short = self.n_samples[example[position]] < self._crop
            if not short.all():
                self._read_windows(signal_BLS, index, position[~short], example, start)
            if short.any():
                self._read_tiled(signal_BLS, index, position[short], example)
        return signal_BLS

    def _read_windows(
        self,
        signal_BLS: np.ndarray,
        shard: int,
        position: np.ndarray,
        example: np.ndarray,
        start: np.ndarray,
    ) -> None:
        chosen, offset = example[position], start[position]
        for lead, windows in enumerate(self._windows):
            signal_BLS[position, lead] = windows[shard][self._begins[lead][chosen] + offset]

    def _read_tiled(
        self, signal_BLS: np.ndarray, shard: int, position: np.ndarray, example: np.ndarray
    ) -> None:
        chosen = example[position]
        repeated = np.arange(self._crop) % self.n_samples[chosen][:, None]
        for lead, values in enumerate(self._values):
            signal_BLS[position, lead] = values[shard][
                self._begins[lead][chosen][:, None] + repeated
            ]

    def read(self, example: np.ndarray, start: np.ndarray) -> torch.Tensor:
        """Return float32 `[B, L, S]` on the device, scaled by the view."""
        bits = torch.from_numpy(self.bits(example, start)).to(self.device, non_blocking=True)
        return bits.to(torch.float32).mul_(self._scale).add_(self._shift)


def _windows(values: np.ndarray, length: int) -> np.ndarray:
    """Return all stretches of a length as rows of a view: taking rows copies whole stretches."""
    if len(values) < length:
        return np.empty((0, length), dtype=values.dtype)
    return np.lib.stride_tricks.sliding_window_view(values, length)


class TrainLoader:
    """Shuffled crops of a split; order and crops follow from (seed, epoch) alone.

    `batch_size` is over all ranks; each takes its contiguous part, and parts differ by one example
    at most. So the batches are the same for any number of ranks. The last, incomplete one is left
    out, unless it is the only one. Where an epoch is to have more steps than the split has batches,
    the split is gone through again in another order, as often as that takes.

    Raises:
        DataError: The split has fewer recordings than there are ranks.
        ValueError: The batch has fewer examples than there are ranks.
    """

    def __init__(
        self,
        shards: Shards,
        split: Split,
        view: View,
        *,
        batch_size: int,
        seed: int,
        steps_per_epoch: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str | None = None,
    ) -> None:
        if len(split) < world_size:
            raise DataError(
                f"the {split.name} split has {len(split)} recordings for {world_size} workers; "
                "use fewer workers, or more recordings."
            )
        if batch_size < world_size:
            raise ValueError(
                f"batch_size must be a multiple of the {world_size} ranks, got {batch_size}"
            )
        self._reader = CropReader(shards, split.rows, view, device)
        self._view = view
        self._labels_NC = torch.from_numpy(split.labels).to(self._reader.device)
        self._n_crops = view.n_crops(self._reader.n_samples)
        self._seed = seed
        self.examples_per_step = min(batch_size, len(split))
        """Over all ranks."""
        self._part = slice(
            *(self.examples_per_step * position // world_size for position in (rank, rank + 1))
        )
        self._steps_per_pass = len(split) // self.examples_per_step
        self.steps_per_epoch = steps_per_epoch or self._steps_per_pass

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield this rank's part of every global batch of an epoch."""
        orders, choices = self._generator(epoch, _ORDER), self._generator(epoch, _CROPS)
        order = crops = np.empty(0, dtype=np.int64)
        for step in range(self.steps_per_epoch):
            first = step % self._steps_per_pass * self.examples_per_step
            if first == 0:
                order = orders.permutation(len(self._n_crops))
                crops = choices.integers(0, self._n_crops)
            example = order[first : first + self.examples_per_step][self._part]
            crop = crops[example]
            yield _batch(
                self._reader, self._labels_NC, example, crop, crop * self._view.grid_samples
            )

    def _generator(self, epoch: int, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self._seed, epoch, stream]))


class EvalLoader:
    """Every window of every recording of this rank's part, once; nothing is padded or repeated."""

    def __init__(
        self,
        shards: Shards,
        split: Split,
        view: View,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str | None = None,
    ) -> None:
        first, last = (len(split) * part // world_size for part in (rank, rank + 1))
        self.examples = np.arange(first, last)
        """int64: the part of the split that this rank evaluates, contiguous."""
        self._reader = CropReader(shards, split.rows, view, device)
        self._view, self._batch_size = view, batch_size
        self._labels_NC = torch.from_numpy(split.labels).to(self._reader.device)

    def batches(self) -> Iterator[Batch]:
        """Yield windows in the order (recording, window); the last batch may be smaller."""
        n_samples = self._reader.n_samples[self.examples]
        n_windows = self._view.n_windows(n_samples)
        for inside, window in _counted(n_windows, self._batch_size):
            start = self._view.window_starts(window, n_samples[inside])
            yield _batch(self._reader, self._labels_NC, self.examples[inside], window, start)


class GridLoader:
    """Every crop of the training grid, in the order (row, crop): what a teacher is asked about."""

    def __init__(
        self,
        shards: Shards,
        rows: np.ndarray,
        view: View,
        *,
        batch_size: int,
        device: torch.device | str | None = None,
    ) -> None:
        self._reader = CropReader(shards, rows, view, device)
        self._view, self._batch_size = view, batch_size
        self._n_crops = view.n_crops(self._reader.n_samples)
        self.crop_offsets = np.concatenate([[0], np.cumsum(self._n_crops)]).astype(np.int64)
        """int64 `[n_rows + 1]`: the crops of row i are numbers offsets[i] to offsets[i + 1]."""
        self.n_crops_total = int(self.crop_offsets[-1])

    def batches(self) -> Iterator[Batch]:
        """Yield crops; `labels_BC` has no columns."""
        no_labels = torch.zeros((len(self._n_crops), 0), device=self._reader.device)
        for example, crop in _counted(self._n_crops, self._batch_size):
            start = crop * self._view.grid_samples
            yield _batch(self._reader, no_labels, example, crop, start)


def _counted(counts: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (0, 0), (0, 1), ... (0, counts[0] - 1), (1, 0), ... in batches, without listing all."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    for first in range(0, total, batch_size):
        number = np.arange(first, min(first + batch_size, total))
        item = np.searchsorted(ends, number, side="right")
        yield item, number - (ends[item] - counts[item])


def _batch(
    reader: CropReader,
    labels_NC: torch.Tensor,
    example: np.ndarray,
    crop: np.ndarray,
    start: np.ndarray,
) -> Batch:
    example_B = torch.from_numpy(np.ascontiguousarray(example, dtype=np.int64))
    return Batch(
        signal_BLS=reader.read(example, start),
        labels_BC=labels_NC[example_B.to(reader.device)],
        example_B=example_B.to(reader.device),
        crop_B=torch.from_numpy(np.ascontiguousarray(crop, dtype=np.int64)).to(reader.device),
    )
