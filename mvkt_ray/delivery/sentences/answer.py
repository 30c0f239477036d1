"""The answer in a few sentences for a physician: the conclusions that the data support.

Before finals: the best validation score, a warning that it is optimistic, and no claim. After them:
the leads that may be best, the difference of test and validation score, and the teacher's gain.
"""

from collections.abc import Sequence

from mvkt_ray.delivery.facts.class_means import left_out_of
from mvkt_ray.delivery.report.quantities import Split
from mvkt_ray.delivery.report.reported_differences import Gain
from mvkt_ray.delivery.report.reported_leads import ReportedLead, ReportedTeacher
from mvkt_ray.delivery.report.reported_scores import Selection
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.sentences.classes_counted import LISTED as CLASSES_LISTED
from mvkt_ray.delivery.sentences.classes_counted import left_out_sentence, over_classes
from mvkt_ray.delivery.sentences.from_validation_to_test import gap_sentence
from mvkt_ray.delivery.sentences.gap_in_words import teacher_gap_sentences
from mvkt_ray.delivery.sentences.small_students import small_student_sentences
from mvkt_ray.delivery.sentences.study_progress import (
    finals_advice,
    finals_begun,
    n_openings_until_finals,
    unranked_finals,
    unranked_leads,
    unranked_search,
)
from mvkt_ray.phrasing import SENTENCE, listing
from mvkt_ray.search.finals.finals_plan import CHOSEN

GROUPS = {
    "superdiagnostic": "diagnostic groups",
    "subdiagnostic": "diagnostic subgroups",
    "diagnostic": "diagnoses",
    "form": "findings of form",
    "rhythm": "rhythms",
    "icbeb9": "rhythm and conduction classes",
    "cinc26": "diagnoses of the Challenge",
}
"""Plural noun for the classes of a task; by default `classes`."""

IN_WORDS = {
    "student_alone": "The teacher's help",
    "plain_kd": "This way of distilling, compared with plain distillation,",
}
"""Subject of a sentence on a gain over a contender, for an answer taught by the teacher."""

_TAUGHT = (CHOSEN, "plain_kd", "mkd_only", "clt_only")
"""Names of contenders that learned from the teacher."""

LISTED = 6
"""Most leads that a sentence lists; more are counted."""
SYNTHETIC = (
    "These recordings are made up by a program: this is a demonstration, and says nothing about "
    "ECGs."
)


def sentences_before_finals(report: StudyReport) -> list[str]:
    """Return the answer of the search on validation, which claims nothing."""
    summary, leads = report.study_summary, report.leads
    is_running = summary.state == "running"
    so_far = f"{summary.n_ended} of {summary.n_trials} trials have ended"
    best = next((lead for lead in leads if lead.validation is not None), None)
    if best is None or best.validation is None:
        return [unranked_search(summary), *finals_begun(report), *_warnings(report)]
    found = [
        f"{f'So far ({so_far})' if is_running else 'In the search'} the highest mean AUROC over "
        f"{_classes(report, 'validation')} is {SENTENCE.score(best.validation.macro_auroc)}, "
        f"of a model that sees {_lead(best)} alone.",
        *_left_out(report, "validation"),
        *unranked_leads(leads),
        "It was measured on the validation recordings, on which it was also chosen: the number is "
        f"optimistic{_corrected(report.selection)}, and nothing is claimed of which lead is "
        "best or of what the teacher's help is worth.",
        *small_student_sentences(report),
        *(finals_begun(report) or [finals_advice(leads)]),
    ]
    return found + _warnings(report)


def sentences_after_finals(report: StudyReport) -> list[str]:
    """Return the answer of the finals on the test split."""
    ranked = report.ranked
    if not ranked:
        return [
            unranked_finals(report),
            *finals_begun(report),
            *_warnings(report),
        ]
    first, gap = ranked[0], report.validation_gap
    return [
        _first_sentence(report, first),
        *_left_out(report, "test"),
        _best_set_sentence(report, ranked),
        *([] if gap is None else [gap_sentence(gap)]),
        *_gain_sentences(report, first),
        *teacher_gap_sentences(report, first.lead),
        *small_student_sentences(report),
        *finals_begun(report),
        *_warnings(report),
    ]


def _left_out(report: StudyReport, split: Split) -> list[str]:
    said = left_out_sentence(report, split, CLASSES_LISTED)
    return [said] if said else []


def _first_sentence(report: StudyReport, first: ReportedLead) -> str:
    test, split, teacher = first.test, report.test_split, report.teacher
    assert test is not None
    ceiling = ""
    if teacher is not None and teacher.test is not None:
        sees, has = _seen_by(teacher, first), SENTENCE.score(teacher.test.macro_auroc)
        ceiling = f"; the teacher, which sees {sees}, has {has}"
    kept = (
        "kept apart until the end" if n_openings_until_finals(report) <= 1 else "of the test split"
    )
    return (
        f"On {split.n_recordings} recordings of {split.n_patients} patients {kept}, a model "
        f"that sees {_lead(first)} alone detects {_classes(report, 'test')} with a mean AUROC of "
        f"{SENTENCE.score(test.macro_auroc)} ({report.statistics.level_text} interval "
        f"{SENTENCE.interval(test.ci)}{ceiling})."
    )


def _best_set_sentence(report: StudyReport, ranked: Sequence[ReportedLead]) -> str:
    first, names = ranked[0].lead, list(report.best_set)
    level = report.statistics.level_text
    if len(ranked) == 1:
        return f"{first} is the only lead that was examined, so nothing is said of others."
    if names == [first]:
        return (
            f"With {level} confidence {first} is the best of the {len(ranked)} leads that "
            "were compared."
        )
    others = [name for name in names if name != first]
    if len(names) == len(ranked):
        return (
            f"None of the {len(ranked)} leads that were compared can be told from the best, so no "
            "single lead is named best."
        )
    return (
        f"{_listed(others)} cannot be told apart from it ({level} confidence), so no "
        "single lead is named best."
    )


def _gain_sentences(report: StudyReport, first: ReportedLead) -> list[str]:
    said: list[str] = []
    gain, mean = first.gain, report.mean_gain
    if gain is not None:
        what = _subject(report, gain)
        said.append(
            f"{what} is worth {_difference(report, gain)} for {first.lead}: {_verdict(gain)}."
        )
    if mean is not None and mean.n_leads > 1:
        what = "it" if said and gain is not None and gain.over == mean.over else None
        subject = what or _subject(report, mean)
        said.append(
            f"{subject[0].upper()}{subject[1:]} is worth {_difference(report, mean)} on average "
            f"over {mean.n_leads} leads: {_verdict(mean)}."
        )
    return said


def _warnings(report: StudyReport) -> list[str]:
    said: list[str] = []
    opened = n_openings_until_finals(report)
    if report.finals is not None and opened > 1:
        said.append(
            f"The test recordings were looked at {opened} times, so they were not kept apart for "
            "the last of it: its numbers may be optimistic."
        )
    if report.answer.is_synthetic:
        said.append(SYNTHETIC)
    return said


def _verdict(gain: Gain) -> str:
    if not gain.claimed:
        return "not shown"
    return "shown" if gain.difference > 0 else "shown to be a loss"


def _difference(report: StudyReport, gain: Gain) -> str:
    corrected = gain.ci_corrected
    difference = SENTENCE.signed(gain.difference)
    if corrected is None:
        return difference
    interval = SENTENCE.signed_interval(corrected)
    return f"{difference} (corrected {report.statistics.level_text} interval {interval})"


def _subject(report: StudyReport, gain: Gain) -> str:
    """Return the subject of a sentence on a gain: the teacher's help only for a taught answer."""
    answer = report.answer.contender
    if answer in _TAUGHT and gain.over in IN_WORDS:
        return IN_WORDS[gain.over]
    named = "" if answer == CHOSEN else f" {answer!r}"
    return f"The answer{named}, compared with {gain.over!r},"


def _seen_by(teacher: ReportedTeacher, lead: ReportedLead) -> str:
    names = teacher.leads
    if list(names) == list(lead.leads):
        return "the same lead" if len(names) == 1 else "the same leads"
    return f"lead {names[0]}" if len(names) == 1 else f"{len(names)} leads"


def _classes(report: StudyReport, split: Split) -> str:
    called = GROUPS.get(report.task, "classes")
    return over_classes(len(report.classes), left_out_of(report, split), called)


def _lead(lead: ReportedLead) -> str:
    names = lead.leads
    return f"lead{'s' if len(names) > 1 else ''} {listing(names)}"


def _listed(names: Sequence[str]) -> str:
    return listing(names) if len(names) <= LISTED else f"{len(names)} other leads"


def _corrected(selection: Selection | None) -> str:
    if selection is None or selection.corrected is None or selection.n_candidates < 2:
        return ""
    return (
        f" (corrected for the choice among {selection.n_candidates} trials: "
        f"{SENTENCE.score(selection.corrected)})"
    )
