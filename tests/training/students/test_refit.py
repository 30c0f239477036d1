"""Both splits together: every recording once, in the order of the shards, with its own labels."""

from typing import TYPE_CHECKING

import numpy as np

from mvkt_ray.training.students.refit import with_validation

if TYPE_CHECKING:
    from conftest import TinyStudy


def test_the_training_split_becomes_both_and_the_validation_split_stays(
    tiny_study: "TinyStudy",
) -> None:
    before = tiny_study.splits
    after = with_validation(before)
    train, shards = after.train, tiny_study.shards
    assert len(train) == len(before.train) + len(before.val)
    assert set(train.rows) == {*before.train.rows, *before.val.rows}
    assert (np.diff(train.rows) > 0).all()
    assert train.record_ids.tolist() == shards.record_ids()[train.rows].tolist()
    assert train.patient_ids.tolist() == shards.patient_ids()[train.rows].tolist()
    every = shards.labels(tiny_study.job.task)
    assert train.labels.tolist() == every[train.rows].tolist()
    assert after.val is before.val
    assert after.n_test == before.n_test
    folds = tiny_study.job.folds
    assert not np.isin(shards.folds()[train.rows], folds.test).any()
