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
            metavar="FILE", help="Take `finals` from this file; the rest must be the same study."
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="Seeds of each configuration.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(metavar="K", help="Compare the best K configurations per lead.")
    ] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Train on training and validation splits together.")
    ] = False,
    again: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Open the test split again; the report says why."),
    ] = None,
    start_over: Annotated[
        bool,
        typer.Option("--start-over", help="Leave behind unopened finals of another configuration."),
    ] = False,
    without_failed: Annotated[
        bool, typer.Option("--without-failed", help="Examine without trainings that failed.")
    ] = False,
    now: Annotated[
        bool, typer.Option("--now", help="Choose although the search has not ended.")
    ] = False,
    max_gpu_hours: MaxGpuHours = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
    address: Address = None,
    in_process: InProcess = False,
    dry_run: DryRun = False,
) -> None:
    """Choose per lead by validation, train again with several seeds, and open the test split once.

    Ctrl-C or SIGTERM stops cleanly; the same line again goes on, and the split is opened once.
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
