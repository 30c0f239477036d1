"""`mvkt report`: which lead is best, as far as the validation split can tell."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.cli.console import Output, duration, facts, grid, heading, score
from mvkt_ray.cli.options import Json, Quiet

if TYPE_CHECKING:
    from mvkt_ray.search.study_folder import StudyFolder

CLASSES_SHOWN = 9
"""More columns than these do not fit a terminal; report.json has all."""

ON_VALIDATION = (
    "Ranked on the validation split, on which the trials were also chosen: these numbers are "
    "optimistic. The test split has not been opened."
)


def report_verb(
    study_dir: Annotated[Path, typer.Argument(metavar="STUDY_DIR", help="Folder of a study.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank the leads of a study on the validation split and write report.json into its folder.

    The test split stays closed. Works while the search still runs.
    """
    from mvkt_ray.location import Location
    from mvkt_ray.search.study_folder import StudyFolder

    output = Output.open(as_json=as_json, quiet=quiet)
    answer_with_report(output, StudyFolder(Location.parse(study_dir)))


def answer_with_report(output: Output, folder: "StudyFolder") -> dict[str, Any]:
    """Write the report of a study and show it."""
    from mvkt_ray.delivery.report import write_report

    report = write_report(folder)
    output.answer(report, report_tables(report, str(folder.report)))
    return report


def report_tables(report: dict[str, Any], path: str) -> list[RenderableType]:
    """Draw a report: the ranking, the classes of the best leads, and what it cost."""
    teacher, cost = report["teacher"]["validation"], report["cost"]
    shown: list[RenderableType] = [
        heading(f"Study {report['study']}, task {report['task']}"),
        Text(ON_VALIDATION, style="yellow"),
        _ranking(report),
    ]
    shown.extend(_per_class(report))
    trials = cost["trials"]
    ended = ", ".join(f"{n} {state}" for state, n in trials.items() if n)
    rows: dict[str, object] = {
        "teacher": f"macro AUROC {score(teacher['macro_auroc'])} with all its leads",
        "trials": ended or "none has ended",
        "cost": f"{duration(cost['trial_wall_s'])} of training, "
        f"{duration(cost['trial_cpu_s'])} of CPU time",
        "report": path,
    }
    if cost["stage_s"]:
        rows["stages"] = ", ".join(f"{name} {duration(s)}" for name, s in cost["stage_s"].items())
    shown.append(facts(rows))
    return shown


def _ranking(report: dict[str, Any]) -> RenderableType:
    columns = ["", "lead", "macro AUROC", "alone", "plain KD", "gain", "trial"]
    table = grid(columns, right=["", "macro AUROC", "alone", "plain KD", "gain", "trial"])
    for rank, row in enumerate(report["leads"], start=1):
        own, alone = row["validation"], row["student_alone"]
        gain = "-"
        if own is not None and alone is not None:
            gain = f"{own['macro_auroc'] - alone['macro_auroc']:+.3f}"
        table.add_row(
            str(rank),
            Text(row["lead"], "bold"),
            Text(_macro(own), "bold green" if rank == 1 else ""),
            _macro(alone),
            _macro(row["plain_kd"]),
            gain,
            "-" if row["trial"] is None else f"#{row['trial']}",
        )
    return table


def _per_class(report: dict[str, Any]) -> list[RenderableType]:
    names = list(report["teacher"]["validation"]["per_class"])
    if len(names) > CLASSES_SHOWN:
        return []
    table = grid(["lead", *names], right=names)
    for row in report["leads"]:
        if row["validation"] is not None:
            values = row["validation"]["per_class"]
            table.add_row(Text(row["lead"], "bold"), *(score(values.get(n)) for n in names))
    teacher = report["teacher"]["validation"]["per_class"]
    table.add_row(Text("teacher", "dim"), *(score(teacher.get(n)) for n in names))
    return [heading("AUROC by class"), table]


def _macro(part: dict[str, Any] | None) -> str:
    return score(None if part is None else part["macro_auroc"])
