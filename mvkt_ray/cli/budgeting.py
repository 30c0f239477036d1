"""Runs a label budget for the verb `label-budget`: cell after cell, then the curves.

Every cell is searched and finalized as the verbs `search` and `finalize` do it, in sessions of its
own, and its test split is opened by its own ledger.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.display.console import Output, facts, grid, heading, score
from mvkt_ray.errors import DataError, TrialError
from mvkt_ray.interface.sessions.own_files import expect_writable
from mvkt_ray.phrasing import NumberStyle

if TYPE_CHECKING:
    from mvkt_ray.search.label_budget.budget_cells import BudgetCell
    from mvkt_ray.search.label_budget.budget_folder import BudgetFolder, BudgetPlan
    from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
    from mvkt_ray.search.search_plan import SearchPlan

_SAID = NumberStyle()


def run_budget(
    output: Output,
    folder: "BudgetFolder",
    plan: "BudgetPlan",
    *,
    resume: bool,
    ledger: "ServerAddress | None",
    address: str | None,
    in_process: bool,
) -> None:
    """Run every cell that is not examined yet, and draw the curves.

    Raises:
        TrialError: A training failed, or no trial of a cell was completed; what is there stays.
    """
    cells = plan.cells
    expect_writable(folder.cell(cells[0]))
    ledger = ledger or _noted_ledger(folder, plan)
    # Of the first cell all is checked before anything is written.
    with output.waiting("checking the study"):
        if folder.states(cells[:1], plan.base) == ["new"]:
            _planned(folder, plan, cells[0], ledger)
    folder.begin(plan, resume=resume)
    for number, cell in enumerate(cells, start=1):
        state = folder.states([cell], plan.base)[0]
        what = f"cell {number} of {len(cells)}: {cell.name}, labels of {cell.describe()}"
        if state == "examined":
            output.say(f"{what}; is there")
            continue
        output.say(what)
        if state != "searched":
            planned = _planned(folder, plan, cell, ledger)
            _search(output, planned, cell, address=address, in_process=in_process)
        _finalize(output, folder, plan, cell, address=address, in_process=in_process)
        with suppress(DataError), output.waiting("drawing what there is"):
            _write(folder)
    answer_with_curve(output, folder)


def show_budget(
    output: Output,
    folder: "BudgetFolder",
    plan: "BudgetPlan",
    *,
    resume: bool,
    ledger: "ServerAddress | None",
) -> None:
    """Check what can be checked before a label budget, and say what it would do."""
    cells = plan.cells
    folder.check(plan, resume=resume)
    states = folder.states(cells, plan.base)
    first = next((c for c, state in zip(cells, states, strict=True) if state == "new"), None)
    checked = None
    if first is not None:
        with output.waiting("checking the study"):
            checked = _planned(folder, plan, first, ledger or _noted_ledger(folder, plan))
    value = _plan_as_value(plan, states, checked)
    output.answer(value, _plan_tables(value))


def answer_with_curve(output: Output, folder: "BudgetFolder") -> None:
    """Make the report of what is examined, write it, and show it."""
    with output.waiting("making the report"):
        curve = _write(folder)
    output.answer(curve, _curve_tables(curve, str(folder.report_folder / "index.html")))


def _write(folder: "BudgetFolder") -> dict[str, Any]:
    from mvkt_ray.delivery.label_curve.write_curve import write_curve

    return write_curve(folder)


def _noted_ledger(folder: "BudgetFolder", plan: "BudgetPlan") -> "ServerAddress | None":
    """Return where the cells that have begun have their ledgers; None: in their folders."""
    from mvkt_ray.search.ledger.postgres.noted_server import read_note

    noted = (read_note(folder.cell(cell)) for cell in plan.cells)
    return next((each.address for each in noted if each is not None), None)


def _planned(
    folder: "BudgetFolder",
    plan: "BudgetPlan",
    cell: "BudgetCell",
    ledger: "ServerAddress | None",
) -> "SearchPlan":
    from mvkt_ray.search.search_plan import SearchRequest, plan_search

    # A cell goes on by itself: whether anything may be there was settled for the whole folder.
    request = SearchRequest(
        folder=folder.cell(cell), data=folder.shards(plan), resume=True, ledger=ledger
    )
    return plan_search(cell.study(plan.base), request)


def _search(
    output: Output,
    planned: "SearchPlan",
    cell: "BudgetCell",
    *,
    address: str | None,
    in_process: bool,
) -> None:
    from mvkt_ray.interface.search_run import run_trials

    study = run_trials(
        output,
        planned,
        lambda study: study,
        address=address,
        in_process=in_process,
    )
    if study.n_trials and not any(each.macro_auroc is not None for each in study.trials()):
        raise TrialError(
            f"no trial of the cell {cell.name} was completed, so nothing can be chosen: see why by "
            f"`mvkt status {planned.folder.root}`, remove the cause and the cell's folder, and "
            "go on with --resume."
        )


def _finalize(
    output: Output,
    folder: "BudgetFolder",
    plan: "BudgetPlan",
    cell: "BudgetCell",
    *,
    address: str | None,
    in_process: bool,
) -> None:
    from mvkt_ray.interface.finals_run import finals_call, train_and_examine

    # The cell's own file has as many trials as a grid has points.
    call = finals_call(str(folder.cell(cell).root), address=address, in_process=in_process)
    train_and_examine(output, call)


def _plan_as_value(
    plan: "BudgetPlan", states: list[Any], checked: "SearchPlan | None"
) -> dict[str, Any]:
    finals = plan.base.finals
    return {
        "study": plan.base.name,
        "data": plan.data,
        "n_trials_per_cell": None if checked is None else checked.config.search.n_trials,
        "n_seeds": finals.n_seeds,
        "cells": [
            {"name": cell.name, "labels": cell.describe(), "state": state}
            for cell, state in zip(plan.cells, states, strict=True)
        ],
    }


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


def _curve_tables(curve: dict[str, Any], page: str) -> list[RenderableType]:
    from mvkt_ray.delivery.label_curve.curve_words import equal_labels_text, labels_of

    table = grid(
        ["lead", "labels", "draws", "alone", "distilled", "gain", "as good as alone with"],
        right=["labels", "draws", "alone", "distilled", "gain", "as good as alone with"],
    )
    for lead in curve["leads"]:
        for point in lead["points"]:
            gain = point["gain"]
            table.add_row(
                Text(lead["lead"], "bold"),
                labels_of(point["n_labelled"]),
                str(len(point["answer"]["by_draw"])),
                score(point["alone"]["macro_auroc"]),
                score(point["answer"]["macro_auroc"]),
                f"{_SAID.signed(gain['difference'])}{'' if gain['claimed'] else ' not shown'}",
                equal_labels_text(point["equal_labels"]),
            )
    title = f"Label budget {curve['study']}: macro AUROC on the test split, means over draws"
    said = [Text(sentence) for sentence in curve["sentences"]]
    return [heading(title), table, *said, facts({"page": page})]
