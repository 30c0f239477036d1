"""One job of an ingest: from its list of recordings to a shard and a summary.

Reads: a source; the job's list of recordings, in `.work/` of the partial folder.
Writes: `recordings/shard-*.arrow`; in `.work/` a summary, once the shard is there.
"""

import dataclasses
import json
import logging
from collections import Counter
from dataclasses import dataclass

from mvkt_ray.data.ingest.ingest_plan import IngestPlan, ShardJob, references_file, summary_file
from mvkt_ray.data.ingest.reading import read_recordings
from mvkt_ray.data.ingest.shard_writer import (
    WrittenShard,
    record_batch,
    row_of_recording,
    write_shard,
)
from mvkt_ray.data.recording import RecordingRef
from mvkt_ray.data.shard_columns import shard_name
from mvkt_ray.errors import DataError, RecordingError
from mvkt_ray.file_guards import why
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.node_cache import Piece
from mvkt_ray.storage.sealed import sealed_json, unsealed_json

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardSummary:
    """Result of a job."""

    index: int
    fingerprint: str
    """The job's."""
    n_rows: int
    sha256: str
    size_bytes: int
    parts: dict[str, tuple[int, int, str]]
    """Begin, bytes and hash of each part of the shard."""
    n_with_missing_lead: int
    n_with_assumed_gain: int
    n_with_assumed_rate: int
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


def build_shard(plan: IngestPlan, job: ShardJob) -> ShardSummary:
    """Build one shard, or find it built: a pure function of plan and job, for any process.

    Raises:
        DataError: With `strict`, the first recording that cannot be used.
    """
    path = plan.built / shard_name(job.index)
    kept = summary_file(plan, job.index)
    summary = _kept_summary(kept) if path.exists() and kept.exists() else None
    if (
        summary is None
        or summary.fingerprint != job.fingerprint
        or summary.size_bytes != path.size_bytes()
    ):
        summary = _build(plan, job, path)
        kept.write_bytes(sealed_json({"summary": dataclasses.asdict(summary)}))
    if plan.settings.strict and summary.quarantine:
        _refuse(summary.quarantine[0])
    return summary


def _kept_summary(file: Location) -> ShardSummary | None:
    """Read the summary of a shard that is built; None where it is damaged: it is built again."""
    try:
        return ShardSummary(**unsealed_json(file.read_bytes())["summary"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        _LOG.warning("%s is damaged (%s): the shard is rebuilt.", file, why(error))
        return None


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
        n_with_assumed_gain=sum(row.has_assumed_gain for row in rows),
        n_with_assumed_rate=sum(row.has_assumed_rate for row in rows),
        source_rates_hz=dict(sorted(rates.items())),
        quarantine=quarantine,
    )


def _refuse(row: dict[str, str]) -> None:
    raise DataError(
        f"recording {row['record_id']!r} cannot be used ({row['reason']}): {row['message']}. With "
        "--strict every recording must be usable: repair or remove it, or leave out --strict to "
        "put it in quarantine."
    )
