"""The classes of a macro mean: a class that cannot be scored is excluded.

An AUROC needs recordings with the class and recordings without it.
"""

from collections.abc import Mapping, Sequence

from mvkt_ray.delivery.report.quantities import Split
from mvkt_ray.delivery.report.reported_scores import ValidationScores
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.json_values import finite


def validation_scores(
    macro_auroc: float | None, per_class: Mapping[str, float], classes: Sequence[str]
) -> ValidationScores:
    """Return the validation scores of one training, as a report has them.

    Args:
        macro_auroc: Mean over the classes that can be scored.
        per_class: AUROC of these classes; other classes are missing, or NaN.
        classes: All classes of the task.
    """
    auroc = {name: finite(per_class.get(name)) for name in classes}
    return ValidationScores(
        macro_auroc=finite(macro_auroc),
        per_class=auroc,
        left_out=tuple(name for name, value in auroc.items() if value is None),
        n_seeds=1,
    )


def left_out_of(report: StudyReport, split: Split) -> list[str]:
    """Return the classes excluded from the means of a split, which are the same for all models."""
    scored = [*report.leads, *([] if report.teacher is None else [report.teacher])]
    found = next((scores for one in scored if (scores := one.on(split)) is not None), None)
    return [] if found is None else list(found.left_out)
