"""Search trials as a study's figures show them: how much better than usual for their lead.

What a lead shows shifts every value of its trials; without taking that off, each figure would show
which leads a sampler happened to try a value on. The sampler learns from the same differences
(`search/choosing/proposing.py`).
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mvkt_ray.config.schema import Scalar
from mvkt_ray.records import Arm, TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class CentredTrial:
    """A search trial that came to a value."""

    number: int
    condition: str
    drawn: Mapping[str, Scalar]
    difference: float
    """Macro AUROC minus the median of its condition, after the same epoch."""
    was_pruned: bool


def centred_trials(records: Sequence[TrialRecord]) -> list[CentredTrial]:
    """Return complete and pruned search trials; a pruned one by its last epoch."""
    trials: list[CentredTrial] = []
    for record in records:
        if record.trial.arm is not Arm.SEARCH:
            continue
        mates = [mate for mate in records if mate.condition == record.condition]
        if record.macro_auroc is not None:
            level = _median([m.macro_auroc for m in mates if m.macro_auroc is not None])
            difference = record.macro_auroc - level
        elif record.state is TrialState.PRUNED and record.values:
            epoch = record.last_scored_epoch
            level = _median([m.values[epoch] for m in mates if epoch in m.values])
            difference = record.values[epoch] - level
        else:
            continue
        trials.append(
            CentredTrial(
                number=record.number,
                condition=record.condition,
                drawn=record.drawn,
                difference=difference,
                was_pruned=record.state is TrialState.PRUNED,
            )
        )
    return trials


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def drawn_names(trials: Sequence[CentredTrial]) -> list[str]:
    """Return the hyper-parameters that at least two trials differ in, in their first order."""
    values: dict[str, set[Scalar]] = {}
    for trial in trials:
        for name, value in trial.drawn.items():
            values.setdefault(name, set()).add(value)
    return [name for name, seen in values.items() if len(seen) > 1]


def step_of(difference: float, differences: Sequence[float]) -> int:
    """Return the fifth that a value is in among others, 0 for the lowest and 4 for the highest."""
    below = sum(other < difference for other in differences)
    return min(4, 5 * below // max(1, len(differences)))
