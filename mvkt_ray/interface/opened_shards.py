"""Shards in Python: by recording, and as datasets of torch, Ray and Arrow.

Reads: a shard set; from a store only the leads in use.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from mvkt_ray.data.recording import Recording
from mvkt_ray.data.shard_columns import shard_schema
from mvkt_ray.data.shards import Shards, check_leads
from mvkt_ray.data.shards import open_shards as open_files
from mvkt_ray.errors import DataError
from mvkt_ray.interface.python_errors import converted_errors, for_python

if TYPE_CHECKING:
    import pyarrow.dataset as arrow_dataset

    from mvkt_ray.interface.torch_recordings import TorchRecordings
    from mvkt_ray.on_ray.ray_dataset import RayDataset


class ShardSet:
    """The recordings of an ingested dataset.

    >>> shards = open_shards(shards_dir)
    >>> len(shards), shards.leads[:3], shards.sampling_rate_hz
    (120, ('I', 'II', 'III'), 100)
    >>> recording = shards[shards.record_ids[0]]
    >>> recording.lead_mv("V5").shape, recording.signal_mv.dtype
    ((500,), dtype('float32'))
    >>> shards.recordings.columns[:4].tolist()
    ['record_id', 'patient_id', 'source', 'fold']
    >>> example = shards.to_torch(leads=["V5"], task="synthetic")[0]
    >>> example["signal_mv"].shape, example["labels"].shape
    (torch.Size([1, 500]), torch.Size([6]))
    >>> shards.to_pyarrow(leads=["V5"]).count_rows()
    120
    """

    def __init__(self, shards: Shards) -> None:
        """Use `open_shards`."""
        self._shards = shards

    @property
    def path(self) -> str:
        """Folder or URI of the shards."""
        return str(self._shards.location)

    @property
    def leads(self) -> tuple[str, ...]:
        """Names of the leads, in the order of the shards."""
        return self._shards.leads

    @property
    def sampling_rate_hz(self) -> int:
        """Sampling rate of all recordings in Hz."""
        return self._shards.sampling_rate_hz

    @cached_property
    def record_ids(self) -> list[str]:
        """Ids of all recordings in the order of rows."""
        return self._shards.record_ids().tolist()

    @property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        """Classes by task of the source."""
        return {name: task.classes for name, task in self._shards.tasks.items()}

    @property
    def recordings(self) -> pd.DataFrame:
        """Metadata by recording: patient, fold, age, codes, length."""
        names = [name for name in self._names() if name not in self.leads]
        columns = {name: self._shards.column(name) for name in names}
        return pa.table(columns).to_pandas(integer_object_nulls=False)

    @property
    def quarantine(self) -> pd.DataFrame:
        """Unusable recordings: record_id, path, reason, message."""
        return self._shards.quarantine().to_pandas()

    def labels(self, task: str) -> pd.DataFrame:
        """Return the multi-hot labels `(n_recordings, n_classes)`, one column per class.

        Args:
            task: One of `tasks`, or the path of a YAML file that defines one.

        Raises:
            ConfigError: There is no such task.
        """
        with converted_errors():
            found = self._shards.task(task)
            labels_NC = self._shards.labels(found)
        return pd.DataFrame(labels_NC, columns=list(found.classes), index=self.record_ids)

    def __len__(self) -> int:
        return self._shards.n_recordings

    def __getitem__(self, key: str | int) -> Recording:
        """Return a recording by its id or its row, with a copy of its signal in mV.

        Raises:
            DataError: There is no such id, or the recording is in quarantine.
            IndexError: There is no such row.
        """
        with converted_errors():
            if isinstance(key, str):
                return self._shards.recording(self._shards.row_of(key))
            if not isinstance(key, int | np.integer):
                raise DataError(
                    f"give a recording by its id (a string) or its row (an integer), got {key!r}. "
                    "record_ids lists the ids."
                )
            row = int(key) + (len(self) if key < 0 else 0)
            if not 0 <= row < len(self):
                raise IndexError(f"row {key} is out of range: there are {len(self)} recordings")
            return self._shards.recording(row)

    def __iter__(self) -> Iterator[Recording]:
        return (self._shards.recording(row) for row in range(len(self)))

    def __repr__(self) -> str:
        return (
            f"<ShardSet of {len(self):,} recordings at {self.sampling_rate_hz} Hz, "
            f"{len(self.leads)} leads, in {self.path}>"
        )

    def to_torch(
        self, *, leads: Sequence[str] | None = None, task: str | None = None
    ) -> "TorchRecordings":
        """Return the recordings as a `torch.utils.data.Dataset` of dictionaries.

        Args:
            leads: Leads in the order of an example's rows; by default all.
            task: Task of the examples' labels; by default there are no labels.

        Raises:
            ConfigError: There is no such task.
            DataError: There is no such lead.
        """
        from mvkt_ray.interface.torch_recordings import TorchRecordings

        with converted_errors():
            return TorchRecordings(self._shards, self._checked(leads), task)

    def to_ray(self, *, leads: Sequence[str] | None = None) -> "RayDataset":
        """Return the recordings as a `ray.data.Dataset`: a row per recording, Arrow's types.

        Raises:
            DataError: There is no such lead.
        """
        from mvkt_ray.on_ray.ray_dataset import ray_dataset

        with converted_errors():
            return ray_dataset(self._shards, self._names(leads))

    def to_pyarrow(self, *, leads: Sequence[str] | None = None) -> "arrow_dataset.Dataset":
        """Return the recordings as a `pyarrow.dataset`; leads are int16, metadata state the unit.

        Raises:
            DataError: There is no such lead.
        """
        import pyarrow.dataset as arrow_dataset

        with converted_errors():
            names = self._names(leads)
            filesystem, root = self._shards.location.open_filesystem()
            files = sorted(n for n in self._shards.manifest.files if n.endswith(".arrow"))
            schema = shard_schema(self._shards.leads, self.sampling_rate_hz)
            return arrow_dataset.dataset(
                [f"{root}/{name}" for name in files],
                schema=pa.schema([schema.field(name) for name in names], schema.metadata),
                format="ipc",
                filesystem=filesystem,
            )

    def _names(self, leads: Sequence[str] | None = None) -> list[str]:
        wanted = self._checked(leads)
        schema = shard_schema(self.leads, self.sampling_rate_hz)
        return [name for name in schema.names if name not in self.leads or name in wanted]

    def _checked(self, leads: Sequence[str] | None) -> tuple[str, ...]:
        if isinstance(leads, str):
            leads = [leads]
        check_leads(leads or (), self.leads)
        return self.leads if leads is None else tuple(leads)


@for_python
def open_shards(path: str | Path) -> ShardSet:
    """Open the shards of an ingest.

    Args:
        path: Folder or URI (`s3://`, `gs://`, `abfss://`) of the shards.

    Raises:
        ArtifactError: There is no complete shard set, or it was changed.
    """
    return ShardSet(open_files(path))
