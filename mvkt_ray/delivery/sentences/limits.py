"""The limits of a report's conclusions, in sentences made from its values."""

from collections.abc import Callable

from mvkt_ray.delivery.report.reported_scores import TestScores
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.sentences.from_validation_to_test import gap_sentence, mean_gap_sentence
from mvkt_ray.delivery.sentences.limits_of_data import (
    classes_hard_to_judge,
    classes_without_score,
    one_source,
    recorders,
    recordings_left_out,
)
from mvkt_ray.delivery.sentences.study_progress import finals_begun, n_openings_until_finals
from mvkt_ray.phrasing import listing, percent
from mvkt_ray.search.finals.finals_plan import CHOSEN


def describe_limits(report: StudyReport) -> list[str]:
    """Return the report's `limits`, the most severe first.

    Args:
        report: Report that is complete except for its limits.
    """
    return [sentence for limit in _LIMITS for sentence in limit(report)]


def _synthetic(report: StudyReport) -> list[str]:
    if not report.answer.is_synthetic:
        return []
    return [
        "The recordings are made up by a program. What is said here holds for that program, not "
        "for ECGs of people."
    ]


def _not_final(report: StudyReport) -> list[str]:
    if report.finals is not None:
        return []
    said = [
        "All scores are on the validation recordings, on which configurations were also chosen: "
        "they are optimistic, and most so for the highest. Every score is of one training, and "
        "another seed would give another one. Leads, gains and their order are not tested."
    ]
    return said


def _not_over(report: StudyReport) -> list[str]:
    begun = report.finals_begun
    if begun is None:
        return []
    said = finals_begun(report)
    if report.finals is not None:
        said.append(f"What is said here is of finals {report.finals.number}.")
    if begun.is_opened:
        said.append("Their examination on the test split was begun and is not complete.")
    return [" ".join(said)]


def _openings(report: StudyReport) -> list[str]:
    openings = report.test_split.openings[: n_openings_until_finals(report)]
    if report.finals is None or not openings:
        return []
    if len(openings) == 1:
        return ["The test split was opened once, for all that is compared here."]
    reasons = "; ".join(f"{each.number}: {each.reason!r}" for each in openings[1:])
    return [
        f"The test split was opened {len(openings)} times (reasons given: {reasons}). Whoever "
        "chose anything after an earlier opening may have chosen by it."
    ]


def _one_teacher(report: StudyReport) -> list[str]:
    teacher = report.teacher
    if teacher is None:
        return []
    between = (
        f" by way of one assistant for each lead ({teacher.assistant}, trained once)"
        if teacher.assistant
        else ""
    )
    return [
        f"One teacher ({teacher.network}, trained once, seed "
        f"{report.provenance.seeds.teacher}) taught every student that was taught"
        f"{between}. Another one may help more or less."
    ]


def _seeds(report: StudyReport) -> list[str]:
    if report.finals is None:
        return []
    n_seeds = sorted({test.n_seeds for test in _students_tests(report)})
    if not n_seeds:
        return []
    if n_seeds == [1]:
        return ["Every student was trained with one seed, so intervals know nothing of seeds."]
    each = (
        f"{n_seeds[0]} seeds each" if len(n_seeds) == 1 else f"{n_seeds[0]} to {n_seeds[-1]} seeds"
    )
    blind = " Of those with one seed they know no spread." if n_seeds[0] == 1 else ""
    return [
        f"Students were trained with {each}; intervals and comparisons allow for their spread, as "
        f"far as so few tell it.{blind}"
    ]


def _students_tests(report: StudyReport) -> list[TestScores]:
    contenders = [each for lead in report.leads for each in lead.contenders.values()]
    return [each.test for each in contenders if each.test is not None]


def _choice(report: StudyReport) -> list[str]:
    selection = report.selection
    counts = [lead.validation.n_candidates for lead in report.leads if lead.validation is not None]
    if not counts or selection is None:
        return []
    n_trials = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{counts[0]}"
    best = (
        "the only complete trial of it"
        if max(counts) == 1
        else f"the best of {n_trials} complete trials"
    )
    said = [
        f"The configuration of each lead is {best} on "
        f"{selection.n_recordings} validation recordings. More trials, or other recordings, "
        "could have chosen another one, and a lead can be behind because of that."
    ]
    racing = report.racing
    if racing is not None and racing.stopped:
        said.append(
            f"{listing(racing.stopped)} stopped getting trials when clearly behind: "
            f"the best lead is stopped so in at most {percent(racing.error_rate)} of studies."
        )
    return said


def _search_went_on(report: StudyReport) -> list[str]:
    if report.finals is None:
        return []
    changed = [
        lead.lead
        for lead in report.leads
        if (chosen := lead.contenders.get(CHOSEN)) is not None
        and chosen.trial not in (None, lead.search.best_trial)
    ]
    if not changed:
        return []
    return [
        f"The search went on after the finals: for {listing(changed)} it has found a "
        "configuration with a higher validation score, which was not examined."
    ]


def _refit(report: StudyReport) -> list[str]:
    if report.finals is None or not report.finals.refit:
        return []
    return [
        "Finals were trained on the training and the validation split together: there are no "
        "recordings left to choose thresholds on, so there is no F1 of the students."
    ]


def _failed_finals(report: StudyReport) -> list[str]:
    finals = report.finals
    if finals is None:
        return []
    said: list[str] = []
    missing = finals.n_trainings - finals.n_complete
    if missing:
        said.append(
            f"{missing} of {finals.n_trainings} trainings of the finals diverged or failed; "
            "comparisons are over the seeds that both sides have."
        )
    unranked = [lead.lead for lead in report.leads if lead.in_best_set is None]
    if unranked and finals.can_be_scored:
        said.append(
            f"{listing(unranked)} could not be ranked: too few of the trainings of the "
            "answer were completed."
        )
    return said


def _gap(report: StudyReport) -> list[str]:
    gap = report.validation_gap
    if gap is None:
        return []
    return [" ".join(filter(None, (gap_sentence(gap), mean_gap_sentence(gap))))]


_LIMITS: tuple[Callable[[StudyReport], list[str]], ...] = (
    _synthetic,
    _not_final,
    _not_over,
    _openings,
    _gap,
    one_source,
    recorders,
    _one_teacher,
    _seeds,
    _choice,
    _search_went_on,
    _refit,
    _failed_finals,
    classes_without_score,
    classes_hard_to_judge,
    recordings_left_out,
)
