"""Runs an ingest: checks its arguments, then turns recordings into shards in a session.

Reads: a dataset. Writes: shards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mvkt_ray.data.ingest.run_ingest import IngestProgress, ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.recording import LEADS, canonical_lead
from mvkt_ray.data.sources import Source, open_source
from mvkt_ray.display.console import Output
from mvkt_ray.display.progress import StepProgress
from mvkt_ray.interface.arguments import RunnerChoice
from mvkt_ray.interface.sessions.choose_runner import open_runner
from mvkt_ray.interface.sessions.log_files import logging_to
from mvkt_ray.interface.sessions.own_files import logs_beside, own_files
from mvkt_ray.search.choosing.named_plugins import packages_of_source
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestCall:
    """Checked request for an ingest."""

    source: Source
    out: Location
    settings: IngestSettings
    runner: RunnerChoice
    resume: bool = False


def ingest_call(
    source: str,
    path: str | Path,
    out: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    rate: int = 100,
    rows_per_shard: int = 2048,
    leads: Sequence[str] | None = None,
    flat_leads: Literal["quarantine", "keep"] = "quarantine",
    missing_leads: Literal["quarantine", "keep"] = "quarantine",
    uncalibrated: Literal["quarantine", "keep"] = "keep",
    n_folds: int = 10,
    seed: int = 0,
    compression: Literal["none", "zstd"] = "none",
    strict: bool = False,
    address: str | None = None,
    in_process: bool = False,
    resume: bool = False,
) -> IngestCall:
    """Check the arguments of an ingest, which `calls.ingest` documents.

    Raises:
        ConfigError: An argument is wrong.
        DataError: There is no such dataset.
    """
    return IngestCall(
        runner=RunnerChoice(address, in_process),
        source=open_source(source, str(path), options or {}),
        out=Location.parse(out),
        settings=IngestSettings(
            sampling_rate_hz=rate,
            leads=LEADS if leads is None else _in_order(leads),
            rows_per_shard=rows_per_shard,
            flat_leads=flat_leads,
            missing_leads=missing_leads,
            uncalibrated=uncalibrated,
            n_folds=n_folds,
            seed=seed,
            compression=compression,
            strict=strict,
        ),
        resume=resume,
    )


def ingest_recordings(output: Output, call: IngestCall) -> Manifest:
    """Turn recordings into shards, and show the progress."""
    with (
        own_files(output, logs_beside(call.out)) as own,
        logging_to(own.logs),
        open_runner(output, call.runner, logs=own.logs) as runner,
        StepProgress(output, "ingest", "recordings") as progress,
    ):
        runner.expect_plugins(packages_of_source(call.source.name))

        def show(state: IngestProgress) -> None:
            note = f"{state.n_quarantined} in quarantine" if state.n_quarantined else ""
            progress.update(state.n_recordings_done, state.n_recordings, note)

        return ingest(
            call.source,
            call.out,
            call.settings,
            resume=call.resume,
            map_function=runner.map,
            on_progress=show,
        )


def _in_order(leads: Sequence[str]) -> tuple[str, ...]:
    """Return leads by canonical name and in canonical order; unknown names come last."""
    names = [canonical_lead(lead) or lead for lead in leads]
    return tuple(sorted(names, key=lambda name: LEADS.index(name) if name in LEADS else len(LEADS)))
