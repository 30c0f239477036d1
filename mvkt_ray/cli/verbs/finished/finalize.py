"""`mvkt finalize`: train what was chosen again, with several seeds, and open the test once."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvkt_ray.cli.display.console import Output
from mvkt_ray.cli.options import (
    Address,
    InProcess,
    Json,
    MaxCost,
    MaxGpuHours,
    Prices,
    Quiet,
    StudyDir,
    check_address,
    read_limits,
    with_prices,
)
from mvkt_ray.errors import ConfigError

if TYPE_CHECKING:
    from mvkt_ray.config.schema import FinalsConfig


def finalize_verb(
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would be done, and stop.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose per lead by validation, train again with several seeds, and open the test split once.

    Ctrl-C or SIGTERM stops cleanly; the same line again goes on, and the split is opened once.
    Example: mvkt finalize study --seeds 5
    """
    from mvkt_ray.cli.finalizing import finalize, show_outlook
    from mvkt_ray.config.study_file import read_study
    from mvkt_ray.search.finals.finals_outlook import FinalsRequest, finals_config
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.storage.location import Location

    output = Output.open(as_json=as_json, quiet=quiet)
    check_address(address, in_process=in_process)
    folder = StudyFolder(Location.parse(study_dir))
    config = finals_config(folder, None if study is None else read_study(study))
    finals = _changed(config.finals, seeds=seeds, top_k=top_k, refit=refit)
    config = with_prices(dataclasses.replace(config, finals=finals), prices)
    request = FinalsRequest(
        again=again,
        start_over=start_over,
        without_failed=without_failed,
        now=now,
        limits=read_limits(max_gpu_hours, max_cost),
    )
    if dry_run:
        show_outlook(output, folder, config, request, address=address, in_process=in_process)
    else:
        finalize(output, folder, config, request, address=address, in_process=in_process)


def _changed(
    finals: "FinalsConfig", *, seeds: int | None, top_k: int | None, refit: bool
) -> "FinalsConfig":
    """Return the finals with what the flags say.

    Raises:
        ConfigError: A number is too small.
    """
    for flag, value, least in (("--seeds", seeds, 1), ("--top-k", top_k, 0)):
        if value is not None and value < least:
            raise ConfigError(f"{flag} must be at least {least}, got {value}.")
    return dataclasses.replace(
        finals,
        n_seeds=finals.n_seeds if seeds is None else seeds,
        n_configurations=finals.n_configurations if top_k is None else top_k,
        refit=refit or finals.refit,
    )
