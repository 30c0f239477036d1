"""Ingest: from a source to a published shard set, one job per shard, resumable after any kill.

Reads: a source.
Writes: `recordings/shard-*.arrow`, `parts.parquet`, `quarantine.parquet`, `manifest.json`. While it
works, `.work/` of the partial folder holds each job's list of recordings and, once its shard is
there, a summary.

In a store, each job makes its shard on its own node and uploads it; jobs and driver share nothing
but the store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mvkt_ray.data.ingest.ingest_finish import finish_ingest
from mvkt_ray.data.ingest.ingest_plan import list_jobs, plan_ingest
from mvkt_ray.data.ingest.ingest_shard import ShardSummary, build_shard
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.mapping import MapFunction, in_process_map
from mvkt_ray.data.sources.source import Source
from mvkt_ray.errors import DataError
from mvkt_ray.storage.artifacts import claim_output
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest
from mvkt_ray.storage.output_lock import holding


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestProgress:
    """How far an ingest is."""

    n_recordings: int
    n_recordings_done: int
    n_quarantined: int


def ingest(
    source: Source,
    out: str | Location,
    settings: IngestSettings | None = None,
    *,
    resume: bool = False,
    map_function: MapFunction = in_process_map,
    on_progress: Callable[[IngestProgress], None] | None = None,
) -> Manifest:
    """Make a shard set of all recordings of a source.

    Args:
        source: Where the recordings are.
        out: Folder to make.
        settings: Rate, leads, and what is refused.
        resume: Go on with what a killed ingest left; shards that are built already are kept.
        map_function: Where the jobs run; this process by default.
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
    location = Location.parse(out)
    with holding(location):
        plan = plan_ingest(source, location, settings or IngestSettings())
        finished = claim_output(location, plan.recipe, resume=resume)
        if finished is not None:
            if plan.settings.strict and finished.counts["n_quarantined"]:
                raise DataError(
                    f"{location} has {finished.counts['n_quarantined']} recordings in quarantine, "
                    "and strict allows none: see its quarantine.parquet, or leave out --strict."
                )
            return finished
        jobs = list_jobs(plan)
        summaries: list[ShardSummary] = []
        n_done = n_quarantined = 0
        for summary in map_function(partial(build_shard, plan), jobs):
            summaries.append(summary)
            n_quarantined += len(summary.quarantine)
            n_done += summary.n_rows + len(summary.quarantine)
            if on_progress is not None:
                on_progress(
                    IngestProgress(
                        n_recordings=plan.n_recordings,
                        n_recordings_done=n_done,
                        n_quarantined=n_quarantined,
                    )
                )
        return finish_ingest(plan, summaries, map_function)
