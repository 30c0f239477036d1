"""Sentences on the difference of test and validation scores, and its possible causes.

Reads: the report's `validation_gap`.
"""

from mvkt_ray.delivery.report.reported_scores import ValidationGap
from mvkt_ray.phrasing import SENTENCE

_EQUAL = 0.0005
"""Absolute difference below which two scores are the same with three decimals."""


def gap_sentence(gap: ValidationGap) -> str:
    """Return the difference of the lead with the highest test score, and its possible causes."""
    corrected = ""
    if gap.corrected is not None:
        corrected = (
            f" ({SENTENCE.score(gap.corrected)} once corrected for the choice among "
            f"{gap.n_candidates} trials)"
        )
    begin = (
        f"On validation this configuration of {gap.lead} had "
        f"{SENTENCE.score(gap.validation)}{corrected}; the test score is"
    )
    return f"{begin} {_compared(gap.difference)}: {_meaning(gap)}."


def mean_gap_sentence(gap: ValidationGap) -> str:
    """Return the mean difference over all leads; empty for one lead."""
    if gap.n_leads < 2:
        return ""
    begin = f"On average over {gap.n_leads} leads"
    if abs(gap.mean_difference) < _EQUAL:
        return f"{begin} both scores are the same."
    return (
        f"{begin} the test score is {_compared(gap.mean_difference)} than the validation score of "
        "the trial that was chosen."
    )


def _compared(difference: float) -> str:
    if abs(difference) < _EQUAL:
        return "the same"
    return f"{SENTENCE.score(abs(difference))} {'lower' if difference < 0 else 'higher'}"


def _meaning(gap: ValidationGap) -> str:
    cause = _cause(gap)
    if gap.same_classes:
        return cause
    return f"{cause}; also, the two means are not over the same classes"


def _cause(gap: ValidationGap) -> str:
    if abs(gap.difference) < _EQUAL:
        return "what was seen on validation holds on the test recordings"
    if gap.difference > 0:
        return "the test recordings may have another, easier case mix"
    if gap.n_candidates < 2:
        return "the test recordings may have another case mix, or other seeds give less"
    optimistic = "choosing made the first one optimistic, and"
    if gap.corrected is not None and gap.test < gap.corrected:
        return (
            f"{optimistic} what is missing beyond the corrected score may come from another case "
            "mix of the test recordings"
        )
    return f"{optimistic} the test recordings may have another case mix"
