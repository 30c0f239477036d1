"""What stands at figures and tables of the page, where it depends on what the study has.

Reads: the report's values.
"""

from collections.abc import Sequence
from dataclasses import asdict

from mvkt_ray.delivery.facts.class_means import left_out_of
from mvkt_ray.delivery.facts.comparisons import compared_with
from mvkt_ray.delivery.report.reported_leads import ReportedLead, ReportedTeacher
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.sentences.classes_counted import left_out_sentence, over_classes
from mvkt_ray.delivery.wording import student_name
from mvkt_ray.phrasing import listing, percent


def ranked_leads_caption(report: StudyReport) -> str:
    """Say what the figure of the ranked leads shows."""
    first = "Macro AUROC of the leads, the best first."
    if report.finals is None:
        return f"{first} No lead can be called best before the finals."
    ranked = report.ranked
    parts = [first]
    if len(ranked) > 1 and len(report.best_set) == len(ranked):
        parts.append("All are in the best set: filled dots on a band.")
    elif len(ranked) > 1:
        parts.append(
            "Filled dots on a band are the best set; a hollow one is out of it, so that it is not "
            f"the best ({_level(report)}, all leads together)."
        )
    over = "patients and seeds" if _knows_seeds(report) else "patients"
    parts.append(f"Lines are {_level(report)} intervals over {over}.")
    if report.teacher is not None and report.teacher.test is not None:
        parts.append(f"The dotted line is the teacher, which sees {_n_leads(report.teacher)}.")
    return " ".join(parts)


def how_leads_were_scored(report: StudyReport) -> str:
    """Say of the ranking what was trained, how often, and on which recordings it was scored."""
    answer = report.answer.contender
    if report.finals is None:
        if not any(lead.validation for lead in report.leads):
            return "No trial of the search is complete."
        corrected = [lead for lead in report.leads if _has_corrected(lead)]
        if not corrected:
            return (
                "The best trial of each lead on the validation split; there was no choice among "
                "several to correct a score for."
            )
        return (
            "The best trial of each lead on the validation split. A dot in the figure is the score "
            "corrected for having chosen the best of several trials (bootstrap bias corrected), "
            "where there were several; a cross is the uncorrected score."
        )
    split, seeds = report.test_split, _seeds_of_answer(report)
    chosen = (
        "Each lead's configuration was chosen on validation and trained again with"
        if answer == "chosen"
        else f"Leads are ranked by the {student_name(answer)}, trained with"
    )
    patients = f" of {split.n_patients:,} patients" if split.n_patients else ""
    means = "" if seeds == "1 seed" else "means over the seeds "
    return (
        f"{chosen} {seeds}; scores are {means}on {split.n_recordings:,} test recordings{patients}."
    )


def best_set_note(report: StudyReport) -> str:
    """Say what the best set is, at its tile."""
    n_ranked = len(report.ranked)
    if report.finals is None:
        return "known after `mvkt finalize`"
    if not report.best_set:
        return "no lead could be ranked"
    if n_ranked == 1:
        return "the only lead that was examined"
    if len(report.best_set) == 1:
        return f"better than every other lead, at {_level(report)} for all comparisons together"
    return f"cannot be told apart at {_level(report)}"


def teacher_title(report: StudyReport) -> str:
    """Name the teacher at its tile: the ceiling, unless a student is above it."""
    split = report.answer.ranked_on
    teacher = None if report.teacher is None else report.teacher.on(split)
    scores = [found.macro_auroc for lead in report.leads if (found := lead.on(split)) is not None]
    if teacher is None or any((score or 0.0) > (teacher.macro_auroc or 0.0) for score in scores):
        return "Teacher"
    return "Teacher, the ceiling"


def pairs_note(report: StudyReport) -> str:
    """Say why a lead that is out of the best set may not be told from each lead in it."""
    return (
        "Another question than that of the best set: of any two leads, which one has the higher "
        f"score? Each answer is corrected for all {report.statistics.n_lead_pairs} pairs "
        "(Holm). The best set asks which leads may be the best, all together, and is the sharper "
        "answer to that: a lead can be out of it while a pair of leads is not told apart here."
    )


def gains_caption(report: StudyReport) -> str:
    """Say what the figure of the gains shows."""
    baselines, _ = compared_with(report.leads)
    answer = student_name(report.answer.contender)
    text = (
        f"{answer[0].upper()}{answer[1:]} minus baseline, paired by patient and seed. Thick lines "
        f"are {_level(report)} intervals, thin lines are corrected for the other comparisons of "
        "their kind (gains of leads, or means over leads); filled dots are gains that are claimed."
    )
    return (
        text
        if len(baselines) <= DRAWN_GAINS
        else f"{text} The first {DRAWN_GAINS} baselines are drawn."
    )


DRAWN_GAINS = 3
"""Baselines that the figure of the gains has room for; the tables have all."""


def classes_of_means(report: StudyReport) -> str:
    """Say over which classes macro means are, on the split that leads are ranked on."""
    split = report.answer.ranked_on
    left_out = left_out_of(report, split)
    said = [f"Macro means are over {over_classes(len(report.classes), left_out)}."]
    said.append(left_out_sentence(report, split))
    if split == "test" and left_out_of(report, "validation") != left_out:
        said.append(left_out_sentence(report, "validation"))
        said.append("So means on validation and on test are not over the same classes.")
    said += _other_means(report)
    return " ".join(filter(None, said))


def learning_curves_caption(report: StudyReport) -> str:
    """Say after which epochs the learning curves have points."""
    summary = report.study_summary
    parts = [
        f"Validation macro AUROC {epochs_of_curves(summary.validated_epochs)}; the lowest "
        "twentieth of the values may be below the axis."
    ]
    if summary.pruner != "none":
        parts.append(
            "Trials were only compared with trials of their own lead when it was decided which to "
            "cut."
        )
    return " ".join(parts)


def looked_for(report: StudyReport) -> str:
    """Say what the search optimised, and within which sizes; empty where it was the score alone."""
    summary = report.study_summary
    costs = [OBJECTIVES[name] for name in summary.objectives if name in OBJECTIVES]
    limits = asdict(summary.limits).items()
    most = [f"{value:,.0f} {OBJECTIVES[name]}" for name, value in limits if value]
    parts = [f"It looked for high scores at few {listing(costs)}"] if costs else []
    if most:
        students = f"students of at most {listing(most)}"
        parts = [f"{parts[0]}, among {students}" if parts else f"It was among {students}"]
    return f"{parts[0]}." if parts else ""


OBJECTIVES = {
    "parameters": "parameters",
    "macs": "multiply-accumulates",
    "latency_ms": "milliseconds",
}
"""What objectives beside the score are counted in; less of them is better."""


def epochs_of_curves(validated_epochs: Sequence[int] | None) -> str:
    """Say after which epochs trials were validated.

    Args:
        validated_epochs: As in the report; None: after every one.
    """
    if not validated_epochs:
        return "after every epoch"
    if len(validated_epochs) == 1:
        return f"after epoch {validated_epochs[0]}, the only one after which trials were validated"
    epochs = listing([str(epoch) for epoch in validated_epochs])
    return f"after epochs {epochs}: trials were validated only after these, lines join them"


def curves_note(report: StudyReport, drawn: Sequence[str]) -> str:
    """Say why the curves are of these leads."""
    if not drawn:
        return ""
    if report.finals is None:
        return (
            f"{drawn[0]} has the highest score on validation so far; which lead is best is known "
            "after `mvkt finalize`."
        )
    n_best = len(report.best_set)
    if n_best > len(drawn):
        return f"Of the {n_best} leads in the best set those with the highest scores are drawn."
    return "The best set is drawn."


def _other_means(report: StudyReport) -> list[str]:
    """Say where a mean F1 or precision is over other classes than the mean AUROC."""
    test = next((lead.test for lead in report.leads if lead.test is not None), None)
    if test is None:
        return []
    said: list[str] = []
    if not test.f1_reason and set(test.f1_left_out) != set(test.left_out):
        said.append(f"The mean F1 leaves out {listing(test.f1_left_out) or 'none'}.")
    if set(test.average_precision_left_out) != set(test.left_out):
        names = listing(test.average_precision_left_out) or "none"
        said.append(f"The mean average precision leaves out {names}.")
    return said


def _seeds_of_answer(report: StudyReport) -> str:
    counts = sorted({len(lead.seeds) for lead in report.leads if lead.test is not None})
    if not counts:
        return "no seed to its end"
    if len(counts) > 1:
        return f"{counts[0]} to {counts[-1]} seeds"
    return f"{counts[0]} seed{'' if counts[0] == 1 else 's'}"


def _knows_seeds(report: StudyReport) -> bool:
    return any(lead.test is not None and lead.test.n_seeds > 1 for lead in report.leads)


def _has_corrected(lead: ReportedLead) -> bool:
    return lead.validation is not None and lead.validation.corrected is not None


def _n_leads(teacher: ReportedTeacher) -> str:
    n_leads = len(teacher.leads)
    return f"lead {teacher.leads[0]}" if n_leads == 1 else f"{n_leads} leads"


def _level(report: StudyReport) -> str:
    return percent(report.statistics.level)
