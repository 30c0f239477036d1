"""Captions of the page's figures and tables that depend on the study's state.

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
from mvkt_ray.phrasing import counted, listing

DRAWN_GAINS = 3
"""Most baselines in the figure of the gains; the tables have all."""

OBJECTIVES = {
    "parameters": "parameters",
    "macs": "multiply-accumulates",
    "latency_ms": "milliseconds",
}
"""Units of the objectives other than the score; less is better."""


def ranked_leads_caption(report: StudyReport) -> str:
    """Return the caption of the figure of the ranked leads."""
    first = "Macro AUROC of the leads, the best first."
    if report.finals is None:
        return f"{first} No lead can be called best before the finals."
    ranked, level = report.ranked, report.statistics.level_text
    parts = [first]
    if len(ranked) > 1 and len(report.best_set) == len(ranked):
        parts.append("All are in the best set: filled dots on a band.")
    elif len(ranked) > 1:
        parts.append(
            "Filled dots on a band are the best set; a hollow one is out of it, so that it is not "
            f"the best ({level}, all leads together)."
        )
    over = "patients and seeds" if _has_several_seeds(report) else "patients"
    parts.append(f"Lines are {level} intervals over {over}.")
    if report.teacher is not None and report.teacher.test is not None:
        parts.append(f"The dotted line is the teacher, which sees {_n_leads(report.teacher)}.")
    return " ".join(parts)


def how_leads_were_scored(report: StudyReport) -> str:
    """Return how the ranked students were trained, and on how many recordings scored."""
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
    """Return the note at the tile of the best set."""
    n_ranked = len(report.ranked)
    if report.finals is None:
        return "known after `mvkt finalize`"
    if not report.best_set:
        return "no lead could be ranked"
    if n_ranked == 1:
        return "the only lead that was examined"
    if len(report.best_set) == 1:
        level = report.statistics.level_text
        return f"better than every other lead, at {level} for all comparisons together"
    return f"cannot be told apart at {report.statistics.level_text}"


def teacher_title(report: StudyReport) -> str:
    """Return the title of the teacher's tile: the ceiling, unless a student scores higher."""
    split = report.answer.ranked_on
    teacher = None if report.teacher is None else report.teacher.on(split)
    scores = [found.macro_auroc for lead in report.leads if (found := lead.on(split)) is not None]
    if teacher is None or any((score or 0.0) > (teacher.macro_auroc or 0.0) for score in scores):
        return "Teacher"
    return "Teacher, the ceiling"


def pairs_note(report: StudyReport) -> str:
    """Return why a lead outside the best set may not differ from each lead inside it."""
    return (
        "Another question than that of the best set: of any two leads, which one has the higher "
        f"score? Each answer is corrected for all {report.statistics.n_lead_pairs} pairs "
        "(Holm). The best set asks which leads may be the best, all together, and is the sharper "
        "answer to that: a lead can be out of it while a pair of leads is not told apart here."
    )


def gains_caption(report: StudyReport) -> str:
    """Return the caption of the figure of the gains."""
    baselines, _ = compared_with(report.leads)
    answer = student_name(report.answer.contender)
    text = (
        f"{answer[0].upper()}{answer[1:]} minus baseline, paired by patient and seed. Thick lines "
        f"are {report.statistics.level_text} intervals, thin lines are corrected for the other "
        "comparisons of their kind (gains of leads, or means over leads); filled dots are gains "
        "that are claimed."
    )
    if len(baselines) <= DRAWN_GAINS:
        return text
    return f"{text} The first {DRAWN_GAINS} baselines are drawn."


def classes_of_means(report: StudyReport) -> str:
    """Return the classes of the macro means on the split of the ranking."""
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
    """Return the caption of the learning curves, with the validated epochs."""
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
    """Return the objectives and size limits of the search; empty for the score alone."""
    summary = report.study_summary
    costs = [OBJECTIVES[name] for name in summary.objectives if name in OBJECTIVES]
    limits = asdict(summary.limits).items()
    most = [f"{value:,.0f} {OBJECTIVES[name]}" for name, value in limits if value]
    parts = [f"It looked for high scores at few {listing(costs)}"] if costs else []
    if most:
        students = f"students of at most {listing(most)}"
        parts = [f"{parts[0]}, among {students}" if parts else f"It was among {students}"]
    return f"{parts[0]}." if parts else ""


def epochs_of_curves(validated_epochs: Sequence[int] | None) -> str:
    """Return the epochs with a validation score as part of a sentence.

    Args:
        validated_epochs: Epoch numbers as in the report; None for every epoch.
    """
    if not validated_epochs:
        return "after every epoch"
    if len(validated_epochs) == 1:
        return f"after epoch {validated_epochs[0]}, the only one after which trials were validated"
    epochs = listing([str(epoch) for epoch in validated_epochs])
    return f"after epochs {epochs}: trials were validated only after these, lines join them"


def curves_note(report: StudyReport, drawn: Sequence[str]) -> str:
    """Return why ROC curves are drawn for the leads `drawn`; empty for none."""
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
    """Return the classes excluded from mean F1 and precision, if unlike those of the AUROC."""
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
    return counted(counts[0], "seed")


def _has_several_seeds(report: StudyReport) -> bool:
    return any(lead.test is not None and lead.test.n_seeds > 1 for lead in report.leads)


def _has_corrected(lead: ReportedLead) -> bool:
    return lead.validation is not None and lead.validation.corrected is not None


def _n_leads(teacher: ReportedTeacher) -> str:
    n_leads = len(teacher.leads)
    return f"lead {teacher.leads[0]}" if n_leads == 1 else f"{n_leads} leads"
