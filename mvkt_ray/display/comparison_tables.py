"""A comparison of studies in a terminal: scores by lead, differences by lead and by class."""

from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.delivery.comparing.comparison import Comparison, LeadScore
from mvkt_ray.delivery.report.reported_differences import Gain
from mvkt_ray.display.console import facts, grid, heading
from mvkt_ray.display.report_summary import CLASSES_SHOWN, gain_text
from mvkt_ray.phrasing import TERMINAL, percent


def comparison_tables(comparison: Comparison) -> list[RenderableType]:
    """Return the tables of a comparison."""
    reference = comparison.reference
    shown: list[RenderableType] = [_studies(comparison), _scores(comparison)]
    if comparison.differences:
        shown += [heading(f"Macro AUROC less that of {reference}, paired"), _by_lead(comparison)]
    if comparison.class_differences and len(comparison.classes) <= CLASSES_SHOWN:
        shown += [heading(f"AUROC by class less that of {reference}, paired")]
        shown += [_by_class(comparison)]
    notes = _notes(comparison)
    return [*shown, facts(notes)] if notes else shown


def _notes(comparison: Comparison) -> dict[str, str]:
    notes = {each.study: f"unpaired: {each.because}" for each in comparison.unpaired}
    for study, lead in comparison.without_common_seed:
        notes[f"{study}, {lead}"] = "not compared: no training with a seed of the others"
    if comparison.differences:
        level = percent(comparison.level)
        notes["bold"] = (
            f"claimed: the interval, at {level} for all of its kind together (Holm), leaves out 0"
        )
    if comparison.differences or any(each.openings for each in comparison.studies):
        notes["test split"] = (
            "choosing a study by these numbers is choosing on the test split: its scores are "
            "then too high"
        )
    return notes


def _studies(comparison: Comparison) -> RenderableType:
    columns = ["study", "trials", "finals", "test recordings", "teacher", "folder"]
    table = grid(columns, right=columns[1:5])
    for study in comparison.studies:
        table.add_row(
            Text(study.study, "bold"),
            str(study.n_trials),
            TERMINAL.count(study.finals),
            TERMINAL.count(study.n_test_recordings),
            TERMINAL.score(study.teacher),
            study.folder,
        )
    return table


def _scores(comparison: Comparison) -> RenderableType:
    """Return one row per lead, one column per study; validation scores are marked."""
    labels = [study.study for study in comparison.studies]
    cells = {
        (study.study, lead.lead): _cell(lead)
        for study in comparison.studies
        for lead in study.leads
    }
    table = grid(["lead", *labels], right=labels)
    for lead in dict.fromkeys(lead for _, lead in cells):
        table.add_row(Text(lead, "bold"), *(cells.get((label, lead), "-") for label in labels))
    return table


def _cell(lead: LeadScore) -> str:
    text = TERMINAL.score(lead.macro_auroc)
    if lead.split == "validation":
        return f"{text} on validation"
    return text if lead.ci is None else f"{text} ({TERMINAL.interval(lead.ci)})"


def _by_lead(comparison: Comparison) -> RenderableType:
    columns = ["study", "lead", "difference", "corrected interval", "p, corrected"]
    table = grid(columns, right=columns[2:])
    for mean in comparison.mean_differences:
        table.add_row(mean.study, f"mean of {mean.n_leads}", *_difference(mean))
    for each in comparison.differences:
        table.add_row(each.study, each.lead, *_difference(each))
    return table


def _difference(gain: Gain) -> tuple[RenderableType, ...]:
    return gain_text(gain), TERMINAL.signed_interval(gain.ci_corrected), TERMINAL.score(gain.p_holm)


def _by_class(comparison: Comparison) -> RenderableType:
    names = comparison.classes
    table = grid(["study", "lead", *names], right=names)
    found = {(each.study, each.lead, each.class_): each for each in comparison.class_differences}
    for study, lead in dict.fromkeys((study, lead) for study, lead, _ in found):
        table.add_row(study, lead, *(gain_text(found.get((study, lead, name))) for name in names))
    return table
