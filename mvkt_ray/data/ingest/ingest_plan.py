"""Plan of an ingest, and one job per shard.

Reads: the listing of a source.
Writes: each job's list of recordings, in `.work/` of the partial folder.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from mvkt_ray.data.folds import hash_ids
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.shard_columns import KIND, shard_name
from mvkt_ray.data.sources import source_plugin
from mvkt_ray.data.sources.record_files import NotListed
from mvkt_ray.data.sources.source import Source
from mvkt_ray.errors import DataError
from mvkt_ray.storage.artifacts import files_location, partial_location
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import fingerprint_of, recipe_of

_WORK = ".work"

_PLACES = ("location", "unlabelled")
"""Fields of sources that say where recordings are, not which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestPlan:
    """Everything a job needs to know besides its recordings; picklable."""

    source: Source
    out: Location
    settings: IngestSettings
    n_recordings: int
    listing: str
    """Hash of the references, in order: a recording more or less is another plan."""
    not_listed: NotListed
    """Unlisted records in the source's folder."""

    @property
    def config(self) -> dict[str, Any]:
        """Request as plain values.

        `strict` and `out` do not change what comes out, nor does the recordings' location: the
        same dataset in another folder gives the same shards.
        """
        source = _without_places(dataclasses.asdict(self.source))  # pyright: ignore[reportArgumentType]
        settings = dataclasses.asdict(self.settings)
        del settings["strict"]
        plugin = source_plugin(self.source.name)
        origin = {} if plugin is None else {"plugin": plugin.origin}
        return {"source": {"name": self.source.name, **origin, **source}, **settings}

    @property
    def recipe(self) -> str:
        """Hash by which a finished shard set is known to be the same."""
        return recipe_of(KIND, self.config, {"recordings": self.listing})

    @property
    def partial(self) -> Location:
        """Where the shards lie until they are published; in a store, what is only needed then."""
        return partial_location(self.out)

    @property
    def files(self) -> Location:
        """Where finished files are put: into the partial folder, or where they stay in a store."""
        return files_location(self.out)

    @property
    def built(self) -> Location:
        """Where the jobs put their shards.

        Shards that get folds afterwards are written twice. In a store the second time is elsewhere:
        whoever is killed in between finds each shard as its summary says, or finished.
        """
        return self.files if self.source.has_folds else self.partial


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardJob:
    """One shard to be built; its references lie in a file, so that a job stays small."""

    index: int
    n_recordings: int
    fingerprint: str
    """Fingerprint of the plan and of the references."""


def plan_ingest(source: Source, out: Location, settings: IngestSettings) -> IngestPlan:
    """List the source once, without keeping the list, and check that ids are unique.

    Raises:
        DataError: No recordings, or an id twice.
    """
    digests: list[str] = []
    hashes: list[np.ndarray] = []
    for chunk in _chunks(source, settings):
        digests.append(_digest(source, chunk))
        hashes.append(hash_ids(pa.array([ref["record_id"] for ref in chunk])))
    if not hashes:
        raise DataError(
            f"the source {source.name!r} lists no recordings; give a folder that holds some."
        )
    ids, counts = np.unique(np.concatenate(hashes), return_counts=True)
    if (counts > 1).any():
        _refuse_repeated_ids(source, settings, ids[counts > 1])
    return IngestPlan(
        source=source,
        out=out,
        settings=settings,
        n_recordings=sum(map(len, hashes)),
        listing=fingerprint_of(digests),
        not_listed=source.not_listed(settings.sampling_rate_hz),
    )


def _chunks(source: Source, settings: IngestSettings) -> Iterator[list[dict[str, Any]]]:
    refs = iter(source.references(settings.sampling_rate_hz))
    while chunk := list(islice(refs, settings.rows_per_shard)):
        yield [
            {
                "source": ref.source,
                "record_id": ref.record_id,
                "path": ref.path,
                "metadata": dict(ref.metadata),
            }
            for ref in chunk
        ]


def _digest(source: Source, chunk: list[dict[str, Any]]) -> str:
    """Hash what is listed, with paths as they are inside the source's folders."""
    folders = [f"{Location.parse(getattr(source, name, ''))}/" for name in _PLACES]
    refs: list[dict[str, Any]] = []
    for ref in chunk:
        path = ref["path"]
        for folder in folders:
            path = path.removeprefix(folder)
        refs.append({**ref, "path": path})
    return fingerprint_of(refs)


def _without_places(source: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_places(value) if isinstance(value, dict) else value
        for name, value in source.items()
        if name not in _PLACES
    }


def _refuse_repeated_ids(source: Source, settings: IngestSettings, suspects: np.ndarray) -> None:
    paths: dict[str, list[str]] = {}
    for chunk in _chunks(source, settings):
        is_suspect = np.isin(hash_ids(pa.array([ref["record_id"] for ref in chunk])), suspects)
        for at in np.flatnonzero(is_suspect):
            paths.setdefault(chunk[at]["record_id"], []).append(chunk[at]["path"])
    twice = [name for name, found in paths.items() if len(found) > 1]
    if twice:
        others = f", and {len(twice) - 1} other ids repeatedly" if len(twice) > 1 else ""
        found = paths[twice[0]]
        raise DataError(
            f"the source {source.name!r} lists the recording {twice[0]!r} {len(found)} times"
            f"{others}: as {found[0]} and {found[1]}. An id must name one recording. Remove the "
            "copies."
        )


def list_jobs(plan: IngestPlan) -> list[ShardJob]:
    """Write the list of recordings of every shard; remove shards that belong to another plan."""
    jobs: list[ShardJob] = []
    for index, chunk in enumerate(_chunks(plan.source, plan.settings)):
        content = json.dumps(chunk).encode()
        references_file(plan, index).write_bytes(content)
        fingerprint = fingerprint_of([plan.config, _digest(plan.source, chunk)])
        jobs.append(ShardJob(index=index, n_recordings=len(chunk), fingerprint=fingerprint))
    expected = {shard_name(job.index) for job in jobs}
    for folder in dict.fromkeys([plan.partial, plan.files]):
        for name in folder.file_names():
            if name not in expected:
                (folder / name).delete()
    return jobs


def references_file(plan: IngestPlan, index: int) -> Location:
    """Where the list of a job's recordings is."""
    return plan.partial / _WORK / f"recordings-{index:05d}.json"


def summary_file(plan: IngestPlan, index: int) -> Location:
    """Where the summary of a finished job is."""
    return plan.partial / _WORK / f"summary-{index:05d}.json"


def patients_file(plan: IngestPlan) -> Location:
    """Where it is written down which patient of the files' headers has which number."""
    return plan.partial / _WORK / f"patients-{plan.recipe[:16]}.json"
