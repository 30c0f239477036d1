"""The Pareto front of a condition's complete trials, and a few points that represent it.

By validation only, as everything that finals choose.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.config.objectives import SCORE, Objective
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.statistics.pareto import non_dominated, spread_over

MARGIN = 0.01
"""Loss in macro AUROC that is acceptable for a smaller student. The report names the smallest
student within it, so finals train that one before any other point but the best."""


def front_of(complete: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """Return the front of complete trials, the best score first; each next one costs less.

    Of trials that are equal in all objectives it is the first, and so is a single trial where the
    score is the only objective.

    Args:
        complete: Of one condition, by number.
        objectives: Of the study; every trial has a value in each.
    """
    if not complete:
        return []
    values_ND = _values(complete, objectives)
    front_N = non_dominated(values_ND, maximize=[each == SCORE for each in objectives])
    _, first = np.unique(values_ND, axis=0, return_index=True)
    places = [place for place in sorted(first.tolist()) if front_N[place]]
    # A front's trials differ: of equal scores the one that costs less in the first objective leads.
    places.sort(key=lambda place: (-values_ND[place, 0], *values_ND[place, 1:]))
    return [complete[place] for place in places]


def few_of_front(
    front: Sequence[TrialRecord], objectives: Sequence[Objective], n_points: int
) -> list[TrialRecord]:
    """Choose so many points of a front, or all it has, and keep their order.

    The best score is one of them. The second is the smallest within `MARGIN` of it, by the first
    objective beside the score; each further one is the farthest from those chosen, in scores and
    logarithms of costs.

    Args:
        front: As `front_of` returns it.
        objectives: Of the study.
        n_points: At least 1.
    """
    if not front or len(front) <= n_points:
        return list(front)
    values_ND = _values(front, objectives)
    kept = [0]
    if n_points > 1 and len(objectives) > 1:
        near = np.flatnonzero(values_ND[:, 0] >= values_ND[0, 0] - MARGIN)
        smallest = int(near[values_ND[near, 1].argmin()])
        kept += [smallest] if smallest else []
    return [front[place] for place in sorted(spread_over(values_ND, kept, n_points))]


def _values(trials: Sequence[TrialRecord], objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """Return scores, and logarithms of costs: a front is the same by these."""
    return np.array([[_value(trial, each) for each in objectives] for trial in trials])


def _value(trial: TrialRecord, objective: Objective) -> float:
    assert trial.result is not None
    value = trial.result.objective(objective)
    assert value is not None, f"trial {trial.number} has no {objective}"
    return value if objective == SCORE else math.log(value)
