"""Shards as a Ray dataset: one block for each file, read on the node that uses it.

From a store a node fetches only the requested columns, into its cache.
"""

import functools
from collections.abc import Iterable, Sequence

import pyarrow as pa
import ray.data
from ray.data.block import BlockMetadata
from ray.data.context import DataContext
from ray.data.datasource import Datasource, ReadTask

from mvkt_ray.data.shards import Shards, open_shards

RayDataset = ray.data.Dataset


class ShardsDatasource(Datasource):
    """Ray's data source for shards: sizes, and one read task for each file."""

    def __init__(self, shards: Shards, columns: Sequence[str]) -> None:
        super().__init__()
        self._location, self._leads = str(shards.location), shards.leads
        self._rows = [int(n) for n in shards.row_starts[1:] - shards.row_starts[:-1]]
        self._columns = tuple(columns)
        entries = shards.manifest.files
        files = sorted(name for name in entries if name.endswith(".arrow"))
        n_bytes = [entries[name].size_bytes for name in files]
        # An estimate: nearly all bytes of a file are the leads' signals.
        share = sum(name in shards.leads for name in self._columns) / len(shards.leads)
        self._sizes = [round(each * share) for each in n_bytes]

    def estimate_inmemory_data_size(self) -> int:
        """Return the estimated bytes of all blocks."""
        return sum(self._sizes)

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: DataContext | None = None,
    ) -> list[ReadTask]:
        """Return a read task for each shard; `parallelism` is ignored."""
        return [
            ReadTask(
                functools.partial(_read, self._location, self._leads, number, self._columns),
                BlockMetadata(n_rows, n_bytes, None, None),
                per_task_row_limit=per_task_row_limit,
            )
            for number, (n_rows, n_bytes) in enumerate(zip(self._rows, self._sizes, strict=True))
        ]


def ray_dataset(shards: Shards, columns: Sequence[str]) -> RayDataset:
    """Return some columns of shards as a Ray dataset; all nodes must reach the location."""
    return ray.data.read_datasource(ShardsDatasource(shards, columns))


def _read(
    location: str, leads: Sequence[str], number: int, columns: Sequence[str]
) -> Iterable[pa.Table]:
    shards = open_shards(location, leads=leads)
    return [pa.Table.from_batches([shards.shard(number, columns)])]
