"""The data card counts what the shards hold."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.data.shards import open_shards
from mvkt_ray.delivery.facts.recordings_used import UNUSED, count_unused
from mvkt_ray.delivery.sentences.recording_counts import use_sentence
from mvkt_ray.storage.location import Location


def test_splits_have_the_recordings_patients_and_classes_of_their_folds(
    final_report: dict[str, Any], recordings: Location
) -> None:
    shards = open_shards(recordings)
    task = shards.task("synthetic")
    labels, folds, patients = shards.labels(task), shards.folds(), shards.patient_ids()
    for name, chosen in (("train", (1, 2, 3, 4)), ("val", (5, 6, 7)), ("test", (8, 9, 10))):
        rows = np.isin(folds, chosen) & (labels.sum(1) > 0)
        split = final_report["data"]["splits"][name]
        assert split["folds"] == list(chosen)
        assert split["n_recordings"] == rows.sum()
        assert split["n_patients"] == len(set(patients[rows]))
        counts = dict(zip(task.classes, labels[rows].sum(0).astype(int).tolist(), strict=True))
        assert split["n_positive"] == counts
        assert sum(split["sex"].values()) == rows.sum()
        ages = shards.column("age").to_numpy()[rows]
        assert split["age_years"]["median"] == np.median(ages)


def test_the_card_says_where_the_recordings_are_from(final_report: dict[str, Any]) -> None:
    data = final_report["data"]
    assert (data["source"], data["is_synthetic"]) == ("synthetic", True)
    assert (data["n_recordings"], data["sampling_rate_hz"]) == (400, 100)
    assert sum(data["quarantine"].values()) == data["n_quarantined"] == 0


class FewShards:
    """As much of shards as counting needs."""

    def __init__(self, folds: np.ndarray, labels: np.ndarray, has_leads: np.ndarray) -> None:
        self._folds, self._labels, self._has_leads = folds, labels, has_leads

    def folds(self) -> np.ndarray:
        return self._folds

    def labels(self, task: Any, min_likelihood: float) -> np.ndarray:
        return self._labels

    def has_all_leads(self) -> np.ndarray:
        return self._has_leads


@settings(max_examples=60)
@given(
    recordings=st.lists(
        st.tuples(st.integers(-1, 12), st.integers(0, 1), st.booleans()), min_size=1, max_size=60
    ),
    distils=st.booleans(),
)
def test_every_recording_is_in_a_split_or_counted_once_with_a_reason(
    recordings: list[tuple[int, int, bool]], distils: bool
) -> None:
    folds, label, has_leads = map(np.array, zip(*recordings, strict=True))
    shards: Any = FewShards(folds, label[:, None], has_leads)
    no_task: Any = None  # the labels are there already
    splits = FoldsConfig(train=(1, 2), val=(3,), test=(4, 10))
    usable = (label > 0) & has_leads
    inside = {name: np.isin(folds, getattr(splits, name)) & usable for name in ("val", "test")}
    # Of fold 2 no label is to be known.
    known = usable & (folds == 1)
    without = has_leads & ~known & (np.isin(folds, [1, 2]) | ((folds < 0) & ~usable))
    inside["train"] = known | without if distils else known
    unused = count_unused(shards, no_task, splits, 0.0, np.flatnonzero(inside["train"]))
    sizes = {name: int(chosen.sum()) for name, chosen in inside.items()}
    used = sum(sizes.values())
    assert used + sum(unused[f"n_{reason}"] for reason in UNUSED) == len(recordings)
    splits_by_name = {
        name: SimpleNamespace(n_recordings=sizes[name], n_labelled=sizes[name])
        for name in ("train", "val", "test")
    }
    splits_by_name["train"].n_labelled = int(known.sum())
    by_split = SimpleNamespace(**splits_by_name, all=[*splits_by_name.values()])
    data: Any = SimpleNamespace(n_recordings=len(recordings), splits=by_split, **unused)
    said = use_sentence(data)
    assert ("in no split" in said) == (used < len(recordings))
    used_without_fold = inside["train"] & (folds < 0)
    assert ("no fold" in said) == ((folds < 0) & ~used_without_fold).any()


def test_the_card_adds_up(final_report: dict[str, Any], searched_report: dict[str, Any]) -> None:
    for report in (final_report, searched_report):
        data = report["data"]
        splits = sum(split["n_recordings"] for split in data["splits"].values())
        assert splits + sum(data[f"n_{reason}"] for reason in UNUSED) == data["n_recordings"]
