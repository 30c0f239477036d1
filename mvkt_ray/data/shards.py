"""Shards: recordings as Arrow files with one column per lead, memory-mapped.

Reads: `manifest.json`, `quarantine.parquet`, `parts.parquet` and `recordings/*.arrow` of a shard
set. A student that sees one lead touches the pages of that lead only, and fetches no other from a
store; every process of a node shares one copy of them.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mvkt_ray.config.data_config import names_task_file
from mvkt_ray.data.folds import quick_patient_hashes
from mvkt_ray.data.identity import Patients, record_key
from mvkt_ray.data.recording import LEADS, Recording
from mvkt_ray.data.shard_columns import (
    KIND,
    MV_PER_BIT,
    QUARANTINE_NAME,
    RECORDINGS_FOLDER,
    SUMS,
    LeadColumn,
    SplitColumns,
    fold_numbers,
    labels_of,
    shard_schema,
)
from mvkt_ray.data.shard_file import PARTS_NAME, Parts, open_shard_files, provide, read_parts
from mvkt_ray.data.tasks import Task, plugin_task, read_task, unknown_codes_message
from mvkt_ray.errors import ArtifactError, ConfigError, DataError
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.plugins.entry_points import plugin_names
from mvkt_ray.storage.artifacts import find_damage, open_file, read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest

_RECORDING_COLUMNS = ("record_id", "patient_id", "source", "fold", "age", "sex")
_ROWS_AT_ONCE = 1 << 16


class Shards:
    """A finished shard set. Rows are numbered over all shards, in the order of the files."""

    def __init__(
        self,
        location: Location,
        manifest: Manifest,
        leads: tuple[str, ...],
        parts: Mapping[str, Parts],
    ) -> None:
        """Use `open_shards`.

        Args:
            location: Of the shard set.
            manifest: Its manifest.
            leads: The only ones that will be used.
            parts: Of each shard, by its name; needed where the shards are in a store.
        """
        self.location = location
        self.manifest = manifest
        self.leads = leads
        names = sorted(name for name in manifest.files if name.startswith(f"{RECORDINGS_FOLDER}/"))
        compressed = manifest.details["compression"] != "none"
        self._files = open_shard_files(
            location, {name: manifest.files[name] for name in names}, parts, compressed=compressed
        )
        rows = [manifest.files[name].n_rows or 0 for name in names]
        self.row_starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        """int64 `[n_shards + 1]`: the row that each shard begins with."""
        self._lead_columns: dict[str, LeadColumn] = {}

    @property
    def fingerprint(self) -> str:
        """Hash of what was ingested and how."""
        return self.manifest.fingerprint

    @property
    def n_recordings(self) -> int:
        """Recordings that can be used; those in quarantine are not among them."""
        return int(self.row_starts[-1])

    @property
    def sampling_rate_hz(self) -> int:
        """One rate for all recordings."""
        return int(self.manifest.details["sampling_rate_hz"])

    @cached_property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks that the source offers, by name."""
        tasks = self.manifest.details["tasks"]
        return {name: Task.from_json(task) for name, task in tasks.items()}

    def task(self, name: str) -> Task:
        """Return a task of the source or of a plug-in by its name, or a user's by its YAML file.

        A task of a plug-in is for datasets, of which these shards may have a part: a code that does
        not occur in it is no mistake.

        Raises:
            ConfigError: There is no such task, or a code of the user's task never occurs.
        """
        if names_task_file(name) and name not in self.tasks:
            task = read_task(name)
            if problem := unknown_codes_message(task, self.manifest.details["codes"]):
                raise ConfigError(problem)
            return task
        if (offered := plugin_task(name, self.tasks)) is not None:
            return offered
        if name in self.tasks:
            return self.tasks[name]
        hint = did_you_mean(name, [*self.tasks, *plugin_names("task")])
        raise ConfigError(
            f"these shards have no task {name!r}; {hint} Name one of their tasks, a task of a "
            "plug-in, or the path of a YAML file that defines one."
        )

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column over all shards, as Arrow has it."""
        kind = shard_schema(self.leads, self.sampling_rate_hz).field(name).type
        provide(self._files, name)
        return pa.chunked_array([file.column(name) for file in self._files], type=kind)

    def batches(self, *names: str) -> Iterator[tuple[slice, pa.RecordBatch]]:
        """Yield some columns of some shards at once, and of which rows they are.

        Small shards come together, as a call of NumPy takes as long for few rows as for thousands.
        Those on disk are mapped only meanwhile, so that memory does not grow with their number.
        """
        for name in names:
            provide(self._files, name)
        group = self.row_starts // _ROWS_AT_ONCE
        first = np.flatnonzero(np.diff(group[:-1], prepend=-1)).tolist()
        for begin, end in pairwise([*first, len(self._files)]):
            batches = [file.columns(names) for file in self._files[begin:end]]
            yield slice(*self.row_starts[[begin, end]].tolist()), pa.concat_batches(batches)

    def shard(self, number: int, names: Sequence[str]) -> pa.RecordBatch:
        """Return some columns of one file; from a store only these are fetched."""
        return self._files[number].columns(names)

    def record_ids(self) -> np.ndarray:
        """Return `[n_recordings]` of str."""
        return self.column("record_id").to_numpy()

    @cached_property
    def patients(self) -> Patients:
        """Patients of the recordings."""
        return Patients.of(self.column("patient_id"))

    def patient_ids(self) -> np.ndarray:
        """Return `[n_recordings]` of str; a patient whose id is written in several ways has one."""
        return self.patients.ids(np.arange(self.n_recordings))

    def folds(self) -> np.ndarray:
        """Return int16 `[n_recordings]`; -1 where the source gives a recording no fold."""
        folds = np.empty(self.n_recordings, dtype=np.int16)
        for rows, batch in self.batches("fold"):
            folds[rows] = fold_numbers(batch.column(0))
        return folds

    def n_samples(self) -> np.ndarray:
        """Return int32 `[n_recordings]`."""
        n_samples = np.empty(self.n_recordings, dtype=np.int32)
        for rows, batch in self.batches("n_samples"):
            n_samples[rows] = batch.column(0).to_numpy()
        return n_samples

    def sums(self, rows: np.ndarray) -> tuple[int, int, int]:
        """Return `SUMS` over all leads of some recordings: exact, and no signal is read."""
        rows, sums = np.sort(rows), [0, 0, 0]
        for at, batch in self.batches(*SUMS):
            begin, end = np.searchsorted(rows, [at.start, at.stop])
            for index, column in enumerate(batch.columns):
                sums[index] += _exact_sum(column.to_numpy()[rows[begin:end] - at.start])
        return sums[0], sums[1], sums[2]

    def labels(self, task: Task, min_likelihood: float = 0.0) -> np.ndarray:
        """Return bool `[n_recordings, n_classes]`: where `Task.labels` has a 1; shard by shard."""
        labels = np.empty((self.n_recordings, len(task.classes)), dtype=bool)
        for rows, batch in self.batches("codes", "likelihoods"):
            codes, likelihoods = batch.columns
            labels[rows] = labels_of(codes, likelihoods, task, min_likelihood)
        return labels

    def split_columns(self, task: Task, min_likelihood: float = 0.0) -> "SplitColumns":
        """Return what splits are made from: read at once, as mapping every shard takes longest."""
        n_recordings = self.n_recordings
        found = SplitColumns(
            fold_N=np.empty(n_recordings, dtype=np.int16),
            patient_hash_N=np.empty(n_recordings, dtype=np.uint64),
            labels_NC=np.empty((n_recordings, len(task.classes)), dtype=bool),
        )
        for rows, batch in self.batches("fold", "patient_id", "codes", "likelihoods"):
            fold, patient_id, codes, likelihoods = batch.columns
            found.fold_N[rows] = fold_numbers(fold)
            found.patient_hash_N[rows] = quick_patient_hashes(patient_id)
            found.labels_NC[rows] = labels_of(codes, likelihoods, task, min_likelihood)
        return found

    def lead(self, lead: str) -> LeadColumn:
        """Return a lead of all recordings, without copying when the shards are not compressed."""
        if lead not in self._lead_columns:
            check_leads([lead], self.leads)
            provide(self._files, lead)
            columns = [file.column(lead) for file in self._files]
            self._lead_columns[lead] = LeadColumn(
                lead=lead,
                values=tuple(column.values.to_numpy(zero_copy_only=True) for column in columns),
                offsets=tuple(column.offsets.to_numpy().astype(np.int64) for column in columns),
            )
        return self._lead_columns[lead]

    def has_all_leads(self) -> np.ndarray:
        """Return bool `[n_recordings]`: whether no lead of `leads` is missing."""
        present = np.ones(self.n_recordings, dtype=bool)
        if self.manifest.counts["n_with_missing_lead"]:
            for lead in self.leads:
                present &= self.lead(lead).lengths() > 0
        return present

    def locate(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the shard of each row, and the row's number within that shard."""
        shard = np.searchsorted(self.row_starts, rows, side="right") - 1
        return shard, rows - self.row_starts[shard]

    def holding(self, rows: np.ndarray) -> tuple["Shards", np.ndarray]:
        """Return the shards that hold some rows, and these rows' numbers among theirs.

        Of the others nothing is mapped, or fetched from a store.
        """
        shard, inside = self.locate(rows)
        used, position = np.unique(shard, return_inverse=True)
        few = copy.copy(self)
        few._files = [self._files[index] for index in used]
        few._lead_columns = {}
        n_rows = np.diff(self.row_starts)[used]
        few.row_starts = np.concatenate([[0], np.cumsum(n_rows)]).astype(np.int64)
        return few, few.row_starts[position] + inside

    def row_of(self, record_id: str) -> int:
        """Return the row of a recording.

        Raises:
            DataError: No such recording, or it is in quarantine, with the reason.
        """
        row = _index_of(self.column("record_id"), record_id)
        if row is not None:
            return row
        table = self.quarantine()
        at = _index_of(table["record_id"], record_id)
        if at is not None:
            reason, message = table["reason"][at].as_py(), table["message"][at].as_py()
            raise DataError(f"recording {record_id!r} is in quarantine ({reason}): {message}")
        examples = self.record_ids()[:3]
        raise DataError(
            f"these shards have no recording {record_id!r}; ids look like "
            f"{', '.join(map(repr, examples))}. Check the id."
        )

    def recording(self, row: int) -> Recording:
        """Return one recording in mV, for drawing; leads that it lacks are left out."""
        (shard,), (inside,) = self.locate(np.array([row]))
        file = self._files[shard]
        values = {name: file.column(name)[int(inside)].as_py() for name in _RECORDING_COLUMNS}
        signals: dict[str, np.ndarray] = {}
        for lead in self.leads:
            # Of this shard alone: in a store the others need not be fetched.
            column = file.column(lead)
            begin, end = column.offsets[int(inside) : int(inside) + 2].to_pylist()
            if end > begin:
                bits = column.values[begin:end].to_numpy()
                signals[lead] = bits * np.float32(MV_PER_BIT)
        return Recording(
            **values,
            codes=tuple(file.column("codes")[int(inside)].as_py()),
            likelihoods=tuple(file.column("likelihoods")[int(inside)].as_py()),
            signal_mv=np.stack(list(signals.values())),
            sampling_rate_hz=float(self.sampling_rate_hz),
            leads=tuple(signals),
        )

    def quarantine(self) -> pa.Table:
        """Return the recordings that could not be used: record_id, path, reason, message."""
        return open_file(self.location, self.manifest, QUARANTINE_NAME, pq.read_table)


def _exact_sum(values: np.ndarray) -> int:
    """Add up int64 values whose sum may need more than 64 bits."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def _index_of(ids: pa.ChunkedArray, record_id: str) -> int | None:
    """Return where an id is, or the one that is another spelling of it; None where neither is."""
    at = pc.index(ids, record_id).as_py()
    if at >= 0:
        return at
    key = record_key(record_id)
    same = [at for at, name in enumerate(ids.to_pylist()) if record_key(name) == key]
    return same[0] if len(same) == 1 else None


def check_leads(wanted: Sequence[str], there: Sequence[str]) -> None:
    """Raise unless every wanted lead is there.

    Raises:
        DataError: Names the leads that there are.
    """
    missing = [lead for lead in wanted if lead not in there]
    if missing:
        raise DataError(
            f"these shards have no lead {', '.join(map(repr, missing))}; "
            f"{did_you_mean(missing[0], there)} Choose among their leads, or ingest the lead."
        )


def open_shards(location: str | Path | Location, *, leads: Sequence[str] | None = None) -> Shards:
    """Open a shard set: check its manifest and the sizes of its files, map nothing yet.

    From a store, columns and leads are fetched into the node's cache when they are first used.

    Args:
        location: Folder that `mvkt ingest` made.
        leads: The only ones that will be used; all by default.

    Raises:
        ArtifactError: It is no finished shard set, or a file changed its size.
        DataError: It lacks a lead.
    """
    root = Location.parse(location)
    manifest = read_manifest(root, KIND)
    problems = find_damage(root, manifest, hashes=False)
    if problems:
        raise ArtifactError(
            f"{root} was changed after it was published: {'; '.join(problems[:5])}. Make the "
            f"shards again: {manifest.command or 'mvkt ingest'}"
        )
    there = tuple(manifest.details["leads"])
    check_leads(leads or (), there)
    wanted = there if leads is None else tuple(lead for lead in LEADS if lead in leads)
    parts: Mapping[str, Parts] = {}
    if not root.is_local and PARTS_NAME in manifest.files:
        parts = open_file(root, manifest, PARTS_NAME, read_parts)
    return Shards(root, manifest, wanted, parts)
