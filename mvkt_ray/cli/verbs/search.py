"""`mvkt search`: from recordings to a finished study, every missing stage by itself."""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvkt_ray.cli.display.console import Output
from mvkt_ray.cli.options import (
    Address,
    Folds,
    InProcess,
    Json,
    Ledger,
    MaxCost,
    MaxGpuHours,
    Prices,
    Quiet,
    Resume,
    check_address,
    not_empty,
    parse_time_budget,
    read_ledger,
    read_limits,
    with_folds,
    with_prices,
)
from mvkt_ray.errors import ConfigError

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.search_plan import SearchRequest


def search_verb(
    out: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="Folder of the study, or its URI: s3://, gs://, abfss://.",
            callback=not_empty,
        ),
    ],
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="STUDY.yaml",
            help="Study file, see search_spaces/; may be left out with --resume.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Shards, or the folder of the dataset; not needed by synthetic.",
            callback=not_empty,
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Use this trained teacher instead of training one.",
            callback=not_empty,
        ),
    ] = None,
    ledger: Ledger = None,
    folds: Folds = None,
    max_trials: Annotated[
        int | None,
        typer.Option(metavar="N", help="Trials in all, instead of the study's n_trials."),
    ] = None,
    time_budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Start no trial after this time, e.g. 30m or 2h."),
    ] = None,
    max_gpu_hours: MaxGpuHours = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
    tracker: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=TARGET",
            help="Track the trials, too: mlflow=URI, wandb=PROJECT or tensorboard=DIR; repeatable.",
        ),
    ] = None,
    address: Address = None,
    in_process: InProcess = False,
    resume: Resume = False,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY_DIR",
            help="Predict time and cost from this study's trials, while there are no own ones.",
            callback=not_empty,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would be done, and stop.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search for the best lead: ingest, teacher, knowledge and trials, whatever is missing.

    Ctrl-C or SIGTERM stops cleanly; the same line with --resume goes on. So does --max-gpu-hours or
    --max-cost, with exit code 0.
    Example: mvkt search search_spaces/best_single_lead.yaml --data data/ptb-xl --out study
    """
    from mvkt_ray.cli.searching import search, show_plan
    from mvkt_ray.config.study_file import read_study
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.search.search_plan import SearchRequest
    from mvkt_ray.storage.location import Location

    started = time.monotonic()
    output = Output.open(as_json=as_json, quiet=quiet)
    check_address(address, in_process=in_process)
    request = SearchRequest(
        folder=StudyFolder(Location.parse(out)),
        data=None if data is None else Location.parse(data),
        teacher=None if teacher is None else Location.parse(teacher),
        resume=resume,
        limits=read_limits(max_gpu_hours, max_cost),
        similar=None if like is None else StudyFolder(Location.parse(like)),
        ledger=read_ledger(ledger),
        time_budget_s=parse_time_budget(time_budget),
        started=started,
    )
    config = read_study(study) if study is not None else _study_of(request)
    config = with_folds(with_prices(config, prices), folds)
    if max_trials is not None:
        if max_trials < 1:
            raise ConfigError(f"--max-trials must be at least 1, got {max_trials}.")
        config = dataclasses.replace(
            config, search=dataclasses.replace(config.search, n_trials=max_trials)
        )
    if dry_run:
        show_plan(output, config, request, address=address, in_process=in_process)
    else:
        search(
            output,
            config,
            request,
            address=address,
            in_process=in_process,
            trackers=tuple(tracker or ()),
        )


def _study_of(request: "SearchRequest") -> "StudyConfig":
    if not request.resume:
        raise ConfigError(
            "STUDY.yaml is missing: give a study file, such as those in search_spaces/. "
            "Only with --resume it is taken from the study's folder."
        )
    request.folder.expect_study()
    return request.folder.read_config()
