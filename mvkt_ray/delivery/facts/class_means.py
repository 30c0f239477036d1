"""Which classes a mean is over: one that cannot be scored is in no mean.

An area under the ROC curve needs recordings with the class and recordings without it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mvkt_ray.json_values import finite


def validation_scores(
    macro_auroc: float | None, per_class: Mapping[str, float], classes: Sequence[str]
) -> dict[str, Any]:
    """Return what a report says of one training on the validation split.

    Args:
        macro_auroc: Mean over the classes that can be scored.
        per_class: AUROC of these classes; others are missing, or NaN.
        classes: All of the task.
    """
    auroc = {name: finite(per_class.get(name)) for name in classes}
    return {
        "macro_auroc": finite(macro_auroc),
        "per_class": auroc,
        "left_out": [name for name, value in auroc.items() if value is None],
        "n_seeds": 1,
    }


def left_out_of(report: Mapping[str, Any], split: str) -> list[str]:
    """Return the classes that no mean of a split is over; they are the same for all models."""
    teacher = report.get("teacher")
    scored = [*report["leads"], *([teacher] if teacher else [])]
    found = next((one[split] for one in scored if one.get(split) is not None), None)
    return [] if found is None else list(found["left_out"])
