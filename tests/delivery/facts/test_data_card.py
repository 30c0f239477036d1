"""The data card counts what the shards hold."""

from typing import Any

import numpy as np

from mvkt_ray.data.shards import open_shards
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
