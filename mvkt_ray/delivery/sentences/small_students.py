"""Sentences on the smallest sufficient student: its size, and its loss of score.

The student is chosen on validation, so that its test score is not the result of a choice.
"""

from mvkt_ray.config.objectives import Objective
from mvkt_ray.delivery.report.reported_search import LeadFront, SizedTrial, Sizes
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.phrasing import SENTENCE
from mvkt_ray.search.finals.finals_plan import CHOSEN


def least(sizes: Sizes) -> str:
    """Return the adjective of the student with the least cost: smallest, cheapest or fastest."""
    return {"macs": "cheapest", "latency_ms": "fastest"}.get(sizes.by, "smallest")


def small_student_sentences(report: StudyReport) -> list[str]:
    """Return sentences on the smallest nearly as good student of the lead with the highest score.

    Args:
        report: Report with `sizes`, `answer` and `leads`.

    Returns:
        Empty if all students have one size, or if that lead has none with a size.
    """
    sizes = report.sizes
    if sizes is None:
        return []
    highest = report.answer.highest
    entry = next((each for each in sizes.leads if each.lead == highest), None)
    if entry is None or highest is None:
        return []
    best, small = entry.point(entry.best), entry.point(entry.nearly_as_good)
    lead = f"lead{'s' if '+' in highest else ''} {highest}"
    size, margin = _size(small, sizes.window_s), f"within {sizes.margin:g}"
    if small is best:
        return [
            f"Of the students of {lead} the best on validation is also the {least(sizes)} {margin} "
            f"of it: it has {size}."
        ]
    return [
        f"Of the students of {lead} the {least(sizes)} {margin} of the best on validation has "
        f"{size}: {SENTENCE.score(small.macro_auroc)} against "
        f"{SENTENCE.score(best.macro_auroc)} of the best, which has {best.n_parameters:,} "
        "parameters.",
        *_examined(report, entry, sizes.by),
    ]


def sizes_caption(report: StudyReport) -> str:
    """Return the caption of the figure of the sizes; empty without sizes."""
    sizes = report.sizes
    if sizes is None:
        return ""
    what = "latency" if sizes.by == "latency_ms" else "size"
    parts = [
        f"Every complete trial of the search by the {what} of its student and its score on "
        "validation, which is optimistic; the line is that of the students that no other one beats "
        f"in both. The number above a panel is the {what} of the best, and beside it that of the "
        f"{least(sizes)} within {sizes.margin:g} of it, where that is another. Of 10 trials or "
        "more the lowest tenth may be below the axis."
    ]
    if any(entry.examined for entry in sizes.leads):
        parts.append(
            "Squares are what the finals examined, on the test split, drawn beside their place."
        )
    return " ".join(parts)


def _examined(report: StudyReport, entry: LeadFront, by: Objective) -> list[str]:
    """Return the test scores of both students, if finals examined both."""
    if report.finals is None:
        return []
    tested = {point.trial: point for point in entry.examined}
    best, small = tested.get(entry.best), tested.get(entry.nearly_as_good)
    if small is None or best is None:
        return ["The finals did not examine both, so nothing is said of the test split."]
    scores = f"{SENTENCE.score(small.macro_auroc)} against {SENTENCE.score(best.macro_auroc)}"
    shown = ""
    if report.answer.contender == best.contender == CHOSEN:
        shown = _loss(report, entry.lead, small.contender, by)
    return [f"On the test split they have {scores}{shown}."]


def _loss(report: StudyReport, lead: str, small: str, by: Objective) -> str:
    """Return whether the best student is shown to be better than the small one; may be empty."""
    found = report.lead_named(lead)
    gains = () if found is None else found.gains
    gain = next((each for each in gains if each.over == small), None)
    if gain is None or gain.ci_corrected is None:
        return ""
    level = report.statistics.level_text
    other = {"macs": "costlier", "latency_ms": "slower"}.get(by, "larger")
    return (
        f"; the {other} one is worth {SENTENCE.signed(gain.difference)} (corrected {level} "
        f"interval {SENTENCE.signed_interval(gain.ci_corrected)}): "
        f"{'shown' if gain.claimed else 'not shown'}"
    )


def _size(point: SizedTrial, window_s: float) -> str:
    latency = point.latency_ms
    time = "" if latency is None else f", and takes {latency:.3g} ms for a recording of 10 s"
    return (
        f"{point.n_parameters:,} parameters and {_large(point.n_multiply_accumulates)} "
        f"multiply-accumulates per {window_s:g} s window{time}"
    )


def _large(number: int) -> str:
    return f"{number / 1e6:.3g} million" if number >= 1e6 else f"{number:,}"
