"""How far the test score of a lead is from the validation score that it was chosen by.

Reads: the report's values; there is no gap before finals.
"""

from collections.abc import Mapping
from typing import Any


def describe_gap(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the report's `validation_gap`; None where no lead has both scores.

    Args:
        report: With `answer` and `leads`.
    """
    gaps = {
        lead["lead"]: lead["test"]["macro_auroc"] - lead["validation"]["macro_auroc"]
        for lead in report["leads"]
        if _has_both(lead)
    }
    highest = report["answer"]["highest"]
    if highest not in gaps:
        return None
    lead = next(each for each in report["leads"] if each["lead"] == highest)
    validation, test = lead["validation"], lead["test"]
    return {
        "lead": highest,
        "validation": validation["macro_auroc"],
        "corrected": validation["corrected"],
        "corrected_ci": validation["corrected_ci"],
        "n_candidates": validation["n_candidates"],
        "test": test["macro_auroc"],
        "test_ci": test["ci"],
        "difference": gaps[highest],
        "mean_difference": sum(gaps.values()) / len(gaps),
        "n_leads": len(gaps),
        "same_classes": validation["left_out"] == test["left_out"],
    }


def _has_both(lead: Mapping[str, Any]) -> bool:
    validation, test = lead["validation"], lead["test"]
    return (
        validation is not None
        and test is not None
        and validation["macro_auroc"] is not None
        and test["macro_auroc"] is not None
    )
