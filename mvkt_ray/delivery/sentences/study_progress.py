"""Sentences on the progress of search and finals, and on openings of the test split.

Reads: the report's values.
"""

from collections.abc import Sequence

from mvkt_ray.delivery.report.reported_leads import ReportedLead
from mvkt_ray.delivery.report.reported_search import StudySummary
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.phrasing import listing


def n_openings_until_finals(report: StudyReport) -> int:
    """Return the number of openings of the test split up to the finals of the report."""
    openings = report.test_split.openings
    if report.finals is None:
        return len(openings)
    return sum(each.finals <= report.finals.number for each in openings)


def unranked_search(summary: StudySummary) -> str:
    """Return the progress of a search without a lead to rank."""
    if not summary.n_trials:
        return (
            "The study has no search to rank leads by; `mvkt finalize` examines what its finals "
            "name."
        )
    so_far = f"{summary.n_ended} of {summary.n_trials} trials have ended"
    if summary.state == "running":
        return (
            f"So far {so_far}, and none of the search has been trained to the end: there is "
            "nothing to rank yet."
        )
    ends = ", ".join(f"{n} {state}" for state, n in summary.states.items() if n)
    return (
        f"The search is over: {so_far} ({ends}), and none of the search was trained to the end. "
        "There is nothing to rank."
    )


def finals_begun(report: StudyReport) -> list[str]:
    """Return a sentence on incomplete finals, if any."""
    begun = report.finals_begun
    if begun is None:
        return []
    done = f"{begun.n_ended} of {begun.n_trainings} trainings have ended"
    return [
        f"Finals {begun.number} were begun and are not over ({done}); `mvkt finalize` brings "
        "them to their end."
    ]


def unranked_leads(leads: Sequence[ReportedLead]) -> list[str]:
    """Return a sentence on the leads without a complete trial of the search, if any."""
    names = [lead.lead for lead in leads if lead.validation is None]
    if not names:
        return []
    have, are = ("has", "it is") if len(names) == 1 else ("have", "they are")
    return [f"{listing(names)} {have} no complete trial of the search, so {are} not ranked."]


def finals_advice(leads: Sequence[ReportedLead]) -> str:
    """Return the next step after the search."""
    if all(lead.validation is not None for lead in leads):
        return "`mvkt finalize` examines every lead, once, on recordings that were kept apart."
    return (
        "`mvkt finalize` examines leads, once, on recordings that were kept apart, and needs a "
        "complete trial of each to choose from."
    )


def unranked_finals(report: StudyReport) -> str:
    """Return why finals rank no lead."""
    if report.finals is not None and not report.finals.can_be_scored:
        return (
            f"No class can be scored on the {report.test_split.n_recordings} test "
            "recordings: each is in none of them or in all, so no lead can be ranked."
        )
    return (
        "No training of the finals' answer was completed, so no lead can be ranked; `mvkt "
        "finalize` says which failed."
    )
