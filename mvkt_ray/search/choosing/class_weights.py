"""Weights of the classes in MKD, from the validation scores of a condition's student alone.

`kd_class_weights: auto` reduces the weight of classes that a lead hardly shows: their distillation
targets cannot be predicted from the student's signal, only memorised. The measure is the validation
score of the condition's `student_alone`, which normally is in the ledger first; an earlier trial
gets even weights, and records `even` as its hyper-parameter.

Reads: records of the ledger.
"""

import math
from collections.abc import Mapping, Sequence

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.records import Arm, Condition, TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord

_NAME, _AUTO, _EVEN = "kd_class_weights", "auto", "even"


def class_weights(per_class_auroc: Mapping[str, float]) -> dict[str, float]:
    """Return the weight of each class in MKD, 1 on average.

    It is proportional to 2 AUROC - 1 of a student alone, and 0 where that is no better than chance.
    A class that was not measured counts as the others do on average. Where no class is better than
    chance, all count the same.

    Args:
        per_class_auroc: On the validation split, by class; NaN where a class was not there.
    """
    seen = {
        name: max(0.0, 2 * area - 1)
        for name, area in per_class_auroc.items()
        if not math.isnan(area)
    }
    mean = sum(seen.values()) / len(seen) if seen else 0.0
    if mean == 0:
        return dict.fromkeys(per_class_auroc, 1.0)
    return {name: seen.get(name, mean) / mean for name in per_class_auroc}


def weigh(
    hyperparameters: Mapping[str, Scalar], records: Sequence[TrialRecord], condition: Condition
) -> tuple[dict[str, Scalar], dict[str, float]]:
    """Return a trial's hyper-parameters as they are trained, and its weights by class.

    Args:
        hyperparameters: As drawn.
        records: Of the search, so far.
        condition: The trial's.

    Returns:
        With `even` in place of `auto`, and no weights, where no student alone is complete.
    """
    if hyperparameters.get(_NAME) != _AUTO:
        return dict(hyperparameters), {}
    for record in records:
        trial, result = record.trial, record.result
        if trial.arm is not Arm.STUDENT_ALONE or trial.condition != condition or result is None:
            continue
        if result.state is TrialState.COMPLETE:
            return dict(hyperparameters), class_weights(result.per_class_auroc)
    return {**hyperparameters, _NAME: _EVEN}, {}
