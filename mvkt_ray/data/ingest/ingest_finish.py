"""The end of an ingest: from built shards to a published shard set.

Reads: the shards that the jobs have built, and their summaries.
Writes: the shards again where they get folds; `parts.parquet`, `quarantine.parquet`,
`manifest.json`.
"""

import dataclasses
import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mvkt_ray.data.folds import make_folds
from mvkt_ray.data.ingest.header_patients import NumberedShard, number_of_patients
from mvkt_ray.data.ingest.ingest_plan import IngestPlan
from mvkt_ray.data.ingest.ingest_remarks import remarks_on
from mvkt_ray.data.ingest.ingest_shard import ShardSummary
from mvkt_ray.data.ingest.shard_totals import ShardTotals, add_up, rarest_codes
from mvkt_ray.data.ingest.shard_writer import WrittenShard, with_folds, write_shard
from mvkt_ray.data.mapping import MapFunction
from mvkt_ray.data.shard_columns import KIND, QUARANTINE_NAME, QUARANTINE_SCHEMA, shard_name
from mvkt_ray.data.shard_file import (
    PARTS_NAME,
    AnyShardFile,
    ShardFile,
    open_shard_files,
    parts_table,
    provide,
)
from mvkt_ray.errors import DataError
from mvkt_ray.storage.artifacts import publish
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import FileEntry, Manifest
from mvkt_ray.storage.node_cache import CacheEntry, node_cache

logger = logging.getLogger(__name__)


def finish_ingest(
    plan: IngestPlan, summaries: Sequence[ShardSummary], map_function: MapFunction
) -> Manifest:
    """Make folds where the source has none, write quarantine and manifest, and publish.

    Raises:
        DataError: No recording can be used.
    """
    summaries = sorted(summaries, key=lambda summary: summary.index)
    quarantine = [row for summary in summaries for row in summary.quarantine]
    written = {shard_name(summary.index): summary.written for summary in summaries}
    rows = {shard_name(summary.index): summary.n_rows for summary in summaries}
    assert sum(rows.values()) + len(quarantine) == plan.n_recordings, "a recording vanished"
    if not any(rows.values()):
        first = quarantine[0]
        raise DataError(
            f"none of the {len(quarantine)} recordings of {plan.source.name!r} can be used; the "
            f"first, {first['record_id']!r}: {first['message']} ({first['reason']}). Repair the "
            "source, or keep such recordings (flat_leads, missing_leads, uncalibrated)."
        )
    files = _open_built(plan, written)
    # The columns that are not leads come together.
    provide(files, "patient_id")
    number_of = number_of_patients(plan, files)
    shards = [NumberedShard(file, number_of) for file in files] if number_of else files
    totals = add_up(shards, plan.source.tasks())
    assert not (number_of and plan.source.has_folds), "folds, but patients of headers alone"
    if not plan.source.has_folds:
        folds = make_folds(
            totals.patients,
            rarest_codes(files, totals.codes),
            plan.settings.n_folds,
            plan.settings.seed,
        )
        totals = dataclasses.replace(totals, folds=folds, shared_patients=(), n_shared_patients=0)
        parts = np.split(folds, np.cumsum(list(rows.values()))[:-1])
        items = [
            (name, written[name], part, shard.column("patient_id") if number_of else None)
            for name, part, shard in zip(rows, parts, shards, strict=True)
        ]
        written |= dict(map_function(partial(write_folds, plan), items))
    remarks = remarks_on(plan, totals)
    for remark in remarks:
        logger.warning("%s", remark)
    parts = {name: shard.parts for name, shard in sorted(written.items())}
    _write_table(parts_table(parts), plan.files / PARTS_NAME)
    table = pa.Table.from_pylist(quarantine, QUARANTINE_SCHEMA)
    _write_table(table, plan.files / QUARANTINE_NAME)
    if plan.out.is_local:
        _remove_hidden(plan.partial)
    return publish(
        plan.out,
        kind=KIND,
        config=plan.config,
        inputs={"recordings": plan.listing},
        n_rows={**rows, QUARANTINE_NAME: len(quarantine)},
        known_hashes={name: shard.sha256 for name, shard in written.items()},
        counts={
            "n_recordings": sum(rows.values()),
            "n_patients": len(np.unique(totals.patients)),
            "n_quarantined": len(quarantine),
            "n_with_missing_lead": sum(summary.n_with_missing_lead for summary in summaries),
            "n_with_assumed_gain": sum(summary.n_with_assumed_gain for summary in summaries),
            "n_with_assumed_rate": sum(summary.n_with_assumed_rate for summary in summaries),
            "n_patients_in_several_folds": totals.n_shared_patients,
            "n_patients_in_several_spellings": totals.n_patients_in_several_spellings,
            "n_without_patient": totals.n_without_patient,
            "n_without_age": totals.n_without_age,
            "n_without_sex": totals.n_without_sex,
            "n_not_listed": plan.not_listed.n_records,
        },
        details=_details(plan, totals, summaries) | {"remarks": remarks},
    )


def write_folds(
    plan: IngestPlan, item: tuple[str, WrittenShard, np.ndarray, pa.Array | None]
) -> tuple[str, WrittenShard]:
    """Write the folds of a shard; return its name and what it is like now.

    Args:
        plan: The ingest's.
        item: Name of the shard, what it was like without folds, the folds of its rows, and their
            patients where they are other ones now.
    """
    name, before, folds, patients = item
    target = plan.files / name

    def rewrite(path: Path) -> WrittenShard:
        batch = with_folds(ShardFile(path).batch(), folds, patients)
        return write_shard(batch, target, plan.settings)

    if target.is_local:
        return name, rewrite(target.local_path)
    entry = CacheEntry.of_file(plan.built / name, before.sha256, before.size_bytes)
    return name, node_cache().open(entry, rewrite)


def _open_built(plan: IngestPlan, written: Mapping[str, WrittenShard]) -> list[AnyShardFile]:
    return open_shard_files(
        plan.built,
        {
            name: FileEntry(sha256=shard.sha256, size_bytes=shard.size_bytes)
            for name, shard in written.items()
        },
        {name: shard.parts for name, shard in written.items()},
        compressed=plan.settings.compression != "none",
    )


def _write_table(table: pa.Table, location: Location) -> None:
    with location.writing_aside() as aside:
        pq.write_table(table, aside)


def _remove_hidden(folder: Location) -> None:
    """Remove work files, and what killed writers left aside."""
    for path in sorted(folder.local_path.rglob(".*")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _details(
    plan: IngestPlan, totals: ShardTotals, summaries: Sequence[ShardSummary]
) -> dict[str, Any]:
    rates, reasons = Counter[str](), Counter[str]()
    for summary in summaries:
        rates.update(summary.source_rates_hz)
        reasons.update(row["reason"] for row in summary.quarantine)
    folds, counts = np.unique(totals.folds, return_counts=True)
    rate_hz = plan.settings.sampling_rate_hz
    seconds = Counter[str]()
    for n_samples, count in totals.lengths.items():
        seconds[str(n_samples // rate_hz)] += count
    return {
        "source": plan.source.name,
        "sampling_rate_hz": rate_hz,
        "leads": list(plan.settings.leads),
        "compression": plan.settings.compression,
        "folds_made_at_ingest": not plan.source.has_folds,
        "folds": {str(fold): int(n) for fold, n in zip(folds, counts, strict=True)},
        "examples_of_patients_in_several_folds": list(totals.shared_patients),
        "examples_of_patients_in_several_spellings": list(totals.patients_in_several_spellings),
        "examples_of_records_not_listed": list(plan.not_listed.examples),
        "tasks": {name: task.to_json() for name, task in plan.source.tasks().items()},
        "classes": totals.classes,
        "codes": _most_first(totals.codes),
        "quarantine": _most_first(reasons),
        "source_rates_hz": _most_first(rates),
        "lengths": {
            "shortest_s": min(totals.lengths) / rate_hz,
            "longest_s": max(totals.lengths) / rate_hz,
            "total_s": sum(length * n for length, n in totals.lengths.items()) / rate_hz,
            "recordings_by_full_seconds": dict(
                sorted(seconds.items(), key=lambda item: int(item[0]))
            ),
        },
    }


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
