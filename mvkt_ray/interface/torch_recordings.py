"""Shards as a torch dataset, which the processes of a DataLoader may share.

Shapes: L leads, S samples, C classes.
"""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mvkt_ray.data.shard_columns import MV_PER_BIT
from mvkt_ray.data.shards import Shards, open_shards


class TorchExample(TypedDict):
    """One recording."""

    record_id: str
    signal_mv: Tensor
    """float32 `[L, S]` in mV; a missing lead is 0."""
    labels: NotRequired[Tensor]
    """float32 `[C]`, multi-hot; only with a task."""


class TorchRecordings(Dataset[TorchExample]):
    """Whole recordings by row, without crops and scaling."""

    def __init__(self, shards: Shards, leads: Sequence[str], task: str | None) -> None:
        """Use `ShardSet.to_torch`."""
        self.leads = tuple(leads)
        self.classes = () if task is None else shards.task(task).classes
        """Classes of the task, in the order of the labels."""
        self._location = shards.location
        self._labels_NC = None if task is None else shards.labels(shards.task(task))
        self._record_ids = shards.record_ids().tolist()
        self._n_samples = shards.n_samples()
        self._shards: Shards | None = shards

    def __len__(self) -> int:
        return len(self._record_ids)

    def __getitem__(self, row: int) -> TorchExample:
        """Return one recording."""
        row = range(len(self))[row]
        if self._shards is None:
            # After pickling to another process, which maps the files itself.
            self._shards = open_shards(self._location)
        (shard,), (inside,) = self._shards.locate(np.array([row]))
        signal_LS = torch.zeros(len(self.leads), int(self._n_samples[row]))
        for place, lead in enumerate(self.leads):
            column = self._shards.lead(lead)
            begin, end = column.offsets[shard][inside : inside + 2]
            if end > begin:
                bits = column.values[shard][begin:end]
                signal_LS[place] = torch.from_numpy(bits * np.float32(MV_PER_BIT))
        example = TorchExample(record_id=self._record_ids[row], signal_mv=signal_LS)
        if self._labels_NC is not None:
            example["labels"] = torch.from_numpy(self._labels_NC[row].astype(np.float32))
        return example

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_shards": None}
