"""The test split, which only the examination of a study's finals may open.

`[tool.importlinter]` lets one module import this one: `mvkt_ray.search.finals.examine`. Everything
that trains, chooses or reports gets `open_training_splits`, which only counts the test split.

Reads: the small columns of a shard set.
"""

from dataclasses import asdict
from typing import Protocol

import numpy as np

from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.splits import Split, open_training_splits
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError
from mvkt_ray.storage.manifest import fingerprint_of

NAME = "test"


class WrittenOpening(Protocol):
    """Record of an opening that the ledger holds before the split is opened."""

    @property
    def shards(self) -> str:
        """Fingerprint of the shards that it is for."""
        ...

    @property
    def split(self) -> str:
        """Fingerprint of task, folds and least likelihood."""
        ...

    @property
    def n_recordings(self) -> int:
        """Number of recordings in the split."""
        ...

    @property
    def completed_at(self) -> str | None:
        """When it was over; None while it goes on."""
        ...


def open_test_split(
    shards: Shards,
    task: Task,
    folds: FoldsConfig,
    min_likelihood: float,
    opening: WrittenOpening | None,
) -> Split:
    """Return the test split, against an opening that was written into the ledger.

    Args:
        shards: Opened with the leads that will be used.
        task: Recordings without a label of it are left out.
        folds: Which folds make which split.
        min_likelihood: Codes below it do not count.
        opening: Made for these shards and this split, and not over.

    Raises:
        DataError: There is no opening, it is over, or it was made for something else; or a patient
            is in two folds.
    """
    if opening is None:
        raise DataError(
            "the test split is closed: the ledger records no opening. Only `mvkt finalize` opens "
            "it, once, after every choice has been made."
        )
    if opening.completed_at is not None:
        raise DataError(
            f"the test split is closed again: this opening ended at {opening.completed_at}. "
            "Use the predictions that it saved, or open the split again: "
            '`mvkt finalize --again "reason"`.'
        )
    asked = {
        "shards": shards.fingerprint,
        "split": fingerprint_of([task.to_json(), asdict(folds), min_likelihood]),
    }
    for kind, fingerprint in asked.items():
        written = getattr(opening, kind)
        if written != fingerprint:
            raise DataError(
                f"the test split stays closed: the opening is for {kind} {written[:12]}, not for "
                f"{kind} {fingerprint[:12]}. Finalize with the data that the study was searched "
                "on."
            )
    # The same checks as for training, of patients and of empty splits.
    training = open_training_splits(shards, task, folds, min_likelihood)
    labels = shards.labels(task, min_likelihood)
    usable = labels.any(axis=1) & shards.has_all_leads()
    rows = np.flatnonzero(np.isin(shards.folds(), folds.test) & usable)
    if not len(rows) == training.n_test == opening.n_recordings:
        raise DataError(
            f"the test split has {len(rows)} recordings, but was opened for "
            f"{opening.n_recordings}. Finalize with the leads and the data that it was opened "
            "with."
        )
    return Split(
        name=NAME,
        rows=rows,
        labels=labels[rows].astype(np.float32),
        classes=task.classes,
        shards=shards,
    )
