"""Ingest: from a source to a published shard set, one job per shard, resumable after any kill.

Reads: a source.
Writes: `recordings/shard-*.arrow`, `parts.parquet`, `quarantine.parquet`, `manifest.json`. While it
works, `.work/` of the partial folder holds each job's list of recordings and, once its shard is
there, a summary.

In a store, each job makes its shard on its own node and uploads it; jobs and driver share nothing
but the store.
"""

import dataclasses
import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mvkt_ray.artifacts import FileEntry, Manifest, claim_output, holding, publish
from mvkt_ray.data.folds import make_folds
from mvkt_ray.data.ingest_plan import (
    IngestPlan,
    ShardJob,
    list_jobs,
    plan_ingest,
    references_file,
    summary_file,
)
from mvkt_ray.data.reading import read_recordings
from mvkt_ray.data.recording import RecordingRef
from mvkt_ray.data.shard_file import (
    PARTS_NAME,
    AnyShardFile,
    ShardFile,
    open_shard_files,
    parts_table,
    provide,
)
from mvkt_ray.data.shard_totals import ShardTotals, add_up, rarest_codes
from mvkt_ray.data.shard_writer import (
    IngestSettings,
    WrittenShard,
    record_batch,
    row_of_recording,
    with_folds,
    write_shard,
)
from mvkt_ray.data.shards import KIND, QUARANTINE_NAME, QUARANTINE_SCHEMA, shard_name
from mvkt_ray.data.sources.source import Source
from mvkt_ray.errors import DataError, RecordingError
from mvkt_ray.location import Location
from mvkt_ray.node_cache import CacheEntry, Piece, node_cache

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


class PlaceMap(Protocol):
    """Runs a function over items somewhere, and yields the results in any order."""

    def __call__(self, function: Callable[[T], R], items: Sequence[T], /) -> Iterable[R]:
        """Yield `function(item)` for every item, as they come."""
        ...


def in_process_map(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Run the jobs here, one after the other."""
    return map(function, items)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardSummary:
    """What came out of a job."""

    index: int
    fingerprint: str
    """The job's."""
    n_rows: int
    sha256: str
    size_bytes: int
    parts: dict[str, tuple[int, int, str]]
    """Begin, bytes and hash of each part of the shard."""
    n_with_missing_lead: int
    source_rates_hz: dict[str, int]
    """Recordings by the rate they had."""
    quarantine: list[dict[str, str]]
    """Rows of `QUARANTINE_SCHEMA`."""

    @property
    def written(self) -> WrittenShard:
        """Return what the shard is like."""
        parts = {
            name: Piece(begin=begin, n_bytes=n_bytes, sha256=sha256)
            for name, (begin, n_bytes, sha256) in self.parts.items()
        }
        return WrittenShard(sha256=self.sha256, size_bytes=self.size_bytes, parts=parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestProgress:
    """How far an ingest is."""

    n_shards: int
    n_shards_done: int
    n_recordings: int
    n_recordings_done: int
    n_quarantined: int


def ingest(
    source: Source,
    out: str | Location,
    settings: IngestSettings | None = None,
    *,
    resume: bool = False,
    place_map: PlaceMap = in_process_map,
    on_progress: Callable[[IngestProgress], None] | None = None,
) -> Manifest:
    """Make a shard set of all recordings of a source.

    Args:
        source: Where the recordings are.
        out: Folder to make.
        settings: Rate, leads, and what is refused.
        resume: Go on with what a killed ingest left; shards that are built already are kept.
        place_map: Where the jobs run; this process by default.
        on_progress: Called after every shard.

    Returns:
        The manifest; at once when the same shard set is already there.

    Raises:
        DataError: The source holds nothing usable, or an id twice, or with `strict` the first
            recording that cannot be used.
        ArtifactError: The output folder is in use or cannot be written to, or an unfinished one is
            there without `resume`.
        StoreError: The store of the output refuses.
    """
    place = Location.parse(out)
    with holding(place):
        plan = plan_ingest(source, place, settings or IngestSettings())
        finished = claim_output(place, plan.recipe, resume=resume)
        if finished is not None:
            if plan.settings.strict and finished.counts["n_quarantined"]:
                raise DataError(
                    f"{place} has {finished.counts['n_quarantined']} recordings in quarantine, and "
                    "strict allows none: see its quarantine.parquet, or leave out --strict."
                )
            return finished
        jobs = list_jobs(plan)
        summaries: list[ShardSummary] = []
        n_done = n_quarantined = 0
        for summary in place_map(partial(build_shard, plan), jobs):
            summaries.append(summary)
            n_quarantined += len(summary.quarantine)
            n_done += summary.n_rows + len(summary.quarantine)
            if on_progress is not None:
                on_progress(
                    IngestProgress(
                        n_shards=len(jobs),
                        n_shards_done=len(summaries),
                        n_recordings=plan.n_recordings,
                        n_recordings_done=n_done,
                        n_quarantined=n_quarantined,
                    )
                )
        return finish_ingest(plan, summaries, place_map)


def build_shard(plan: IngestPlan, job: ShardJob) -> ShardSummary:
    """Build one shard, or find it built: a pure function of plan and job, for any process.

    Raises:
        DataError: With `strict`, the first recording that cannot be used.
    """
    path = plan.built / shard_name(job.index)
    kept = summary_file(plan, job.index)
    summary = None
    if path.exists() and kept.exists():
        summary = ShardSummary(**json.loads(kept.read_bytes()))
    if summary is None or summary.fingerprint != job.fingerprint:
        summary = _build(plan, job, path)
        kept.write_bytes(json.dumps(dataclasses.asdict(summary)).encode())
    if plan.settings.strict and summary.quarantine:
        _refuse(summary.quarantine[0])
    return summary


def _build(plan: IngestPlan, job: ShardJob, path: Location) -> ShardSummary:
    rows, quarantine = [], []
    rates: Counter[str] = Counter()
    values = json.loads(references_file(plan, job.index).read_bytes())
    refs = [RecordingRef(**value) for value in values]
    for ref, recording in zip(refs, read_recordings(plan.source, refs), strict=True):
        try:
            if isinstance(recording, RecordingError):
                raise recording
            rows.append(row_of_recording(recording, plan.settings))
            rates[f"{recording.sampling_rate_hz:g}"] += 1
        except RecordingError as error:
            quarantine.append(
                {
                    "record_id": ref.record_id,
                    "path": ref.path,
                    "reason": error.reason,
                    "message": str(error),
                }
            )
            if plan.settings.strict:
                _refuse(quarantine[0])
    written = write_shard(record_batch(rows, plan.settings), path, plan.settings)
    return ShardSummary(
        index=job.index,
        fingerprint=job.fingerprint,
        n_rows=len(rows),
        sha256=written.sha256,
        size_bytes=written.size_bytes,
        parts={
            name: (piece.begin, piece.n_bytes, piece.sha256)
            for name, piece in written.parts.items()
        },
        n_with_missing_lead=sum(len(row.leads) < len(plan.settings.leads) for row in rows),
        source_rates_hz=dict(sorted(rates.items())),
        quarantine=quarantine,
    )


def _refuse(row: dict[str, str]) -> None:
    raise DataError(
        f"recording {row['record_id']!r} cannot be used ({row['reason']}): {row['message']}. With "
        "strict every recording must be usable: repair or remove it, or leave out --strict, which "
        "puts it in quarantine."
    )


def finish_ingest(
    plan: IngestPlan, summaries: Sequence[ShardSummary], place_map: PlaceMap = in_process_map
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
            "source, or keep what is refused (flat_leads, missing_leads)."
        )
    files = _open_built(plan, written)
    # The columns that are not leads come together.
    provide(files, "patient_id")
    totals = add_up(files, plan.source.tasks())
    if not plan.source.has_folds:
        folds = make_folds(
            totals.patients,
            rarest_codes(files, totals.codes),
            plan.settings.n_folds,
            plan.settings.seed,
        )
        totals = dataclasses.replace(totals, folds=folds, shared_patients=())
        parts = np.split(folds, np.cumsum(list(rows.values()))[:-1])
        items = [(name, written[name], part) for name, part in zip(rows, parts, strict=True)]
        written |= dict(place_map(partial(write_folds, plan), items))
    if totals.shared_patients:
        logger.warning(
            "%d patients are in several folds of %s, for example %s: splits cut from these folds "
            "would share patients, and will be refused.",
            totals.n_shared_patients,
            plan.source.name,
            totals.shared_patients[0],
        )
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
            "n_patients_in_several_folds": totals.n_shared_patients,
        },
        details=_details(plan, totals, summaries),
    )


def write_folds(
    plan: IngestPlan, item: tuple[str, WrittenShard, np.ndarray]
) -> tuple[str, WrittenShard]:
    """Write the folds of a shard; return its name and what it is like now.

    Args:
        plan: The ingest's.
        item: Name of the shard, what it was like without folds, and the folds of its rows.
    """
    name, before, folds = item
    target = plan.files / name

    def rewrite(path: Path) -> WrittenShard:
        return write_shard(with_folds(ShardFile(path).batch, folds), target, plan.settings)

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
