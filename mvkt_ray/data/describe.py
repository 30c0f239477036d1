"""Says in plain values what a shard set holds, for people and for `mvkt inspect --json`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mvkt_ray.data.shards import Shards
from mvkt_ray.data.tasks import codes_without_class


def describe_assumptions(counts: Mapping[str, int]) -> str:
    """Say what the files of recordings do not state and was assumed; empty where they state all.

    Args:
        counts: of the manifest of a shard set.
    """
    assumed = {
        "no gain, taken as 200 units per mV or other unit": counts["n_with_assumed_gain"],
        "no sampling rate, taken as 250 Hz": counts["n_with_assumed_rate"],
    }
    return "; ".join(f"{n:,} recordings state {what}" for what, n in assumed.items() if n)


def describe_shards(shards: Shards) -> dict[str, Any]:
    """Return what `mvkt inspect` says of a shard set, as plain values.

    Keys: `source recordings patients quarantined with_assumed_gain with_assumed_rate leads
    sampling_rate_hz lengths source_rates_hz folds folds_made_at_ingest patients_in_several_folds
    patients_in_several_spellings without_patient without_age without_sex not_listed remarks tasks
    codes codes_without_class quarantine shards size_bytes fingerprint`. `folds` counts recordings;
    each of `tasks` has `classes` (recordings in all), `by_fold` and `without_label`; `quarantine`
    counts recordings by reason.
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
        "with_assumed_gain": counts["n_with_assumed_gain"],
        "with_assumed_rate": counts["n_with_assumed_rate"],
        "leads": list(shards.leads),
        "sampling_rate_hz": shards.sampling_rate_hz,
        "lengths": details["lengths"],
        "source_rates_hz": details["source_rates_hz"],
        "folds": details["folds"],
        "folds_made_at_ingest": details["folds_made_at_ingest"],
        "patients_in_several_folds": counts["n_patients_in_several_folds"],
        "patients_in_several_spellings": counts["n_patients_in_several_spellings"],
        "without_patient": counts["n_without_patient"],
        "without_age": counts["n_without_age"],
        "without_sex": counts["n_without_sex"],
        "not_listed": counts["n_not_listed"],
        "remarks": details["remarks"],
        "tasks": tasks,
        "codes": details["codes"],
        "codes_without_class": codes_without_class(shards.tasks.values(), details["codes"]),
        "quarantine": details["quarantine"],
        "shards": len(shards.row_starts) - 1,
        "size_bytes": shards.manifest.size_bytes,
        "fingerprint": shards.fingerprint,
    }
