"""Counts over all shards of a set, read from their small columns only.

Reads: every column of `recordings/*.arrow` but the leads.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mvkt_ray.data.folds import hash_ids, hash_patients, one_hash_each, patients_in_several_folds
from mvkt_ray.data.identity import own_patient, patient_key, spellings
from mvkt_ray.data.shard_columns import labels_of
from mvkt_ray.data.tasks import Task

_N_EXAMPLES = 5


class HasColumns(Protocol):
    """Whatever gives columns of a shard by their names."""

    def column(self, name: str) -> pa.Array:
        """Return one column."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShardTotals:
    """Counts, and of each recording ten bytes."""

    patients: np.ndarray
    """uint64 `[n_recordings]`, hashes; one for all spellings of a patient."""
    folds: np.ndarray
    """int16 `[n_recordings]`, -1 where there is none."""
    codes: Counter[str]
    """Recordings by code."""
    classes: dict[str, dict[str, int]]
    """Recordings by task and class."""
    lengths: Counter[int]
    """Recordings by samples."""
    shared_patients: tuple[str, ...]
    """A few of the patients that are in several folds."""
    n_shared_patients: int
    patients_in_several_spellings: tuple[tuple[str, ...], ...]
    """A few of the patients whose id is written in several ways."""
    n_patients_in_several_spellings: int
    n_without_patient: int
    """Recordings whose source names no patient: each is taken for one of its own."""
    n_without_age: int
    n_without_sex: int


def add_up(files: Sequence[HasColumns], tasks: Mapping[str, Task]) -> ShardTotals:
    """Count over all shards."""
    hashes, keys, folds = [], [], []
    n_without_patient = n_without_age = n_without_sex = 0
    codes, lengths = Counter[str](), Counter[int]()
    classes = {name: np.zeros(len(task.classes), dtype=np.int64) for name, task in tasks.items()}
    for file in files:
        ids = file.column("patient_id")
        hashes.append(hash_ids(ids))
        keys.append(hash_patients(ids))
        n_without_patient += _n_without_patient(ids, file.column("record_id"))
        n_without_age += file.column("age").null_count
        n_without_sex += file.column("sex").null_count
        folds.append(pc.fill_null(file.column("fold"), pa.scalar(-1, pa.int16())).to_numpy())
        codes.update(dict(_counts(file.column("codes").flatten())))
        lengths.update(dict(_counts(file.column("n_samples"))))
        for name, task in tasks.items():
            labels = labels_of(file.column("codes"), file.column("likelihoods"), task)
            classes[name] += labels.sum(0, dtype=np.int64)
    all_hashes, all_folds = np.concatenate(hashes), np.concatenate(folds)
    all_patients = one_hash_each(all_hashes, np.concatenate(keys))
    respelled = np.unique(all_patients[all_patients != all_hashes])
    shared = patients_in_several_folds(all_patients, all_folds)
    return ShardTotals(
        patients=all_patients,
        folds=all_folds,
        codes=codes,
        classes={
            name: dict(zip(task.classes, classes[name].tolist(), strict=True))
            for name, task in tasks.items()
        },
        lengths=lengths,
        shared_patients=_names_of(files, shared[:_N_EXAMPLES]),
        n_shared_patients=len(shared),
        patients_in_several_spellings=_spellings_of(files, respelled[:_N_EXAMPLES]),
        n_patients_in_several_spellings=len(respelled),
        n_without_patient=n_without_patient,
        n_without_age=n_without_age,
        n_without_sex=n_without_sex,
    )


def rarest_codes(files: Sequence[HasColumns], codes: Mapping[str, int]) -> np.ndarray:
    """Return int64 `[n_recordings]`: the rank of each recording's rarest code, 0 for the rarest.

    Recordings without a code come after all others.
    """
    order = sorted(codes, key=lambda code: (codes[code], code))
    rank_of = {code: rank for rank, code in enumerate(order)}
    parts = []
    for file in files:
        column = file.column("codes")
        row = np.repeat(np.arange(len(column)), np.diff(column.offsets.to_numpy()))
        rarest = np.full(len(column), len(order), dtype=np.int64)
        encoded = column.flatten().dictionary_encode()
        ranks = np.array([rank_of[code] for code in encoded.dictionary.to_pylist()], dtype=np.int64)
        np.minimum.at(rarest, row, ranks[encoded.indices.to_numpy()])
        parts.append(rarest)
    return np.concatenate(parts)


def _counts(values: pa.Array) -> Iterator[tuple[Any, int]]:
    counted = values.value_counts()
    return zip(
        counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True
    )


def _names_of(files: Sequence[HasColumns], hashes: np.ndarray) -> tuple[str, ...]:
    if not len(hashes):
        return ()
    names: set[str] = set()
    for file in files:
        ids = file.column("patient_id")
        names.update(ids.filter(pa.array(np.isin(hash_ids(ids), hashes))).to_pylist())
    return tuple(sorted(names))


def _spellings_of(files: Sequence[HasColumns], hashes: np.ndarray) -> tuple[tuple[str, ...], ...]:
    """Return all spellings of the patients of whom one has such a hash."""
    keys = {patient_key(name) for name in _names_of(files, hashes)}
    if not keys:
        return ()
    names = {name for file in files for name in file.column("patient_id").to_pylist()}
    return tuple(spellings((name for name in names if patient_key(name) in keys), patient_key))


def _n_without_patient(patients: pa.Array, records: pa.Array) -> int:
    pairs = zip(patients.to_pylist(), records.to_pylist(), strict=True)
    return sum(patient == own_patient(record) for patient, record in pairs)
