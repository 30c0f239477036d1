"""One shard: an Arrow file of one record batch, mapped where it lies or as the node's cache has it.

The body of the file is, in this order, the columns that are not leads, then each lead. So a shard
falls into parts that lie in one piece: `columns` (up to the first lead), one for each lead, and
`footer`. `PARTS_NAME` of a shard set lists them with their hashes; from a store only those are
fetched that are asked for.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mvkt_ray.errors import ArtifactError
from mvkt_ray.file_guards import reading
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import FileEntry
from mvkt_ray.storage.node_cache import CacheEntry, Piece, node_cache

PARTS_NAME = "parts.parquet"
PARTS_SCHEMA = pa.schema(
    [
        pa.field("shard", pa.string()),
        pa.field("part", pa.string()),
        pa.field("begin", pa.int64()),
        pa.field("n_bytes", pa.int64()),
        pa.field("sha256", pa.binary(32)),
    ]
)

_COLUMNS, _FOOTER = "columns", "footer"
_ADVICE = "Make the shards again: mvkt verify names all damage."

Parts = Mapping[str, Piece]
"""The parts of a shard, by name."""


class ShardFile:
    """A shard on this node's disk, or on one that it shares.

    It stays mapped from the first time that a column is read alone, as the signals of a lead are.
    Before, it is mapped for as long as what was read lives: of thousands of shards whose small
    columns are gone through once, the pages would be counted as this process's memory.
    """

    def __init__(self, path: Path, *, compressed: bool = False) -> None:
        self.path = path
        self._compressed = compressed
        self._kept: pa.RecordBatch | None = None

    def batch(self) -> pa.RecordBatch:
        """Return all columns; of an uncompressed shard they lie in the mapped file."""
        return _read(self.path) if self._kept is None else self._kept

    def columns(self, names: Sequence[str]) -> pa.RecordBatch:
        """Return some columns; of an uncompressed shard without copying their values."""
        with reading(self.path, _ADVICE, ArtifactError):
            if self._compressed:
                return _read_compressed(self.path, names)
            return self.batch().select(names)

    def column(self, name: str) -> pa.Array:
        """Return one column, likewise."""
        if self._kept is None and not self._compressed:
            with reading(self.path, _ADVICE, ArtifactError):
                self._kept = _read(self.path)
        return self.columns([name]).column(0)

    def entries(self, name: str) -> list[CacheEntry]:
        """Return what must be fetched before a column can be read: nothing."""
        return []


class StoredShardFile:
    """A shard in an object store, read through the node's cache."""

    def __init__(
        self, location: Location, entry: FileEntry, parts: Parts, *, compressed: bool = False
    ) -> None:
        """Remember where it is.

        Args:
            location: Of the shard.
            entry: What the manifest says of it.
            parts: Its parts; empty when it is compressed, and then fetched as a whole.
            compressed: Whether the columns must be decompressed.
        """
        self._location, self._entry, self._parts = location, entry, parts
        self._compressed = compressed
        self._batches: dict[str, pa.RecordBatch] = {}

    def column(self, name: str) -> pa.Array:
        """Return a column; of an uncompressed shard without copying its values."""
        [entry] = self.entries(name)
        if self._compressed:
            return node_cache().open(entry, lambda path: _read_compressed(path, [name]).column(0))
        if entry.part not in self._batches:
            self._batches[entry.part] = node_cache().open(entry, _read)
        return self._batches[entry.part].column(name)

    def columns(self, names: Sequence[str]) -> pa.RecordBatch:
        """Return some columns, likewise."""
        return pa.record_batch([self.column(name) for name in names], list(names))

    def entries(self, name: str) -> list[CacheEntry]:
        """Return what must be fetched before a column can be read."""
        whole = CacheEntry.of_file(self._location, self._entry.sha256, self._entry.size_bytes)
        if not self._parts:
            return [whole]
        pieces = (self._parts[_COLUMNS], self._parts[_FOOTER])
        columns = replace(whole, part=_COLUMNS, pieces=pieces)
        if name not in self._parts:
            return [columns]
        return [replace(whole, part=name, pieces=(self._parts[name],), beside=columns)]


AnyShardFile = ShardFile | StoredShardFile


def open_shard_files(
    location: Location,
    entries: Mapping[str, FileEntry],
    parts: Mapping[str, Parts],
    *,
    compressed: bool,
) -> list[AnyShardFile]:
    """Return the shards of a set, of which nothing is mapped or fetched yet.

    Args:
        location: Of the folder that the names are relative to.
        entries: The shards by name.
        parts: Their parts by name; those of a shard without any are fetched as a whole.
        compressed: Whether the columns must be decompressed.
    """
    if location.is_local:
        return [ShardFile(location.local_path / name, compressed=compressed) for name in entries]
    return [
        StoredShardFile(location / name, entry, parts.get(name, {}), compressed=compressed)
        for name, entry in entries.items()
    ]


def provide(files: Sequence[AnyShardFile], name: str) -> None:
    """Fetch a column of all shards that are in a store, several at once."""
    entries = [entry for file in files for entry in file.entries(name)]
    if entries:
        node_cache().provide(entries)


def measure_parts(path: Path, leads: Sequence[str]) -> dict[str, Piece]:
    """Find and hash the parts of an uncompressed shard; together they are the whole file."""
    with pa.memory_map(str(path)) as source:
        whole = source.read_buffer()
        begin_of_file = whole.address
        batch = pa.ipc.open_file(source).get_batch(0)
        ends: dict[str, int] = {}
        begins: dict[str, int] = {}
        for lead in leads:
            buffers = [each for each in batch.column(lead).buffers() if each and each.size]
            if buffers:
                begins[lead] = min(each.address for each in buffers) - begin_of_file
                ends[lead] = max(each.address + each.size for each in buffers) - begin_of_file
        footer = max(ends.values(), default=whole.size)
        names, starts = [_COLUMNS], [0]
        for number, lead in enumerate(leads):
            # A lead without a single buffer, as in a shard without recordings, takes no bytes.
            later = [begins[other] for other in leads[number:] if other in begins]
            names.append(lead)
            starts.append(later[0] if later else footer)
        names.append(_FOOTER)
        starts.append(footer)
        content = memoryview(whole)
        return {
            name: Piece(
                begin=start,
                n_bytes=end - start,
                sha256=hashlib.sha256(content[start:end]).hexdigest(),
            )
            for name, start, end in zip(names, starts, [*starts[1:], whole.size], strict=True)
        }


def parts_table(parts: Mapping[str, Parts]) -> pa.Table:
    """Return the parts of all shards, by their names, as `PARTS_NAME` holds them."""
    rows = [
        {
            "shard": shard,
            "part": name,
            "begin": piece.begin,
            "n_bytes": piece.n_bytes,
            "sha256": bytes.fromhex(piece.sha256),
        }
        for shard, pieces in parts.items()
        for name, piece in pieces.items()
    ]
    return pa.Table.from_pylist(rows, PARTS_SCHEMA)


def read_parts(path: Path) -> dict[str, dict[str, Piece]]:
    """Read what `parts_table` gave, by shard and part."""
    parts: dict[str, dict[str, Piece]] = {}
    for row in pq.read_table(path).to_pylist():
        parts.setdefault(row["shard"], {})[row["part"]] = Piece(
            begin=row["begin"], n_bytes=row["n_bytes"], sha256=row["sha256"].hex()
        )
    return parts


def _read(path: Path) -> pa.RecordBatch:
    # The mapping outlives the file: thousands of shards do not use up file descriptors.
    with pa.memory_map(str(path)) as source:
        return _only_batch(pa.ipc.open_file(source), path).get_batch(0)


def _read_compressed(path: Path, names: Sequence[str]) -> pa.RecordBatch:
    # Naming the fields makes Arrow copy all of them, but decompress the named ones only.
    with pa.memory_map(str(path)) as source:
        schema = _only_batch(pa.ipc.open_file(source), path).schema
        places = [schema.get_field_index(name) for name in names]
        options = pa.ipc.IpcReadOptions(included_fields=places)
        return pa.ipc.open_file(source, options=options).get_batch(0).select(names)


def _only_batch(reader: pa.RecordBatchFileReader, path: Path) -> pa.RecordBatchFileReader:
    if reader.num_record_batches != 1:
        raise ArtifactError(
            f"{path} has {reader.num_record_batches} record batches, a shard has one: it was not "
            "written by mvkt ingest. Make the shards again."
        )
    return reader
