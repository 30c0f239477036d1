"""`mvkt status`: how far is a study, and what went wrong in it?"""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from mvkt_ray.cli.options import Folder, JsonOutput
from mvkt_ray.display.console import facts, grid
from mvkt_ray.display.finals_lines import driven_stages, finals_text, openings_text
from mvkt_ray.display.live_table import condition_table
from mvkt_ray.display.money import spent_text
from mvkt_ray.display.state_reader import state_of
from mvkt_ray.display.study_state import StudyState, state_as_value
from mvkt_ray.phrasing import TERMINAL, duration, money_amount

PROBLEMS_SHOWN = 10


def status_verb(
    output: JsonOutput,
    folder: Folder,
    trials: Annotated[
        bool, typer.Option("--trials", help="List all trials that have ended.")
    ] = False,
    ledger_copy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Copy the ledger to a new file for optuna-dashboard, and print the command that "
            "opens it.",
        ),
    ] = None,
) -> None:
    """Show the progress of a study and its finals: best scores, running trials, failures.

    Changes nothing; works while the search runs, and after it.
    """
    from mvkt_ray.search.finals.finals_progress import read_progress
    from mvkt_ray.search.ledger.ledger_database import is_driven, reading
    from mvkt_ray.search.ledger.sqlite_url import url_of
    from mvkt_ray.search.study_opening import open_study

    folder.expect_study()
    with reading(folder) as database:
        config, study = open_study(folder, database)
        study.close()
        finals = read_progress(database, config.name)
        if ledger_copy is not None:
            database.copy_to(ledger_copy)
    drives_search, drives_finals = driven_stages(study.trials(), finals, is_driven(folder))
    state = replace(state_of(study, config.trial_epochs), is_driven=drives_search)
    rows: dict[str, object] = {
        "study": f"{config.name} in {folder.root}",
        "trials": f"{state.n_finished} of {state.n_trials} have ended, {_open_ones(state)}",
    }
    # What finals have cost is the study's, too.
    spent = sum((study.prices.spent(each.reservations) for each in finals), study.spent)
    state = replace(state, spent=spent_text(spent, study.prices))
    if state.spent:
        rows["spent"] = state.spent
    for each in finals:
        rows[f"finals {each.number}"] = finals_text(each, is_driven=drives_finals)
    rows["test split"] = openings_text([each.opening for each in finals if each.opening])
    if study.cpu_precision:
        rows["precision"] = "on CPUs " + ", ".join(
            f"{network} {precision}" for network, precision in sorted(study.cpu_precision.items())
        )
    if times := folder.stage_times():
        rows["stages"] = ", ".join(f"{name} {duration(s)}" for name, s in times.items())
    if database.server is not None:
        rows["ledger"] = shlex.join(["optuna-dashboard", database.url])
    if ledger_copy is not None:
        copy = url_of(ledger_copy.absolute())
        rows["ledger copy"] = shlex.join(["optuna-dashboard", copy])
    shown: list[RenderableType] = [facts(rows), condition_table(state)]
    if trials:
        currency = None if study.prices.is_empty else study.prices.currency
        shown.append(_trial_table(state, currency))
    shown.extend(_problems(state))
    value = state_as_value(config.name, state)
    value["cpu_precision"] = study.cpu_precision
    value["finals"] = [each.to_json(is_driven=drives_finals) for each in finals]
    output.answer(value, shown)


def _open_ones(state: StudyState) -> str:
    if not state.n_open:
        return "none is running"
    return f"{state.n_open} {'is' if state.n_open == 1 else 'are'} {state.open_name}"


def _trial_table(state: StudyState, currency: str | None) -> RenderableType:
    columns = ["trial", "lead", "arm", "state", "macro AUROC", "epochs", "time"]
    if currency is not None:
        columns.append(currency)
    table = grid(columns, right=["trial", *columns[4:]])
    for trial in state.finished:
        money = "unknown" if trial.money is None else money_amount(trial.money)
        table.add_row(
            f"#{trial.number}",
            trial.condition,
            trial.arm,
            trial.state,
            TERMINAL.score(trial.macro_auroc),
            str(trial.epochs),
            duration(trial.wall_s),
            *([] if currency is None else [money]),
        )
    return table


def _problems(state: StudyState) -> list[RenderableType]:
    """Say why trials failed or diverged, the newest first."""
    failed = [trial for trial in state.finished if trial.is_problem]
    if not failed:
        return []
    table = grid(["trial", "lead", "", "because"], right=["trial"])
    for trial in failed[::-1][:PROBLEMS_SHOWN]:
        table.add_row(f"#{trial.number}", trial.condition, trial.state, trial.reason)
    if len(failed) > PROBLEMS_SHOWN:
        table.caption = f"and {len(failed) - PROBLEMS_SHOWN} more; --json has all"
    return [table]
