"""Makes patient-disjoint, stratified folds for sources that have none, and checks those that do.

Works on 64-bit hashes of patients and on numbers of codes: a hundred bytes per recording would not
fit ten million of them, twenty do.
"""

import heapq

import numpy as np
import pandas as pd
import pyarrow as pa

from mvkt_ray.data.identity import patient_key


def hash_ids(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return uint64 `[n]`, the same for the same text on every machine."""
    return pd.util.hash_array(ids.to_numpy(zero_copy_only=False).astype(object), categorize=False)


def hash_patients(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return uint64 `[n]`, the same for every spelling of a patient; see `patient_key`."""
    return hash_ids(pa.array([patient_key(name) for name in ids.to_pylist()], pa.string()))


def one_hash_each(hashes: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Return uint64 `[n]`: the smallest of a patient's hashes, which is that of one spelling.

    Args:
        hashes: uint64 `[n]`, of the ids as they are written.
        patients: uint64 `[n]`, the same for every spelling of a patient.
    """
    _, group = np.unique(patients, return_inverse=True)
    smallest = np.full(group.max(initial=-1) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, group, hashes)
    return smallest[group]


def make_folds(patients: np.ndarray, strata: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Deal whole patients to folds, stratum by stratum, rarest first.

    A patient belongs to the rarest stratum of its recordings. Within a stratum those with the most
    recordings are dealt first, each to the fold that has the fewest recordings of the stratum so
    far, and among these the fewest in all. So rare codes are spread as evenly as whole patients
    allow, and the order of recordings, and so of shards, does not matter. Unlike scikit-learn's
    StratifiedGroupKFold this takes n log n time, and no table of patients by classes.

    Args:
        patients: uint64 `[n_recordings]`, hashes.
        strata: int `[n_recordings]`, 0 for the rarest.
        n_folds: Number of folds.
        seed: Chooses among patients that are alike.

    Returns:
        int16 `[n_recordings]`, from 1 to `n_folds`.
    """
    hashes, patient_of, n_recordings = np.unique(patients, return_inverse=True, return_counts=True)
    stratum = np.full(len(hashes), np.iinfo(np.int64).max)
    np.minimum.at(stratum, patient_of, strata)
    chance = np.random.default_rng(seed).permutation(len(hashes))
    fold_of = np.zeros(len(hashes), dtype=np.int16)
    totals = [0] * n_folds
    heap: list[tuple[int, int, int]] = []
    last = -1
    for patient in np.lexsort((chance, -n_recordings, stratum)):
        if stratum[patient] != last:
            last = stratum[patient]
            heap = [(0, total, fold) for fold, total in enumerate(totals)]
            heapq.heapify(heap)
        of_stratum, total, fold = heap[0]
        added = int(n_recordings[patient])
        totals[fold] = total + added
        heapq.heapreplace(heap, (of_stratum + added, total + added, fold))
        fold_of[patient] = fold + 1
    return fold_of[patient_of]


def patients_in_several_folds(patients: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the patients, as given, that have recordings in more than one fold; -1 is no fold."""
    pairs = pd.DataFrame({"patient": patients, "fold": folds})
    pairs = pairs[pairs["fold"] >= 0].drop_duplicates()
    return pairs.loc[pairs["patient"].duplicated(), "patient"].unique()
