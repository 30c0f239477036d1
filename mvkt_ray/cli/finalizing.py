"""Shows finals to the verb `finalize`: what they would do, and what came out."""

import shlex
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.display.console import Output, facts, grid, heading
from mvkt_ray.phrasing import TERMINAL

if TYPE_CHECKING:
    from mvkt_ray.interface.finals_run import FinalsCall
    from mvkt_ray.search.finals.finals_outlook import FinalsOutlook


def answer_finals(output: Output, call: "FinalsCall") -> None:
    """Train, open the test split once, examine, and say what came out."""
    from mvkt_ray.interface.finals_run import results_as_value, train_and_examine

    value = results_as_value(call.config.name, train_and_examine(output, call))
    output.answer(value, _result_tables(value, str(call.folder.root)))


def show_outlook(output: Output, call: "FinalsCall") -> None:
    """Check everything that can be checked before finals, and say what they would do."""
    from mvkt_ray.interface.sessions.choose_runner import open_runner
    from mvkt_ray.search.finals.finals_outlook import finals_outlook
    from mvkt_ray.search.ledger.ledger_database import reading

    with (
        reading(call.folder) as database,
        finals_outlook(call.folder, call.config, call.request, database) as outlook,
        open_runner(output, call.runner) as runner,
    ):
        runner.check(call.config.resources)
        runner.expect_plugins(call.folder.read_plugins())
        value = _outlook_as_value(outlook, runner.describe())
    output.answer(value, _outlook_tables(value))


def _outlook_as_value(outlook: "FinalsOutlook", where: str) -> dict[str, Any]:
    from mvkt_ray.search.finals.finals_plan import final_trials

    begun, splits = outlook.begun, outlook.prepared.splits
    ended = [record for record in begun.records if record.result] if begun else []
    return {
        "study": outlook.config.name,
        "where": where,
        "finals": outlook.number,
        "begun": begun is not None,
        "leaves_behind": outlook.abandoned.number if outlook.abandoned else None,
        "n_trainings": len(final_trials(outlook.plan)),
        "n_trained": len(ended),
        "refit": outlook.config.finals.refit,
        "n_train": len(splits.train) + (len(splits.val) if outlook.config.finals.refit else 0),
        "n_test": splits.n_test,
        "openings": [opening.to_json() for opening in outlook.openings],
        "reason": outlook.reason,
        "plan": [contender.to_json() for contender in outlook.plan],
    }


def _outlook_tables(value: dict[str, Any]) -> list[RenderableType]:
    done = f", of which {value['n_trained']} have ended" if value["n_trained"] else ""
    rows: dict[str, object] = {
        "study": value["study"],
        "finals": f"number {value['finals']}, {'begun' if value['begun'] else 'to begin'}",
        "trainings": f"{value['n_trainings']} on {value['n_train']:,} recordings{done}",
        "test split": f"{value['n_test']:,} recordings, opened {len(value['openings'])} times "
        "so far",
        "where": value["where"],
    }
    if value["reason"]:
        rows["again"] = value["reason"]
    if value["leaves_behind"]:
        rows["start over"] = f"finals {value['leaves_behind']} are left behind, unopened"
    table = grid(["lead", "contender", "seeds", "of trial"], right=["seeds", "of trial"])
    for each in value["plan"]:
        number = each["chosen_trial"]
        table.add_row(
            each["condition"],
            each["name"],
            str(each["n_seeds"]),
            "-" if number is None else f"#{number}",
        )
    return [facts(rows), table, heading("Nothing has been written.")]


def _result_tables(value: dict[str, Any], folder: str) -> list[RenderableType]:
    """Draw the leads by the test score of what they are ranked by, beside the other contenders."""
    names = list(dict.fromkeys(row["contender"] for row in value["contenders"]))
    names.sort(key=lambda name: name != value["answer"])
    means = {(row["contender"], row["lead"]): row["macro_auroc"] for row in value["contenders"]}
    table = grid(["", "lead", *names, "sd of seeds"], right=["", *names, "sd of seeds"])
    for rank, row in enumerate(value["leads"], start=1):
        table.add_row(
            str(rank),
            Text(row["lead"], "bold"),
            *(TERMINAL.score(means.get((name, row["lead"]))) for name in names),
            "-" if row["seed_sd"] is None else f"{row['seed_sd']:.4f}",
        )
    n_openings = len(value["openings"])
    rows: dict[str, object] = {
        "test split": f"{value['n_test_recordings']:,} recordings; opened "
        f"{'once' if n_openings == 1 else f'{n_openings} times'}",
        "teacher": f"macro AUROC {TERMINAL.score(value['teacher']['macro_auroc'])} with all its "
        "leads",
    }
    if value["classes_left_out"]:
        names = ", ".join(value["classes_left_out"])
        rows["left out"] = f"{names}: all test recordings have this class, or none has"
    report = shlex.join(["mvkt", "report", folder])
    rows["next"] = f"{report}: intervals, the best set, and the gain from the teacher"
    title = f"Study {value['study']}: macro AUROC on the test split, means over seeds"
    return [heading(title), table, facts(rows)]
