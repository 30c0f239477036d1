"""The data card: source, splits, patients, classes and quarantined recordings.

Reads: the metadata columns of the shards. Before finals only the size of the test split is read.

Shapes: N recordings, C classes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.data.tasks import Task
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.facts.recordings_used import count_unused
from mvkt_ray.delivery.report.reported_data import Ages, DataCard, SplitCard, Splits

AGE_PERCENTILES = (5, 50, 95)
"""Percentiles of the ages in `Ages`: low, median, high."""


def describe_data(material: ReportMaterial) -> tuple[DataCard | None, str | None]:
    """Return the report's `data`, or None and the reason for its absence."""
    shards = material.shards()
    if shards is None:
        where = material.shards_location or "of the study"
        return None, f"The shards {where} are not there any more."
    manifest, config = shards.manifest, material.config
    task = shards.task(config.data.task) if material.teacher is None else _task(material)
    data = config.data
    splits = open_training_splits(shards, task, data.folds, data.min_likelihood, data.label_use)
    quarantine = Counter(shards.quarantine()["reason"].to_pylist())
    source = str(manifest.details["source"])
    card = DataCard(
        source=source,
        is_synthetic=source == "synthetic",
        shards=str(shards.location),
        sampling_rate_hz=shards.sampling_rate_hz,
        leads=tuple(shards.leads),
        n_recordings=shards.n_recordings,
        n_patients=int(manifest.counts["n_patients"]),
        n_without_patient=manifest.counts["n_without_patient"],
        **count_unused(shards, task, data.folds, data.min_likelihood, splits.train.rows),
        n_with_assumed_gain=manifest.counts["n_with_assumed_gain"],
        n_with_assumed_rate=manifest.counts["n_with_assumed_rate"],
        n_not_listed=manifest.counts["n_not_listed"],
        min_likelihood=float(config.data.min_likelihood),
        crop_s=float(config.view.crop_s),
        folds_made_at_ingest=bool(manifest.details["folds_made_at_ingest"]),
        splits=Splits(
            train=_split(shards, splits.train.rows, splits.train.labels, task, config, "train"),
            val=_split(shards, splits.val.rows, splits.val.labels, task, config, "val"),
            test=_test_split(shards, task, material, splits.n_test),
        ),
        n_quarantined=sum(quarantine.values()),
        quarantine=dict(sorted(quarantine.items(), key=lambda item: (-item[1], item[0]))),
        remarks=tuple(manifest.details["remarks"]),
    )
    return card, None


def _task(material: ReportMaterial) -> Task:
    """Return the task stored with the teacher, as a user's task file may have changed since."""
    assert material.teacher is not None
    return Task.from_json(material.teacher.config["task"])


def _test_split(shards: Shards, task: Task, material: ReportMaterial, n_test: int) -> SplitCard:
    """Return the card of the test split; only its size before finals have opened it."""
    if material.finals is None:
        return SplitCard(
            folds=material.config.data.folds.test,
            n_recordings=n_test,
            n_labelled=n_test,
            n_patients=None,
            n_positive=None,
            age_years=None,
            sex=None,
        )
    test = material.finals.test
    row_of = {record_id: row for row, record_id in enumerate(shards.record_ids())}
    rows = np.array([row_of[each] for each in test.record_ids_N if each in row_of], dtype=np.int64)
    card = _split(shards, rows, test.labels_NC, task, material.config, "test")
    return replace(
        card,
        n_recordings=len(test.record_ids_N),
        n_labelled=len(test.record_ids_N),
        n_patients=len(np.unique(test.patient_ids_N)),
    )


def _split(
    shards: Shards,
    rows: NDArray[np.int64],
    labels_NC: NDArray[Any],
    task: Task,
    config: StudyConfig,
    name: str,
) -> SplitCard:
    positives = (np.asarray(labels_NC) > 0.5).sum(axis=0)
    patients = shards.patient_ids()[rows]
    return SplitCard(
        folds=tuple(getattr(config.data.folds, name)),
        n_recordings=len(rows),
        n_labelled=int((~np.isnan(np.asarray(labels_NC, dtype=np.float32)).any(axis=1)).sum()),
        n_patients=len(np.unique(patients.astype(str))),
        n_positive=dict(zip(task.classes, map(int, positives), strict=True)),
        age_years=_ages(shards.column("age").take(rows).to_numpy(zero_copy_only=False)),
        sex=_sexes(shards.column("sex").take(rows).to_pylist()),
    )


def _ages(age_N: NDArray[Any]) -> Ages | None:
    known = np.asarray(age_N, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    low, median, high = (float(value) for value in np.percentile(known, AGE_PERCENTILES))
    return Ages(median=median, low=low, high=high, n_unknown=len(age_N) - len(known))


def _sexes(sexes: Sequence[str | None]) -> dict[str, int] | None:
    counts = Counter(sex or "unknown" for sex in sexes)
    return None if set(counts) <= {"unknown"} else dict(sorted(counts.items()))
