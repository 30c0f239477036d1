"""Sentences on the gap of the students to the teacher: its closed part, and the part that is left.

A few students cannot prove that information is absent from a lead. The part that is left is called
*probably not visible* only if their ensemble is shown to be behind the teacher, and with numbers.

Reads: the report's `teacher_gap`.
"""

from collections.abc import Sequence

from mvkt_ray.delivery.report.reported_differences import GapPart, GapRow, LeadGap
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.wording import student_name
from mvkt_ray.phrasing import SENTENCE, listing

NAMED_CLASSES = 2
"""Most classes, with the largest part left, that a sentence names."""


def is_left(row: GapRow) -> bool:
    """Return whether the ensemble of the lead's students is shown to be behind the teacher."""
    return (
        row.ensemble is not None
        and not row.too_few
        and row.reason is None
        and row.left is not None
        and row.left.ci is not None
        and row.left.ci[0] > 0
    )


def teacher_gap_sentences(report: StudyReport, lead: str) -> list[str]:
    """Return sentences on the closed part of a lead's gap to the teacher, and on the rest.

    Returns:
        Empty if no contender learned from labels alone.
    """
    gap = report.teacher_gap
    found = next((each for each in gap.leads if each.lead == lead), None) if gap else None
    if gap is None or found is None or (macro := found.rows[0]).gap is None:
        return []
    alone = student_name(gap.baseline)
    closed, attainable, left = macro.closed, macro.attainable, macro.left
    if closed is None or closed.fraction is None or macro.reason is not None:
        difference = SENTENCE.signed(macro.gap.difference)
        return [
            f"The teacher is not shown to be ahead of the {alone} of {lead} ({difference}, "
            f"{report.statistics.level_text} interval "
            f"{SENTENCE.signed_interval(macro.gap.ci)}), so there is no gap to speak of."
        ]
    share = f"{SENTENCE.whole_percent(closed.fraction)}{_share_interval(closed)}"
    first = (
        f"Of the gap of {SENTENCE.score(macro.gap.difference)} between the {alone} of {lead} "
        f"and the teacher the {student_name(report.answer.contender)} closes {share}"
    )
    if attainable is None or left is None:
        return [
            f"{first}; with one seed there is no ensemble of students to tell what of the rest the "
            "lead shows."
        ]
    reached = closed.fraction + (attainable.fraction or 0.0)
    closes = SENTENCE.whole_percent(reached)
    ensemble = f"an ensemble of {found.n_students} of them closes {closes}"
    return [f"{first}; {ensemble}.", _left_part_sentence(found, left, report)]


def teacher_gap_caption(report: StudyReport) -> str:
    """Return the caption of figure and tables of the gap; empty without a gap."""
    gap = report.teacher_gap
    if gap is None:
        return ""
    n_students = sorted({lead.n_students for lead in gap.leads})
    answer, alone = student_name(report.answer.contender), student_name(gap.baseline)
    said = [f"From the {alone} to the teacher, by lead and class, in three parts."]
    said.append(f"Closed: the {answer} is that much better than the {alone}.")
    if n_students == [1]:
        said.append(
            "Left: the rest. With one seed there is no ensemble, so nothing tells whether it is "
            "not visible in the lead or only not learned."
        )
    else:
        n = f"{n_students[0]}" if len(n_students) == 1 else f"{n_students[0]} to {n_students[-1]}"
        said.append(
            f"Attainable: the mean of the probabilities of {n} of these students is that much "
            "better than one of them, so that much more is in the lead, and better training could "
            "reach it. Left: what they do not reach together either, and so probably not visible "
            "in this lead. It is no proof: more recordings, another network or a larger ensemble "
            "may find some of it. It is bold where the ensemble is shown to be behind the teacher."
        )
    level = report.statistics.level_text
    said.append(
        f"Intervals are {level} ones of each number alone, not corrected for how many there are; "
        "shares are told only where the gap is shown."
    )
    return " ".join(said)


def teacher_gap_figure_caption(report: StudyReport, n_drawn: int) -> str:
    """Return the caption of the figure of the gap; empty without a gap.

    Args:
        report: Report of a study.
        n_drawn: Most leads in the figure.
    """
    gap = report.teacher_gap
    if gap is None:
        return ""
    said = (
        "From left to right, where each is better than the one before: the "
        f"{student_name(gap.baseline)}, the {student_name(report.answer.contender)}, "
    )
    if any(lead.n_students > 1 for lead in gap.leads):
        said += "their ensemble, "
    said += "the teacher. The dotted part is left. Classes with too few recordings are not drawn."
    return said if len(gap.leads) <= n_drawn else f"{said} The first {n_drawn} leads are drawn."


def _left_part_sentence(found: LeadGap, left: GapPart, report: StudyReport) -> str:
    lead = found.lead
    interval = f"{report.statistics.level_text} interval {SENTENCE.signed_interval(left.ci)}"
    if not is_left(found.rows[0]):
        return (
            f"The ensemble is not shown to be behind the teacher "
            f"({SENTENCE.signed(left.difference)}, {interval}), so nothing says that {lead} hides "
            "anything."
        )
    return (
        f"What the ensemble does not reach either, {SENTENCE.score(left.difference)} ({interval})"
        f"{_classes(found.rows[1:])}, is probably not visible in {lead}."
    )


def _classes(rows: Sequence[GapRow]) -> str:
    """Return the classes with the largest part left, among those for which it is shown."""
    left = [(row.left.difference, row.class_) for row in rows if row.left and is_left(row)]
    if not left:
        return ""
    most = sorted(left, key=lambda each: -each[0])[:NAMED_CLASSES]
    told = [f"{name} ({SENTENCE.score(difference)})" for difference, name in most]
    return f", most in {listing(told)}"


def _share_interval(part: GapPart) -> str:
    if part.fraction_ci is None:
        return ""
    low, high = map(SENTENCE.whole_percent, part.fraction_ci)
    return f" ({low} to {high})"
