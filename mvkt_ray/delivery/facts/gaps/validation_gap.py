"""The difference between a lead's test score and the validation score of the chosen trial.

Reads: the report's leads after finals.
"""

from collections.abc import Sequence

from mvkt_ray.delivery.report.reported_leads import ReportedLead
from mvkt_ray.delivery.report.reported_scores import ValidationGap


def describe_gap(leads: Sequence[ReportedLead], highest: str | None) -> ValidationGap | None:
    """Return the report's `validation_gap`; None if the lead lacks one of the scores.

    Args:
        leads: Leads of the report after finals.
        highest: Name of the lead with the highest test score.
    """
    gaps = {
        lead.lead: lead.test.macro_auroc - lead.validation.macro_auroc
        for lead in leads
        if lead.test is not None
        and lead.validation is not None
        and lead.validation.macro_auroc is not None
    }
    lead = next((each for each in leads if each.lead == highest), None)
    if highest not in gaps or lead is None or lead.test is None or lead.validation is None:
        return None
    validation, test = lead.validation, lead.test
    assert validation.macro_auroc is not None
    return ValidationGap(
        lead=lead.lead,
        validation=validation.macro_auroc,
        corrected=validation.corrected,
        corrected_ci=validation.corrected_ci,
        n_candidates=validation.n_candidates,
        test=test.macro_auroc,
        test_ci=test.ci,
        difference=gaps[lead.lead],
        mean_difference=sum(gaps.values()) / len(gaps),
        n_leads=len(gaps),
        same_classes=validation.left_out == test.left_out,
    )
