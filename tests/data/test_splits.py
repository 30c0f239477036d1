"""Splits share no patient, hold what the folds say, and never show the test recordings."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvkt_ray.config.data_config import FoldsConfig, LabelledConfig, LabelUse
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.sources import ptbxl
from mvkt_ray.data.sources.file_signal import FileSignal
from mvkt_ray.data.splits import TrainingSplits, open_training_splits, with_labels_of
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError

Make = Callable[..., Any]
FOLDS = FoldsConfig(train=(1, 2), val=(3,), test=(4,))


@pytest.fixture(scope="module")
def shards(
    tmp_path_factory: pytest.TempPathFactory, ingested: Make, make_recording: Make
) -> Shards:
    recordings = [make_recording(number) for number in range(24)]
    recordings += [make_recording(24 + number, codes=("other",)) for number in range(8)]
    return ingested(tmp_path_factory.mktemp("data") / "shards", recordings, rows_per_shard=10)


def test_splits_hold_the_labelled_recordings_of_their_folds(shards: Shards) -> None:
    splits = open_training_splits(shards, shards.tasks["ab"], FOLDS)
    assert splits.train.rows.tolist() == [n for n in range(24) if n % 4 in (0, 1)]
    assert splits.val.rows.tolist() == [n for n in range(24) if n % 4 == 2]
    assert splits.train.record_ids.tolist()[:3] == ["r000", "r001", "r004"]
    assert splits.val.patient_ids.tolist()[0] == "p002"
    assert splits.train.classes == ("A", "B")
    assert splits.train.labels[:3].tolist() == [[1, 0], [0, 1], [0, 1]]
    assert splits.val.labels[0].tolist() == [1, 1]
    assert (splits.n_without_label, splits.n_without_lead, splits.n_test) == (6, 0, 6)


RECORDINGS = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.lists(st.sampled_from(["a", "b", "x", "other"]), unique=True),
        st.sampled_from([0.0, 40.0, 100.0]),
    ),
    min_size=12,
    max_size=40,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDINGS, st.integers(1, 15), st.sampled_from([1, 8, 1 << 16]), st.sampled_from([0, 50]))
def test_property_splits_are_what_one_finds_recording_by_recording(
    tmp_path_factory: pytest.TempPathFactory,
    ingested: Make,
    make_recording: Make,
    recordings: list[tuple[int, list[str], float]],
    rows_per_shard: int,
    rows_at_once: int,
    min_likelihood: int,
) -> None:
    made = [
        make_recording(
            number,
            patient_id=f" {patient}.0" if number % 3 else f"{patient}",
            fold=patient % 5 or None,
            codes=tuple(codes),
            likelihoods=(likelihood,) * len(codes),
        )
        for number, (patient, codes, likelihood) in enumerate(recordings)
    ]
    # A patient of each split, so that none is empty.
    made += [make_recording(100 + fold, patient_id=f"of {fold}", fold=fold) for fold in (1, 3, 4)]
    shards = ingested(tmp_path_factory.mktemp("s") / "s", made, rows_per_shard=rows_per_shard)
    task = shards.tasks["ab"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mvkt_ray.data.shards._ROWS_AT_ONCE", rows_at_once)
        splits = open_training_splits(shards, task, FOLDS, min_likelihood)
    columns = (shards.column(name).to_pylist() for name in ("codes", "likelihoods"))
    labels = task.labels(*columns, min_likelihood)
    n_in_test = 0
    for row, (recording, wanted) in enumerate(zip(made, labels, strict=True)):
        for split, folds in ((splits.train, FOLDS.train), (splits.val, FOLDS.val)):
            at = np.flatnonzero(split.rows == row)
            assert len(at) == (recording.fold in folds and wanted.any())
            assert (split.labels[at] == wanted).all()
        n_in_test += recording.fold in FOLDS.test and bool(wanted.any())
    assert splits.n_test == n_in_test
    assert splits.n_in_no_split == sum(each.fold is None for each in made)
    for split in (splits.train, splits.val):
        assert split.labels.dtype == np.float32
        assert (np.diff(split.rows) > 0).all()


def test_patients_whose_hashes_meet_are_looked_at_by_name(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mvkt_ray.data.shards.quick_patient_hashes",
        lambda ids: np.zeros(len(ids), dtype=np.uint64),
    )
    assert open_training_splits(shards, shards.tasks["ab"], FOLDS).n_test == 6


def test_no_test_row_can_be_reached_through_the_splits(shards: Shards) -> None:
    splits = open_training_splits(shards, shards.tasks["ab"], FOLDS)
    reached = np.concatenate([splits.train.rows, splits.val.rows])
    assert not np.isin(shards.folds()[reached], FOLDS.test).any()
    assert {item.name for item in fields(TrainingSplits)} == {
        "train", "val", "n_without_label", "n_without_lead", "n_in_no_split", "n_test",
    }  # fmt: skip


def test_an_empty_test_split_says_which_folds_there_are_and_what_to_set(shards: Shards) -> None:
    with pytest.raises(DataError) as refused:
        open_training_splits(shards, shards.tasks["ab"], FoldsConfig(train=(1, 2), val=(3,)))
    assert str(refused.value) == (
        "the test split is empty: no recording is in fold 10; these shards have recordings with a "
        "label in the folds 1 (6), 2 (6), 3 (6), 4 (6). Set data.folds in the study file, or "
        "--folds, for example 1-2/3/4."
    )


def test_a_fold_without_labels_of_the_task_is_empty(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [
        make_recording(number, codes=("other",) if number % 4 == 2 else ("a",), fold=number % 4)
        for number in range(16)
    ]
    shards = ingested(tmp_path / "s", recordings)
    folds = FoldsConfig(train=(0, 1), val=(2,), test=(3,))
    with pytest.raises(
        DataError, match=r"val split is empty: none of the 4 recordings has a label"
    ):
        open_training_splits(shards, shards.tasks["ab"], folds)


def test_shards_without_folds_say_so(tmp_path: Path, ingested: Make, make_recording: Make) -> None:
    shards = ingested(tmp_path / "s", [make_recording(number, fold=None) for number in range(4)])
    assert shards.folds().tolist() == [-1] * 4
    with pytest.raises(DataError, match="Give the recordings folds"):
        open_training_splits(shards, shards.tasks["ab"], FOLDS)


@pytest.mark.parametrize(
    ("folds_of_patient", "message"),
    [
        ((1, 3), r"'q1' is in the folds 1, 3: the splits train and val would share it"),
        ((2, 4), r"'q1' is in the folds 2, 4: the splits train and test would share it"),
        ((1, 2), r"'q1' is in the folds 1, 2: folds must not share patients"),
    ],
)
def test_a_patient_in_two_folds_is_refused(
    tmp_path: Path, ingested: Make, make_recording: Make, folds_of_patient: Any, message: str
) -> None:
    recordings = [make_recording(number) for number in range(12)]
    recordings += [
        make_recording(20 + fold, fold=fold, patient_id="q1") for fold in folds_of_patient
    ]
    shards = ingested(tmp_path / "s", recordings)
    with pytest.raises(DataError, match=message):
        open_training_splits(shards, shards.tasks["ab"], FOLDS)


def test_recordings_that_lack_a_lead_are_left_out_where_it_is_used(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [make_recording(number, n_leads=11 if number == 4 else 12) for number in range(16)]
    shards = ingested(tmp_path / "s", recordings, missing_leads="keep")
    splits = open_training_splits(shards, shards.tasks["ab"], FOLDS)
    assert splits.n_without_lead == 1
    assert 4 not in splits.train.rows
    only_two = open_shards(tmp_path / "s", leads=["II"])
    assert 4 in open_training_splits(only_two, shards.tasks["ab"], FOLDS).train.rows


def test_a_least_likelihood_takes_labels_away(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [
        make_recording(number, codes=("a", "b"), likelihoods=(100.0, 15.0)) for number in range(8)
    ]
    shards = ingested(tmp_path / "s", recordings)
    task = shards.tasks["ab"]
    assert open_training_splits(shards, task, FOLDS).val.labels.tolist() == [[1, 1]] * 2
    assert open_training_splits(shards, task, FOLDS, 50).val.labels.tolist() == [[1, 0]] * 2


def test_real_folds_and_classes_are_those_of_the_dataset(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts of the README beside the recordings; a stand-in for their signals saves the time."""
    ramp = np.tile(np.arange(20, dtype=np.float32) / 100, (12, 1))
    stand_in = FileSignal(signal_mv=ramp, leads=LEADS, sampling_rate_hz=100.0)
    monkeypatch.setattr(ptbxl, "read_wfdb", lambda *_, **__: stand_in)
    ingest(ptbxl.PtbXl(location=str(shared_data / "ptbxl")), str(tmp_path / "s"))
    shards = open_shards(tmp_path / "s")
    task = shards.task("superdiagnostic")
    with pytest.raises(
        DataError, match=r"no recording is in fold 10.*--folds, for example 1-7/8/9"
    ):
        open_training_splits(shards, task, FoldsConfig())
    folds = FoldsConfig(train=(1, 2, 3, 4, 5, 6, 7), val=(8,), test=(9,))
    splits = open_training_splits(shards, task, folds)
    counts = dict(zip(task.classes, splits.val.labels.sum(0).astype(int).tolist(), strict=True))
    assert counts == {"NORM": 147, "MI": 84, "STTC": 81, "CD": 72, "HYP": 42}
    assert (len(splits.val), splits.n_test) == (336 - 6, 377 - 10)
    assert not set(splits.train.patient_ids) & set(splits.val.patient_ids)
    classes = shards.manifest.details["classes"]["superdiagnostic"]
    assert classes == {"NORM": 1353, "MI": 683, "STTC": 752, "CD": 668, "HYP": 373}
    assert shards.manifest.counts["n_patients"] == 2873


def test_declared_unlabelled_recordings_are_left_out_or_kept_without_their_labels(
    shards: Shards,
) -> None:
    whole = open_training_splits(shards, shards.tasks["ab"], FOLDS)
    first = LabelledConfig(folds=(1,))
    few = open_training_splits(shards, shards.tasks["ab"], FOLDS, 0.0, LabelUse(labelled=first))
    assert few.train.rows.tolist() == [n for n in range(24) if n % 4 == 0]
    assert few.n_without_label == 6 + 6
    use = LabelUse(labelled=first, distils_unlabelled=True)
    all_of_them = open_training_splits(shards, shards.tasks["ab"], FOLDS, 0.0, use)
    # Those of the training folds that have no label of the task are among them, too.
    assert all_of_them.train.rows.tolist() == [n for n in range(32) if n % 4 in (0, 1)]
    assert all_of_them.train.labelled().rows.tolist() == few.train.rows.tolist()
    assert all_of_them.train.labelled().labels.tolist() == few.train.labels.tolist()
    hidden = ~all_of_them.train.has_label
    assert np.isnan(all_of_them.train.labels[hidden]).all()
    assert all_of_them.n_without_label == 2
    for splits in (few, all_of_them):
        assert splits.val.rows.tolist() == whole.val.rows.tolist()
        assert splits.val.labels.tolist() == whole.val.labels.tolist()
        assert splits.n_test == whole.n_test
    assert whole.train.labelled() is whole.train


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDINGS, st.floats(0.2, 1.0), st.integers(0, 2), st.booleans())
def test_property_unlabelled_recordings_are_never_of_a_patient_of_another_split(
    tmp_path_factory: pytest.TempPathFactory,
    ingested: Make,
    make_recording: Make,
    recordings: list[tuple[int, list[str], float]],
    fraction: float,
    seed: int,
    distils: bool,
) -> None:
    made = [
        make_recording(
            number,
            patient_id=f" {patient}.0" if number % 3 else f"{patient}",
            # A patient's recordings have one fold, or none.
            fold=(patient % 5 or None) if number % 4 else None,
            codes=tuple(codes),
            likelihoods=(100.0,) * len(codes),
        )
        for number, (patient, codes, _) in enumerate(recordings)
    ]
    made += [
        make_recording(100 + n, patient_id=f"of {n}", fold=fold)
        for n, fold in enumerate((1, 1, 1, 2, 2, 2, 3, 4))
    ]
    shards = ingested(tmp_path_factory.mktemp("s") / "s", made)
    use = LabelUse(
        labelled=LabelledConfig(fraction=fraction, seed=seed), distils_unlabelled=distils
    )
    splits = open_training_splits(shards, shards.tasks["ab"], FOLDS, 0.0, use)
    whole = open_training_splits(shards, shards.tasks["ab"], FOLDS)
    assert splits.val.rows.tolist() == whole.val.rows.tolist()
    known = splits.train.labelled()
    assert set(known.rows) <= set(whole.train.rows)
    if not distils:
        assert known is splits.train
    kept_apart = {
        int(each.patient_id.strip().removesuffix(".0").removeprefix("of "))
        for each in made
        if each.fold in (*FOLDS.val, *FOLDS.test) and not each.patient_id.startswith("of")
    }
    for row in splits.train.rows:
        fold, patient = made[row].fold, made[row].patient_id
        assert fold in (*FOLDS.train, None)
        if not patient.startswith("of"):
            assert int(patient.strip().removesuffix(".0")) not in kept_apart
    patients_known = set(known.patient_ids)
    labelled_train = set(whole.train.patient_ids)
    of_known = {row for row in whole.train.rows if shards.patient_ids()[row] in patients_known}
    # Patients are drawn whole: of a labelled one every label is known.
    assert set(known.rows) == of_known
    assert patients_known <= labelled_train


def test_labels_of_nobody_are_refused(shards: Shards) -> None:
    use = LabelUse(labelled=LabelledConfig(fraction=0.001))
    with pytest.raises(DataError, match=r"12 have one, but a fraction of 0\.001 .* data\.labelled"):
        open_training_splits(shards, shards.tasks["ab"], FOLDS, 0.0, use)


def test_labels_of_a_second_task_stand_behind_and_are_known_where_the_first_are(
    shards: Shards,
) -> None:
    use = LabelUse(labelled=LabelledConfig(folds=(1,)), distils_unlabelled=True)
    first = open_training_splits(shards, shards.tasks["ab"], FOLDS, label_use=use).train
    second = Task.of_classes("finer", {"b": ["b"], "x": ["x"], "other": ["other"]})
    both = with_labels_of(first, second)
    assert both.classes == ("A", "B", "finer/b", "finer/other", "finer/x")
    np.testing.assert_array_equal(both.labels[:, :2], first.labels)
    np.testing.assert_array_equal(both.has_label, first.has_label)
    known = both.labels[both.has_label]
    # The second class of the task is either code.
    np.testing.assert_array_equal(np.maximum(known[:, 2], known[:, 4]), known[:, 1])
    assert not known[:, 3].any()
    assert np.isnan(both.labels[~both.has_label]).all()
    assert 0 < both.has_label.sum() < len(both)
