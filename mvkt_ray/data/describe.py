"""Says in plain values what a shard set holds, for people and for `mvkt inspect --json`."""

from typing import Any

import numpy as np

from mvkt_ray.data.shards import Shards
from mvkt_ray.data.tasks import codes_without_class


def describe_shards(shards: Shards) -> dict[str, Any]:
    """Return what `mvkt inspect` says of a shard set, as plain values.

    Keys: `source recordings patients quarantined leads sampling_rate_hz lengths source_rates_hz
    folds folds_made_at_ingest patients_in_several_folds tasks codes codes_without_class quarantine
    shards size_bytes fingerprint`. `folds` counts recordings; each of `tasks` has `classes`
    (recordings in all), `by_fold` and `without_label`; `quarantine` counts recordings by reason.
    """
    details, counts = shards.manifest.details, shards.manifest.counts
    folds = shards.folds()
    tasks: dict[str, Any] = {}
    for name, task in shards.tasks.items():
        labels = shards.labels(task)
        by_fold = {
            int(fold): dict(zip(task.classes, labels[folds == fold].sum(0).astype(int).tolist(),
                                strict=True))
            for fold in np.unique(folds)
        }  # fmt: skip
        tasks[name] = {
            "classes": details["classes"][name],
            "without_label": int((labels.sum(1) == 0).sum()),
            "by_fold": by_fold,
        }
    return {
        "source": details["source"],
        "recordings": shards.n_recordings,
        "patients": counts["n_patients"],
        "quarantined": counts["n_quarantined"],
        "leads": list(shards.leads),
        "sampling_rate_hz": shards.sampling_rate_hz,
        "lengths": details["lengths"],
        "source_rates_hz": details["source_rates_hz"],
        "folds": details["folds"],
        "folds_made_at_ingest": details["folds_made_at_ingest"],
        "patients_in_several_folds": counts["n_patients_in_several_folds"],
        "tasks": tasks,
        "codes": details["codes"],
        "codes_without_class": codes_without_class(shards.tasks.values(), details["codes"]),
        "quarantine": details["quarantine"],
        "shards": len(shards.row_starts) - 1,
        "size_bytes": sum(entry.size_bytes for entry in shards.manifest.files.values()),
        "fingerprint": shards.fingerprint,
    }
