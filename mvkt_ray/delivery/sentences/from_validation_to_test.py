"""How it is said that a test score is not the validation score, and what that may mean.

Reads: the report's `validation_gap`.
"""

from mvkt_ray.delivery.report.reported_scores import ValidationGap
from mvkt_ray.phrasing import SENTENCE

_EQUAL = 0.0005
"""Differences below this are not written."""


def gap_sentence(gap: ValidationGap) -> str:
    """Say the gap of the lead with the highest test score, and what it may mean."""
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
    """Say the gap over all leads; empty where there is one."""
    if gap.n_leads < 2:
        return ""
    return (
        f"On average over {gap.n_leads} leads the test score is "
        f"{_compared(gap.mean_difference)} than the validation score of the trial that was "
        "chosen."
        if abs(gap.mean_difference) >= _EQUAL
        else f"On average over {gap.n_leads} leads both scores are the same."
    )


def _compared(difference: float) -> str:
    if abs(difference) < _EQUAL:
        return "the same"
    return f"{SENTENCE.score(abs(difference))} {'lower' if difference < 0 else 'higher'}"


def _meaning(gap: ValidationGap) -> str:
    difference, corrected = gap.difference, gap.corrected
    if abs(difference) < _EQUAL:
        said = "what was seen on validation holds on the test recordings"
    elif difference > 0:
        said = "the test recordings may have another, easier case mix"
    elif gap.n_candidates < 2:
        said = "the test recordings may have another case mix, or other seeds give less"
    elif corrected is not None and gap.test < corrected:
        said = (
            "choosing made the first one optimistic, and what is missing beyond the corrected "
            "score may come from another case mix of the test recordings"
        )
    else:
        said = (
            "choosing made the first one optimistic, and the test recordings may have another "
            "case mix"
        )
    return (
        said if gap.same_classes else f"{said}; also, the two means are not over the same classes"
    )
