"""Scores by sex and age: those of the recordings of these people, and no others."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mvkt_ray.data.shards import open_shards
from mvkt_ray.delivery.exporting.subgroups import Subgroup, subgroups
from mvkt_ray.storage.location import Location

Said = tuple[dict[str, Subgroup], np.ndarray, np.ndarray, list[str | None]]


@pytest.fixture(scope="module")
def said(recordings: Location) -> Said:
    shards = open_shards(recordings)
    rng = np.random.default_rng(0)
    n = shards.n_recordings
    labels = (rng.random((n, 2)) < [0.4, 0.01]).astype(np.float32)
    scores = (0.4 * labels + rng.random((3, n, 2))).astype(np.float32)
    found = subgroups(
        shards,
        record_ids_N=shards.record_ids(),
        patient_ids_N=shards.patient_ids(),
        labels_NC=labels,
        scores_RNC=scores,
        classes=("often", "rare"),
    )
    return {each.name: each for each in found}, labels, scores, shards.column("sex").to_pylist()


def test_a_group_scores_as_its_recordings_do(said: Said) -> None:
    groups, labels, scores, sex = said
    women = np.array([each == "female" for each in sex])
    group = groups["female"]
    right = np.mean([roc_auc_score(labels[women, 0], seed[women, 0]) for seed in scores])
    assert group.macro_auroc == pytest.approx(right, abs=1e-12)
    assert group.n_recordings == women.sum()
    assert group.classes == ("often",)
    assert group.interval is not None
    assert group.interval[0] < right < group.interval[1]


def test_everybody_is_in_one_group_of_age_and_one_of_sex_at_most(said: Said) -> None:
    groups, labels, _, sex = said
    ages = [each.n_recordings for name, each in groups.items() if "years" in name]
    assert sum(ages) <= len(labels)
    known = sum(each is not None for each in sex)
    assert groups["female"].n_recordings + groups["male"].n_recordings == known
