"""`mvkt label-budget`: one study with more and more labels known, alone and distilled."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mvkt_ray.cli.options import (
    Address,
    AnyData,
    DryRun,
    Folds,
    InProcess,
    Ledger,
    Resume,
    VerbOutput,
    location_option,
)
from mvkt_ray.display.console import Output, facts, grid, heading
from mvkt_ray.interface.arguments import RunnerChoice, passed_on

if TYPE_CHECKING:
    from mvkt_ray.search.label_budget.budget_folder import BudgetFolder


def label_budget_verb(
    output: VerbOutput,
    out: Annotated[
        str,
        location_option("DIR", "Folder of the label budget, or its URI: s3://, gs://, abfss://."),
    ],
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="STUDY.yaml",
            help="Study file for every cell, such as search_spaces/label_budget.yaml; optional "
            "with --resume or --report.",
        ),
    ] = None,
    data: AnyData = None,
    budgets: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Label budgets: numbers of labelled training folds, or, if below 1, shares of "
            "their patients; by default 1, 2, 4 and so on, up to all.",
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(metavar="N", help="Random draws of labels per budget; by default 3."),
    ] = None,
    ledger: Ledger = None,
    folds: Folds = None,
    address: Address = None,
    in_process: InProcess = False,
    resume: Resume = False,
    report: Annotated[
        bool, typer.Option("--report", help="Run nothing: report on the cells tested so far.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Plot score against labels, alone and distilled, from a search and finals for every budget.

    Ctrl-C or SIGTERM stops cleanly; the same command with --resume goes on, also with more budgets.
    Example: mvkt label-budget search_spaces/label_budget.yaml --data data/ptb-xl --out labels
    """
    given = passed_on(locals(), "output", "report", "dry_run")
    from mvkt_ray.interface.budget_run import budget_call, budget_outlook, run_budget
    from mvkt_ray.search.label_budget.budget_folder import BudgetFolder
    from mvkt_ray.storage.location import Location

    if report:
        RunnerChoice(address, in_process)
        _answer(output, BudgetFolder(Location.parse(out)))
        return
    call = budget_call(**given)
    if dry_run:
        value = budget_outlook(output, call)
        output.answer(value, _plan_tables(value))
    else:
        run_budget(output, call)
        _answer(output, call.folder)


def _answer(output: Output, folder: "BudgetFolder") -> None:
    """Make the report of what is examined, write it, and show it."""
    from mvkt_ray.delivery.label_curve.write_curve import write_curve
    from mvkt_ray.delivery.report.report_json import plain_report
    from mvkt_ray.display.curve_table import curve_table

    with output.waiting("making the report"):
        curve = write_curve(folder)
    page = str(folder.report_folder / "index.html")
    output.answer(plain_report(curve), curve_table(curve, page))


def _plan_tables(value: dict[str, Any]) -> list[RenderableType]:
    cells = value["cells"]
    n_left = sum(cell["state"] != "examined" for cell in cells)
    rows: dict[str, object] = {
        "study": value["study"],
        "cells": f"{len(cells)}, of which {n_left} are to be run",
        "each": f"a search{_of_trials(value)}, then finals with {value['n_seeds']} seeds, which "
        "open its test split once",
    }
    table = grid(["cell", "labels known of", "state"])
    for cell in cells:
        table.add_row(cell["name"], cell["labels"], cell["state"])
    return [facts(rows), table, heading("Nothing has been written.")]


def _of_trials(value: dict[str, Any]) -> str:
    n_trials = value["n_trials_per_cell"]
    return "" if n_trials is None else f" of {n_trials} trials"
