"""`mvkt search`: from recordings to a finished study, every missing stage by itself."""

from pathlib import Path
from typing import Annotated

import typer

from mvkt_ray.cli.options import (
    Address,
    AnyData,
    DryRun,
    Folds,
    InProcess,
    Ledger,
    MaxCost,
    MaxGpuHours,
    Prices,
    Resume,
    TimeBudget,
    Trackers,
    VerbOutput,
    location_option,
)
from mvkt_ray.interface.arguments import passed_on


def search_verb(
    output: VerbOutput,
    out: Annotated[
        str, location_option("DIR", "Folder of the study, or its URI: s3://, gs://, abfss://.")
    ],
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="STUDY.yaml",
            help="Study file, see search_spaces/; optional with --resume.",
        ),
    ] = None,
    data: AnyData = None,
    teacher: Annotated[
        str | None, location_option("DIR", "Use this trained teacher instead of training one.")
    ] = None,
    ledger: Ledger = None,
    folds: Folds = None,
    max_trials: Annotated[
        int | None,
        typer.Option(metavar="N", help="Total number of trials, overriding n_trials."),
    ] = None,
    time_budget: TimeBudget = None,
    max_gpu_hours: MaxGpuHours = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
    trackers: Trackers = None,
    address: Address = None,
    in_process: InProcess = False,
    resume: Resume = False,
    like: Annotated[
        str | None,
        location_option(
            "STUDY_DIR",
            "Study whose trials predict time and cost until there are own ones.",
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Search for the best lead; runs the missing stages of ingest, teacher, knowledge and trials.

    Ctrl-C or SIGTERM stops cleanly; the same command with --resume goes on.
    Reaching --max-gpu-hours or --max-cost stops it likewise, with exit code 0.
    Example: mvkt search search_spaces/best_single_lead.yaml --data data/ptb-xl --out study
    """
    given = passed_on(locals(), "output", "dry_run")
    from mvkt_ray.cli.searching import answer_search, show_plan
    from mvkt_ray.interface.search_run import search_call

    call = search_call(**given)
    if dry_run:
        show_plan(output, call)
    else:
        answer_search(output, call)
