"""Runs a label budget: checks its arguments, runs its cells in order, and draws the curves.

`search_run` and `finals_run` run the search and the finals of each cell in sessions of their own.
Each cell's ledger records its own opening of the test split.

Reads: shards. Writes: the folder of the label budget.
"""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import read_study
from mvkt_ray.delivery.label_curve.write_curve import write_curve
from mvkt_ray.display.console import Output
from mvkt_ray.errors import ConfigError, DataError, TrialError
from mvkt_ray.interface.arguments import RunnerChoice, read_ledger, with_folds
from mvkt_ray.interface.finals_run import finals_call, train_and_examine
from mvkt_ray.interface.search_run import run_trials
from mvkt_ray.interface.sessions.own_files import expect_writable
from mvkt_ray.search.label_budget.budget_cells import BudgetCell, parse_budgets, usual_budgets
from mvkt_ray.search.label_budget.budget_folder import BudgetFolder, BudgetPlan
from mvkt_ray.search.ledger.postgres.noted_server import read_note
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.search_plan import SearchPlan, SearchRequest, plan_search
from mvkt_ray.storage.location import Location

DRAWS = 3
"""Default number of random draws of labels per budget."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetCall:
    """Checked request for a label budget."""

    folder: BudgetFolder
    plan: BudgetPlan
    runner: RunnerChoice
    resume: bool = False
    ledger: ServerAddress | None = None
    """Database of the cells' ledgers; None for ledgers in their folders."""

    def search_plan(self, cell: BudgetCell) -> SearchPlan:
        """Return the checked plan of a cell's search.

        Raises:
            ConfigError: Study and data do not match.
        """
        # Cells always resume: `BudgetFolder` checks `--resume` for the whole folder.
        request = SearchRequest(
            folder=self.folder.cell(cell),
            data=self.folder.shards(self.plan),
            resume=True,
            ledger=self.ledger,
        )
        return plan_search(cell.study(self.plan.base), request)


def budget_call(
    study: str | Path | None,
    *,
    out: str | Path,
    data: str | None = None,
    budgets: str | None = None,
    draws: int | None = None,
    ledger: str | None = None,
    folds: str | None = None,
    address: str | None = None,
    in_process: bool = False,
    resume: bool = False,
) -> BudgetCall:
    """Check the arguments of a label budget; with `resume`, defaults are the earlier values.

    The arguments are those of the verb `label-budget`; `calls.search` documents most of them.

    Raises:
        ConfigError: An argument is missing or wrong.
    """
    runner = RunnerChoice(address, in_process)
    folder, server = BudgetFolder(Location.parse(out)), read_ledger(ledger)
    before = folder.read_plan() if resume and folder.plan_file.exists() else None
    if study is not None:
        base = read_study(study)
    elif before is not None:
        base = before.base
    else:
        raise ConfigError(
            "STUDY.yaml is missing: give a study file, such as search_spaces/label_budget.yaml. "
            "It may be left out only with --resume, which reads it from the folder."
        )
    base = with_folds(base, folds)
    if data is not None:
        # Absolute, so that the command can be resumed from any folder.
        data = str(Location.parse(data))
    elif before is not None:
        data = before.data
    plan = BudgetPlan(
        base=base,
        budgets=_budgets(budgets, before, base),
        n_draws=draws if draws is not None else DRAWS if before is None else before.n_draws,
        data=data,
    )
    # Building the cells checks the budgets, before anything is written.
    assert plan.cells
    return BudgetCall(
        folder=folder,
        plan=plan,
        resume=resume,
        ledger=server or _noted_ledger(folder, plan),
        runner=runner,
    )


def run_budget(output: Output, call: BudgetCall) -> None:
    """Run every unexamined cell; draw the curves after each.

    Raises:
        TrialError: A training failed, or no trial of a cell was completed; finished work is kept.
    """
    folder, base, cells = call.folder, call.plan.base, call.plan.cells
    expect_writable(folder.cell(cells[0]))
    # The first cell is checked completely before anything is written.
    with output.waiting("checking the study"):
        if folder.states(cells[:1], base) == ["new"]:
            call.search_plan(cells[0])
    folder.begin(call.plan, resume=call.resume)
    for number, cell in enumerate(cells, start=1):
        state = folder.states([cell], base)[0]
        what = f"cell {number} of {len(cells)}: {cell.name}, labels of {cell.describe()}"
        if state == "examined":
            output.say(f"{what}; done already")
            continue
        output.say(what)
        if state != "searched":
            _search(output, call, cell)
        # Finals read the cell's own study file, in which a grid's number of trials is set.
        finals = finals_call(str(folder.cell(cell).root), **asdict(call.runner))
        train_and_examine(output, finals)
        with suppress(DataError), output.waiting("drawing what there is"):
            write_curve(folder)


def budget_outlook(output: Output, call: BudgetCall) -> dict[str, Any]:
    """Check a label budget without running it; return its plan as a JSON object."""
    folder, plan = call.folder, call.plan
    folder.check(plan, resume=call.resume)
    cells = list(zip(plan.cells, folder.states(plan.cells, plan.base), strict=True))
    first = next((cell for cell, state in cells if state == "new"), None)
    n_trials = None
    if first is not None:
        with output.waiting("checking the study"):
            n_trials = call.search_plan(first).config.search.n_trials
    return {
        "study": plan.base.name,
        "data": plan.data,
        "n_trials_per_cell": n_trials,
        "n_seeds": plan.base.finals.n_seeds,
        "cells": [
            {"name": cell.name, "labels": cell.describe(), "state": state} for cell, state in cells
        ],
    }


def _noted_ledger(folder: BudgetFolder, plan: BudgetPlan) -> ServerAddress | None:
    """Return the database of the begun cells' ledgers; None for ledgers in their folders."""
    noted = (read_note(folder.cell(cell)) for cell in plan.cells)
    return next((each.address for each in noted if each is not None), None)


def _budgets(text: str | None, before: BudgetPlan | None, base: StudyConfig) -> tuple[float, ...]:
    if text is not None:
        return parse_budgets(text)
    return usual_budgets(base) if before is None else before.budgets


def _search(output: Output, call: BudgetCall, cell: BudgetCell) -> None:
    planned = call.search_plan(cell)
    study = run_trials(output, planned, call.runner)
    if study.n_trials and not any(each.macro_auroc is not None for each in study.trials()):
        raise TrialError(
            f"no trial of the cell {cell.name} was completed, so no configuration can be chosen. "
            f"See the reasons by `mvkt status {planned.folder.root}`, remove the cause and the "
            "cell's folder, and go on with --resume."
        )
