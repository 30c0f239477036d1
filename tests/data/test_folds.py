"""Folds that ingest makes: whole patients, even sizes, rare codes spread."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from mvkt_ray.data.folds import (
    choose_patients,
    hash_ids,
    make_folds,
    may_share_patients,
    patients_in_several_folds,
    quick_patient_hashes,
)
from mvkt_ray.data.identity import patient_key

RECORDINGS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), min_size=1, max_size=120)


def as_arrays(recordings: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    patients, strata = np.array(recordings).T
    return patients.astype(np.uint64), strata


@settings(max_examples=60)
@given(RECORDINGS, st.integers(3, 10), st.integers(0, 3))
def test_no_patient_is_in_two_folds_and_sizes_differ_by_one_patient_at_most(
    recordings: list[tuple[int, int]], n_folds: int, seed: int
) -> None:
    patients, strata = as_arrays(recordings)
    folds = make_folds(patients, strata, n_folds, seed)
    assert folds.dtype == np.int16
    assert folds.min() >= 1
    assert folds.max() <= n_folds
    assert not len(patients_in_several_folds(patients, folds))
    largest = np.unique(patients, return_counts=True)[1].max()
    for stratum in np.unique(strata):
        # Patients of the stratum itself; those of rarer ones have some of its recordings too.
        own = np.array([strata[patients == patient].min() == stratum for patient in patients])
        sizes = np.bincount(folds[own], minlength=n_folds + 1)[1:]
        assert np.ptp(sizes) <= largest


@settings(max_examples=30)
@given(RECORDINGS, st.randoms(use_true_random=False))
def test_the_order_of_recordings_does_not_matter(
    recordings: list[tuple[int, int]], shuffler: st.DrawFn
) -> None:
    patients, strata = as_arrays(recordings)
    order = list(range(len(recordings)))
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    folds = make_folds(patients, strata, 5, seed=0)
    np.testing.assert_array_equal(make_folds(patients[order], strata[order], 5, 0), folds[order])


def test_another_seed_gives_other_folds() -> None:
    patients, strata = np.arange(200, dtype=np.uint64), np.zeros(200, dtype=int)
    assert (make_folds(patients, strata, 10, 0) != make_folds(patients, strata, 10, 1)).any()


def test_rare_codes_are_spread_at_least_as_evenly_as_by_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    patients = rng.integers(0, 700, size=1000).astype(np.uint64)
    of_patient = rng.choice(6, size=700, p=[0.02, 0.04, 0.08, 0.16, 0.3, 0.4])
    strata = of_patient[patients.astype(int)]
    folds = make_folds(patients, strata, 10, seed=0)
    theirs = np.zeros(1000, dtype=int)
    splitter = StratifiedGroupKFold(n_splits=10, shuffle=True, random_state=0)
    for fold, (_, held_out) in enumerate(splitter.split(patients, strata, groups=patients)):
        theirs[held_out] = fold + 1

    def spread(folds: np.ndarray) -> list[float]:
        tables = [np.bincount(folds[strata == code], minlength=11)[1:] for code in range(6)]
        return [float(table.std()) for table in tables]

    assert (np.array(spread(folds)) <= np.array(spread(theirs)) + 1e-9).all()


def test_hashes_are_the_same_on_every_machine() -> None:
    expected = [11407646959027041377, 17209943390661856185]
    assert hash_ids(pa.array(["p1", "p2"])).tolist() == expected


def test_a_recording_without_fold_shares_nothing() -> None:
    shared = patients_in_several_folds(np.array(["a", "a", "b", "b"]), np.array([1, -1, 2, 3]))
    assert shared.tolist() == ["b"]


PATIENTS = st.one_of(
    st.integers(0, 10**17).map(str),
    st.from_regex(r"[ 0]?[a-z]{0,9}[0-9]{1,12}(\.0)?", fullmatch=True),
    st.text(max_size=20),
)


@given(st.lists(PATIENTS, min_size=1, max_size=40), st.integers(0, 5), st.integers(0, 5))
def test_patients_have_one_hash_where_they_have_one_key(
    names: list[str], n_before: int, n_after: int
) -> None:
    ids = pa.array([*["9"] * n_before, *names, *["p"] * n_after])
    hashes = quick_patient_hashes(ids.slice(n_before, len(names)))
    keys = [patient_key(name) for name in names]
    same_key = np.array([[one == other for one in keys] for other in keys])
    np.testing.assert_array_equal(hashes[:, None] == hashes, same_key)
    # Whatever else is in the same piece.
    np.testing.assert_array_equal(hashes, [quick_patient_hashes(pa.array([n]))[0] for n in names])


def test_no_two_of_a_million_patients_have_one_hash() -> None:
    numbers = pa.array(np.arange(1_000_000)).cast(pa.string())
    assert len(np.unique(quick_patient_hashes(numbers) << np.uint64(4))) == len(numbers)
    assert not len(quick_patient_hashes(numbers[:0]))


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from([-1, 0, 1, 2, 9, 10, 32767]))),
    st.booleans(),
)
def test_a_patient_in_several_folds_is_never_overlooked(
    recordings: list[tuple[int, int]], one_fold_each: bool
) -> None:
    patients, folds = np.array(recordings, dtype=np.int16).reshape(-1, 2).T
    if one_fold_each:
        folds = patients % 10
    shared = patients_in_several_folds(patients, folds)
    hashes = quick_patient_hashes(pa.array(patients).cast(pa.string()))
    assert may_share_patients(hashes, folds) == bool(len(shared))


@settings(max_examples=60)
@given(RECORDINGS, st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.integers(0, 3))
def test_a_share_of_patients_is_whole_patients_of_each_stratum_and_part_of_a_larger_share(
    recordings: list[tuple[int, int]], one: float, other: float, seed: int
) -> None:
    patients, strata = as_arrays(recordings)
    small, large = sorted((one, other))
    drawn = choose_patients(patients, strata, small, seed)
    assert not (drawn & ~choose_patients(patients, strata, large, seed)).any()
    assert choose_patients(patients, strata, 1.0, seed).all()
    own = {patient: strata[patients == patient].min() for patient in np.unique(patients)}
    for patient in own:
        assert len(np.unique(drawn[patients == patient])) == 1
    for stratum in set(own.values()):
        members = [patient for patient in own if own[patient] == stratum]
        n_drawn = sum(drawn[patients == patient][0] for patient in members)
        assert abs(n_drawn - small * len(members)) <= 0.5 + 1e-9


@settings(max_examples=30)
@given(RECORDINGS, st.permutations(range(5)))
def test_who_is_drawn_does_not_depend_on_the_order_of_recordings(
    recordings: list[tuple[int, int]], shuffled: list[int]
) -> None:
    patients, strata = as_arrays(recordings)
    order = np.argsort([shuffled[n % 5] for n in range(len(recordings))], kind="stable")
    drawn = choose_patients(patients, strata, 0.4, seed=1)
    again = choose_patients(patients[order], strata[order], 0.4, seed=1)
    np.testing.assert_array_equal(again, drawn[order])


def test_another_seed_draws_other_patients() -> None:
    patients, strata = np.arange(200, dtype=np.uint64), np.zeros(200, dtype=int)
    assert (
        choose_patients(patients, strata, 0.5, 0) != choose_patients(patients, strata, 0.5, 1)
    ).any()
