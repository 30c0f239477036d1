"""Makes patient-disjoint, stratified folds for sources that have none, and checks those that do.

Works on 64-bit hashes of patients and on numbers of codes: a hundred bytes per recording would not
fit ten million of them, twenty do. pandas is imported where it is used: it takes half a second,
and most commands that look at a study make no folds.
"""

import heapq

import numpy as np
import pyarrow as pa

from mvkt_ray.data.identity import odd_ids, patient_key

_ODD = np.uint64(0x9E3779B97F4A7C15)
"""A multiplier: 2^64 over the golden ratio."""
_WORD_BYTES = 8
_OWN_BYTES = np.array([(1 << 8 * n) - 1 for n in range(_WORD_BYTES + 1)], dtype=np.uint64)
"""What is left of a word, the lowest byte first, of which so many bytes are a text's own."""


def hash_ids(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return uint64 `[n]`, the same for the same text on every machine."""
    from pandas.util import hash_array

    return hash_array(ids.to_numpy(zero_copy_only=False).astype(object), categorize=False)


def hash_patients(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return uint64 `[n]`, the same for every spelling of a patient; see `patient_key`."""
    return hash_ids(pa.array([patient_key(name) for name in ids.to_pylist()], pa.string()))


def quick_patient_hashes(ids: pa.Array) -> np.ndarray:
    """Return uint64 `[n]`, the same for every spelling of a patient; nothing is made of them.

    Some three times as fast as `hash_ids`, whose hashes decide who is in which fold.
    """
    odd = odd_ids(ids)
    hashes = _hash_bytes(ids)
    if len(odd):
        keys = [patient_key(name) for name in ids.take(odd).to_pylist()]
        hashes[odd] = _hash_bytes(pa.array(keys, pa.string()))
    return hashes


def _hash_bytes(texts: pa.Array) -> np.ndarray:
    """Hash texts, all at once, eight bytes after eight bytes."""
    if not len(texts):
        return np.empty(0, dtype=np.uint64)
    _, offset_buffer, bytes_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[texts.offset :][: len(texts) + 1]
    begin, length = offsets[:-1] - offsets[0], np.diff(offsets)
    n_words = -(-int(length.max()) // _WORD_BYTES)
    padded = np.zeros(offsets[-1] - offsets[0] + _WORD_BYTES * (n_words + 1), dtype=np.uint8)
    if bytes_buffer is not None:
        written = np.frombuffer(bytes_buffer, np.uint8)[offsets[0] : offsets[-1]]
        padded[: len(written)] = written
    words = np.lib.stride_tricks.sliding_window_view(padded, _WORD_BYTES)
    hashes = length.astype(np.uint64) * _ODD
    for number in range(n_words):
        word = words[np.minimum(begin + _WORD_BYTES * number, len(words) - 1)].view("<u8")[:, 0]
        n_own = np.clip(length - _WORD_BYTES * number, 0, _WORD_BYTES)
        mixed = (hashes ^ (word & _OWN_BYTES[n_own])) * _ODD
        mixed ^= mixed >> np.uint64(32)
        # Where a text has ended, longer ones beside it must not matter.
        hashes = np.where(n_own > 0, mixed, hashes)
    return hashes


def may_share_patients(hashes: np.ndarray, folds: np.ndarray) -> bool:
    """Whether patients of the same hash are in several folds; -1 is no fold.

    A "no" is certain. A "yes" has to be looked into, as two patients may have one hash: of ten
    million in ten folds with a chance of less than 1 in 10,000.
    """
    in_fold = folds >= 0
    n_bits = int(folds.max(initial=0)).bit_length()
    # The fold behind the hash: after sorting, recordings of a patient lie side by side.
    tagged = hashes[in_fold] << np.uint64(n_bits)
    tagged |= folds[in_fold].view(np.uint16)
    tagged.sort()
    differ = tagged[1:] ^ tagged[:-1]
    return bool(((differ > 0) & (differ < 1 << n_bits)).any())


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


def choose_patients(
    patients: np.ndarray, strata: np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """Draw a share of the patients of each stratum; a patient belongs to its rarest one.

    The patients of a stratum stand in an order that the seed alone decides, and the first share of
    them is drawn. So a smaller share is part of a larger one of the same seed.

    Args:
        patients: uint64 `[n_recordings]`, hashes.
        strata: int `[n_recordings]`, 0 for the rarest.
        fraction: Above 0, at most 1.
        seed: Chooses the order.

    Returns:
        bool `[n_recordings]`: whether the recording's patient was drawn.
    """
    hashes, patient_of = np.unique(patients, return_inverse=True)
    stratum = np.full(len(hashes), np.iinfo(np.int64).max)
    np.minimum.at(stratum, patient_of, strata)
    chance = np.random.default_rng(seed).permutation(len(hashes))
    order = np.lexsort((chance, stratum))
    of_order = stratum[order]
    first = np.searchsorted(of_order, of_order, side="left")
    size = np.searchsorted(of_order, of_order, side="right") - first
    # The middle of a patient's place: of one patient alone a half share is the least that has it.
    place = (np.arange(len(order)) - first + 0.5) / size
    drawn = np.empty(len(hashes), dtype=bool)
    drawn[order] = place < fraction
    return drawn[patient_of]


def patients_in_several_folds(patients: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the patients, as given, that have recordings in more than one fold; -1 is no fold."""
    import pandas as pd

    pairs = pd.DataFrame({"patient": patients, "fold": folds})
    pairs = pairs[pairs["fold"] >= 0].drop_duplicates()
    return pairs.loc[pairs["patient"].duplicated(), "patient"].unique()
