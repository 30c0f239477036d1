"""Runs finals for the verb `finalize`: runner, logs, live table, and a short answer."""

import shlex
import time
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.cli.choose_runner import open_runner
from mvkt_ray.cli.display.console import Output, duration, facts, grid, heading, score
from mvkt_ray.cli.driver_session import driver_session
from mvkt_ray.cli.own_files import expect_writable, own_files

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.finals.finals_outlook import FinalsOutlook, FinalsRequest
    from mvkt_ray.search.finals.finals_results import FinalsResults
    from mvkt_ray.search.ledger.study_folder import StudyFolder


def finalize(
    output: Output,
    folder: "StudyFolder",
    config: "StudyConfig",
    request: "FinalsRequest",
    *,
    address: str | None,
    in_process: bool,
) -> None:
    """Train, open the test split once, examine, and say what came out."""
    results = train_and_examine(
        output, folder, config, request, address=address, in_process=in_process
    )
    value = results_as_value(config.name, results)
    output.answer(value, _result_tables(value, str(folder.root)))


def train_and_examine(
    output: Output,
    folder: "StudyFolder",
    config: "StudyConfig",
    request: "FinalsRequest",
    *,
    address: str | None,
    in_process: bool,
) -> "FinalsResults":
    """Run finals in a session of their own, and show how far they are."""
    from mvkt_ray.search.finals.finals_outlook import finals_outlook
    from mvkt_ray.search.finals.run_finals import run_finals
    from mvkt_ray.search.ledger.ledger_database import driving
    from mvkt_ray.search.ledger.postgres.server_connection import Patience

    started = time.monotonic()
    expect_writable(folder)
    with (
        driving(folder, begins=False, patience=Patience(say=output.note)) as database,
        finals_outlook(folder, config, request, database) as outlook,
    ):
        # What is refused was refused before Ray starts, which takes seconds.
        output.say(f"finals of {config.name} in {folder.root}")
        with driver_session(
            output,
            own_files(output, folder),
            config,
            name=f"{config.name}, finals",
            address=address,
            in_process=in_process,
        ) as session:
            results = run_finals(outlook, session.runner, session.view)
            log_note = session.log_note
    output.say(f"done in {duration(time.monotonic() - started)}{log_note}")
    return results


def results_as_value(name: str, results: "FinalsResults") -> dict[str, Any]:
    """Return the test scores as plain values: means over seeds, the leads ranked by the answer."""
    import numpy as np

    from mvkt_ray.statistics.scores import auroc_per_class, macro_mean

    labels_NC = results.test.labels_NC
    rows: list[dict[str, Any]] = []
    for (contender, lead), scores_RNC in results.test.scores.items():
        macros = [macro_mean(auroc_per_class(labels_NC, each)) for each in scores_RNC]
        values = [macro.value for macro in macros]
        rows.append(
            {
                "lead": lead,
                "contender": contender,
                "macro_auroc": float(np.mean(values)),
                "seed_sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
                "seeds": list(results.test.seeds[contender, lead]),
            }
        )
    teacher = macro_mean(auroc_per_class(labels_NC, results.test.teacher_NC))
    ranked = [row for row in rows if row["contender"] == results.answer]
    ranked.sort(key=lambda row: -row["macro_auroc"])
    opening = results.openings[-1]
    return {
        "study": name,
        "finals": results.number,
        "refit": results.refit,
        "answer": results.answer,
        "n_test_recordings": opening.n_recordings,
        "openings": [each.to_json() for each in results.openings],
        "teacher": {"macro_auroc": teacher.value},
        "classes_left_out": [results.classes[index] for index in teacher.left_out],
        "leads": ranked,
        "contenders": rows,
    }


def show_outlook(
    output: Output,
    folder: "StudyFolder",
    config: "StudyConfig",
    request: "FinalsRequest",
    *,
    address: str | None,
    in_process: bool,
) -> None:
    """Check everything that can be checked before finals, and say what they would do."""
    from mvkt_ray.search.finals.finals_outlook import finals_outlook
    from mvkt_ray.search.ledger.ledger_database import reading

    with (
        reading(folder) as database,
        finals_outlook(folder, config, request, database) as outlook,
        open_runner(output, address=address, in_process=in_process) as runner,
    ):
        runner.check(config.resources)
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
            *(score(means.get((name, row["lead"]))) for name in names),
            "-" if row["seed_sd"] is None else f"{row['seed_sd']:.4f}",
        )
    n_openings = len(value["openings"])
    rows: dict[str, object] = {
        "test split": f"{value['n_test_recordings']:,} recordings; opened "
        f"{'once' if n_openings == 1 else f'{n_openings} times'}",
        "teacher": f"macro AUROC {score(value['teacher']['macro_auroc'])} with all its leads",
    }
    if value["classes_left_out"]:
        names = ", ".join(value["classes_left_out"])
        rows["left out"] = f"{names}: no test recording is with it, or none without it"
    report = shlex.join(["mvkt", "report", folder])
    rows["next"] = f"{report}: intervals, the best set, and what the teacher bought"
    title = f"Study {value['study']}: macro AUROC on the test split, means over seeds"
    return [heading(title), table, facts(rows)]
