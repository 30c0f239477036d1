"""`mvkt ingest`: recordings of a dataset become shards."""

import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from mvkt_ray.cli.options import Address, InProcess, Resume, VerbOutput, parse_pairs
from mvkt_ray.display.console import facts, grid
from mvkt_ray.interface.arguments import passed_on
from mvkt_ray.phrasing import byte_size, duration, number_ranges

if TYPE_CHECKING:
    from mvkt_ray.storage.manifest import Manifest


KeepOrNot = Literal["quarantine", "keep"]
"""Treatment of recordings with a flat or missing lead, or without calibration."""


def ingest_verb(
    output: VerbOutput,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="ptbxl, cpsc2018, cinc2021, wfdb, dicom, edf, aecg, muse, table, parquet, "
            "synthetic or a plug-in's.",
        ),
    ],
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="Folder of the dataset, or its URI: s3://, gs://, abfss://; - for synthetic.",
        ),
    ],
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="Folder of the shards; must be new or empty.")
    ],
    rate: Annotated[int, typer.Option(help="Sampling rate of the shards, in Hz.")] = 100,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Option of the source, e.g. n_recordings=500 for synthetic; repeatable.",
        ),
    ] = None,
    rows_per_shard: Annotated[
        int, typer.Option(help="Recordings per shard; each shard is one task.")
    ] = 2048,
    leads: Annotated[
        str | None, typer.Option(metavar="I,II,...", help="Leads to keep; by default all twelve.")
    ] = None,
    flat_leads: Annotated[
        KeepOrNot, typer.Option(help="How to treat recordings with a flat lead.")
    ] = "quarantine",
    missing_leads: Annotated[
        KeepOrNot, typer.Option(help="How to treat recordings that lack a lead.")
    ] = "quarantine",
    uncalibrated: Annotated[
        KeepOrNot,
        typer.Option(
            help="How to treat recordings whose files state no gain or no sampling rate; if kept, "
            "200 units per mV or 250 Hz are assumed."
        ),
    ] = "keep",
    n_folds: Annotated[
        int, typer.Option(help="Number of patient-disjoint folds to make if the source has none.")
    ] = 10,
    seed: Annotated[int, typer.Option(help="Seed for making folds.")] = 0,
    compression: Annotated[
        Literal["none", "zstd"],
        typer.Option(help="Compression of the shards; zstd is smaller, but not memory-mapped."),
    ] = "none",
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first recording that cannot be used.")
    ] = False,
    in_process: InProcess = False,
    address: Address = None,
    resume: Resume = False,
) -> None:
    """Turn the recordings of a dataset into shards.

    Recordings that cannot be used go to quarantine with their reason, and are counted.
    Example: mvkt ingest ptbxl data/ptb-xl shards --rate 100
    """
    given = passed_on(locals(), "output", "option", "leads")
    from mvkt_ray.interface.ingest_run import ingest_call, ingest_recordings

    call = ingest_call(
        options=parse_pairs("--option", option or []),
        leads=leads.split(",") if leads else None,
        **given,
    )
    started = time.monotonic()
    manifest = ingest_recordings(output, call)
    elapsed_s = time.monotonic() - started
    output.answer(_as_value(out, manifest), _tables(out, manifest, elapsed_s))


def _as_value(out: str, manifest: "Manifest") -> dict[str, Any]:
    return {
        "out": out,
        "counts": dict(manifest.counts),
        "quarantine": dict(manifest.details["quarantine"]),
        "remarks": list(manifest.details["remarks"]),
        "folds": dict(manifest.details["folds"]),
        "fingerprint": manifest.fingerprint,
    }


def _tables(out: str, manifest: "Manifest", elapsed_s: float) -> list[Any]:
    from mvkt_ray.data.describe import describe_assumptions
    from mvkt_ray.data.shard_columns import NO_FOLD

    counts, details = manifest.counts, manifest.details
    seen = counts["n_recordings"] + counts["n_quarantined"]
    folds = {int(fold): n for fold, n in details["folds"].items()}
    n_without = folds.pop(NO_FOLD, 0)
    made = ", made here" if details["folds_made_at_ingest"] else ""
    none = f"; {n_without:,} recordings have none" if n_without else ""
    rows: dict[str, object] = {
        "shards": f"{out}, {byte_size(manifest.size_bytes)}",
        "recordings": f"{counts['n_recordings']:,} of {seen:,}",
        "patients": f"{counts['n_patients']:,}",
        "folds": f"{number_ranges(folds)}{made}{none}",
        "quarantined": f"{counts['n_quarantined']:,}",
    }
    if assumed := describe_assumptions(counts):
        rows["assumed"] = assumed
    rows["time"] = f"{duration(elapsed_s)}, {seen / max(elapsed_s, 1e-9):,.0f} recordings/s"
    tables = [facts(rows)]
    if counts["n_quarantined"]:
        table = grid(["in quarantine because", "recordings"], right=["recordings"])
        for reason, n in sorted(details["quarantine"].items(), key=lambda item: -item[1]):
            table.add_row(reason, f"{n:,}")
        tables.append(table)
    tables += [Text(f"Note: {remark}") for remark in details["remarks"]]
    return tables
