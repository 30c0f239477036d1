"""Studies beside each other in a terminal: scores by lead, differences by lead and by class."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.display.console import TERMINAL, facts, grid, heading, score
from mvkt_ray.display.report_summary import CLASSES_SHOWN
from mvkt_ray.phrasing import percent

Values = Mapping[str, Any]


def comparison_tables(value: Values) -> list[RenderableType]:
    """Show what `compare_studies` found."""
    level, reference = percent(value["level"]), value["reference"]
    shown: list[RenderableType] = [_studies(value), _scores(value)]
    if value["differences"]:
        shown += [heading(f"Macro AUROC less that of {reference}, paired"), _by_lead(value)]
    if value["class_differences"] and len(value["classes"]) <= CLASSES_SHOWN:
        shown += [heading(f"AUROC by class less that of {reference}, paired"), _by_class(value)]
    notes = {f"{each['study']}": f"unpaired: {each['because']}" for each in value["unpaired"]}
    for study, lead in value["without_common_seed"]:
        notes[f"{study}, {lead}"] = "not compared: no training with a seed of the others"
    if value["differences"]:
        notes["bold"] = (
            f"claimed: the interval, at {level} for all of its kind together (Holm), leaves out 0"
        )
    if value["differences"] or any(each["openings"] for each in value["studies"]):
        notes["test split"] = (
            "what is chosen by these numbers is chosen on the test split; the scores of the study "
            "that is chosen are then too high"
        )
    return [*shown, facts(notes)] if notes else shown


def _studies(value: Values) -> RenderableType:
    columns = ["study", "trials", "finals", "test recordings", "teacher", "folder"]
    table = grid(columns, right=columns[1:5])
    for study in value["studies"]:
        table.add_row(
            Text(study["study"], "bold"),
            str(study["n_trials"]),
            "-" if study["finals"] is None else str(study["finals"]),
            "-" if study["n_test_recordings"] is None else f"{study['n_test_recordings']:,}",
            score(study["teacher"]),
            study["folder"],
        )
    return table


def _scores(value: Values) -> RenderableType:
    """One row per lead, one column per study; scores on validation say so."""
    labels = [study["study"] for study in value["studies"]]
    cells = {
        (study["study"], lead["lead"]): _cell(lead)
        for study in value["studies"]
        for lead in study["leads"]
    }
    table = grid(["lead", *labels], right=labels)
    for lead in dict.fromkeys(lead for _, lead in cells):
        table.add_row(Text(lead, "bold"), *(cells.get((label, lead), "-") for label in labels))
    return table


def _cell(lead: Values) -> str:
    text = score(lead["macro_auroc"])
    if lead["split"] == "validation":
        return f"{text} on validation"
    return text if lead["ci"] is None else f"{text} ({TERMINAL.interval(lead['ci'])})"


def _by_lead(value: Values) -> RenderableType:
    columns = ["study", "lead", "difference", "corrected interval", "p, corrected"]
    table = grid(columns, right=columns[2:])
    for each in value["mean_differences"]:
        table.add_row(each["study"], f"mean of {each['n_leads']}", *_difference(each))
    for each in value["differences"]:
        table.add_row(each["study"], each["lead"], *_difference(each))
    return table


def _difference(each: Values) -> tuple[RenderableType, ...]:
    return _signed(each), TERMINAL.signed_interval(each["ci_corrected"]), f"{each['p_holm']:.3f}"


def _by_class(value: Values) -> RenderableType:
    names: Sequence[str] = value["classes"]
    table = grid(["study", "lead", *names], right=names)
    found = {(d["study"], d["lead"], d["class"]): d for d in value["class_differences"]}
    for study, lead in dict.fromkeys((study, lead) for study, lead, _ in found):
        of_classes = [found.get((study, lead, name)) for name in names]
        table.add_row(study, lead, *("-" if d is None else _signed(d) for d in of_classes))
    return table


def _signed(each: Values) -> Text:
    return Text(TERMINAL.signed(each["difference"]), "bold" if each["claimed"] else "")
