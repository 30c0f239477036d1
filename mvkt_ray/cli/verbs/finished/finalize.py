"""`mvkt finalize`: train what was chosen again, with several seeds, and open the test once."""

from pathlib import Path
from typing import Annotated

import typer

from mvkt_ray.cli.options import (
    Address,
    DryRun,
    InProcess,
    MaxCost,
    MaxGpuHours,
    Prices,
    StudyDir,
    VerbOutput,
)
from mvkt_ray.interface.arguments import passed_on


def finalize_verb(
    output: VerbOutput,
    study_dir: StudyDir,
    study: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Study file with other `finals`; all else must be as in the study."
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="Number of seeds per configuration.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(metavar="K", help="Compare the best K configurations per lead.")
    ] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Train on training and validation splits together.")
    ] = False,
    again: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Open the test split again; the report states the reason."
        ),
    ] = None,
    start_over: Annotated[
        bool,
        typer.Option(
            "--start-over", help="Abandon finals of another configuration before their test."
        ),
    ] = False,
    without_failed: Annotated[
        bool, typer.Option("--without-failed", help="Test without the trainings that failed.")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="Choose from an unfinished search.")] = False,
    max_gpu_hours: MaxGpuHours = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
    address: Address = None,
    in_process: InProcess = False,
    dry_run: DryRun = False,
) -> None:
    """Choose on validation for each lead, retrain with several seeds, and open the test split once.

    Ctrl-C or SIGTERM stops cleanly; the same command resumes, and still opens the split only once.
    Example: mvkt finalize study --seeds 5
    """
    given = passed_on(locals(), "output", "dry_run")
    from mvkt_ray.cli.finalizing import answer_finals, show_outlook
    from mvkt_ray.interface.finals_run import finals_call

    call = finals_call(**given)
    if dry_run:
        show_outlook(output, call)
    else:
        answer_finals(output, call)
