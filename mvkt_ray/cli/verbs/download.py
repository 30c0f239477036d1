"""`mvkt download`: a published dataset comes to a folder."""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvkt_ray.cli.options import VerbOutput
from mvkt_ray.display.console import Output, facts
from mvkt_ray.display.progress import StepProgress
from mvkt_ray.errors import ConfigError
from mvkt_ray.file_guards import writing
from mvkt_ray.phrasing import byte_size, duration

if TYPE_CHECKING:
    from mvkt_ray.data.download import DownloadProgress, DownloadSummary


def download_verb(
    output: VerbOutput,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="ptbxl, cpsc2018 or cinc2021.")],
    dest: Annotated[
        str, typer.Argument(metavar="DEST", help="Folder to download to: new, empty or incomplete.")
    ],
    mirror: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL",
            help="Mirror with SHA256SUMS.txt at its root: https://, s3://, or a folder. By "
            "default PhysioNet's open bucket, over HTTPS.",
        ),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(metavar="100|500", help="ptbxl only: files of one sampling rate, in Hz."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="cinc2021 only: some of its databases, e.g. georgia."),
    ] = None,
) -> None:
    """Download a dataset from PhysioNet, every file checked by its hash.

    Complete files are kept: after an interruption, run the same command again.
    Example: mvkt download ptbxl data/ptb-xl --rate 100
    """
    import time

    from mvkt_ray.data.download import download, published_dataset

    published = published_dataset(dataset)
    for flag, value, owner in (("--rate", rate, "ptbxl"), ("--only", only, "cinc2021")):
        if value is not None and dataset != owner:
            raise ConfigError(
                f"{flag} {value} is an option of {owner}, not of {dataset}. Leave it out."
            )
    parts = [str(rate)] if rate else [name.strip() for name in (only or "").split(",") if name]
    output.say(f"{published.title} from {mirror or published.mirror}")
    started = time.monotonic()
    with StepProgress(output, "download", "files") as progress:

        def show(state: "DownloadProgress") -> None:
            progress.update(state.n_files_done, state.n_files, byte_size(state.n_bytes))

        with writing(dest, "Give a folder where you may write."):
            summary = download(published, Path(dest), mirror=mirror, parts=parts, on_progress=show)
    _answer(output, dataset, dest, summary, time.monotonic() - started)


def _answer(
    output: Output, dataset: str, dest: str, summary: "DownloadSummary", elapsed_s: float
) -> None:
    value: dict[str, Any] = {"dataset": dataset, "folder": dest, **dataclasses.asdict(summary)}
    rows: dict[str, object] = {
        "downloaded": f"{dataset} to {dest}, every hash right",
        "files": f"{summary.n_fetched:,} fetched, {summary.n_kept:,} there already, "
        f"{summary.n_repaired:,} repaired",
        "brought": f"{byte_size(summary.n_bytes)} in {duration(elapsed_s)} from {summary.mirror}",
        "next": shlex.join(["mvkt", "ingest", dataset, dest, "SHARDS"]),
    }
    output.answer(value, [facts(rows)])
