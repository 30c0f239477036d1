"""`mvkt label-budget`: one study with more and more labels known, alone and distilled."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvkt_ray.cli.options import Address, Folds, InProcess, Json, Ledger, Quiet, Resume, not_empty
from mvkt_ray.display.console import Output
from mvkt_ray.errors import ConfigError
from mvkt_ray.interface.arguments import check_address, read_ledger, with_folds

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.label_budget.budget_folder import BudgetFolder, BudgetPlan

DRAWS = 3


def label_budget_verb(
    out: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="Folder of the label budget, or its URI: s3://, gs://, abfss://.",
            callback=not_empty,
        ),
    ],
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="STUDY.yaml",
            help="Study of every cell, such as search_spaces/label_budget.yaml; may be left out "
            "with --resume or --report.",
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
    budgets: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="How many training folds have known labels, or which share of their patients if "
            "below 1; by default 1, 2, 4 and so on, up to all.",
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Draws of the labels of each; by default {DRAWS}."),
    ] = None,
    ledger: Ledger = None,
    folds: Folds = None,
    address: Address = None,
    in_process: InProcess = False,
    resume: Resume = False,
    report: Annotated[
        bool, typer.Option("--report", help="Run nothing: draw what is examined so far.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would be done, and stop.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw score against labels, alone and distilled: a search and its finals for every budget.

    Ctrl-C or SIGTERM stops cleanly; the same line with --resume goes on, also with more budgets.
    Example: mvkt label-budget search_spaces/label_budget.yaml --data data/ptb-xl --out labels
    """
    from mvkt_ray.cli.budgeting import answer_with_curve, run_budget, show_budget
    from mvkt_ray.search.label_budget.budget_folder import BudgetFolder
    from mvkt_ray.storage.location import Location

    output = Output.open(as_json=as_json, quiet=quiet)
    check_address(address, in_process=in_process)
    folder = BudgetFolder(Location.parse(out))
    if report:
        answer_with_curve(output, folder)
        return
    server = read_ledger(ledger)
    plan = _plan(folder, study, data, budgets, draws, folds, resume=resume)
    if dry_run:
        show_budget(output, folder, plan, resume=resume, ledger=server)
    else:
        run_budget(
            *(output, folder, plan),
            resume=resume,
            ledger=server,
            address=address,
            in_process=in_process,
        )


def _plan(
    folder: "BudgetFolder",
    study: Path | None,
    data: str | None,
    budgets: str | None,
    draws: int | None,
    folds: str | None,
    *,
    resume: bool,
) -> "BudgetPlan":
    """Return what is asked for; with --resume what is not said is as it was.

    Raises:
        ConfigError: Something is missing or wrong.
    """
    from mvkt_ray.config.study_file import read_study
    from mvkt_ray.search.label_budget.budget_folder import BudgetPlan

    before = folder.read_plan() if resume and folder.plan_file.exists() else None
    if study is None and before is None:
        raise ConfigError(
            "STUDY.yaml is missing: give a study file, such as search_spaces/label_budget.yaml. "
            "Only with --resume it is taken from the folder."
        )
    own = None if before is None else before.base
    base = with_folds(own if study is None and own is not None else read_study(str(study)), folds)
    plan = BudgetPlan(
        base=base,
        budgets=_budgets(budgets, before, base),
        n_draws=draws if draws is not None else DRAWS if before is None else before.n_draws,
        data=_absolute(data) if data is not None or before is None else before.data,
    )
    # What is wrong with it is said before anything is written.
    assert plan.cells
    return plan


def _budgets(
    text: str | None, before: "BudgetPlan | None", base: "StudyConfig"
) -> tuple[float, ...]:
    from mvkt_ray.search.label_budget.budget_cells import parse_budgets, usual_budgets

    if text is not None:
        return parse_budgets(text)
    return usual_budgets(base) if before is None else before.budgets


def _absolute(data: str | None) -> str | None:
    """Return where the data are, from whatever folder the command is gone on with."""
    from mvkt_ray.storage.location import Location

    return None if data is None else str(Location.parse(data))
