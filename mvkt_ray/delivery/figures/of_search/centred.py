"""Search trials as a study's figures show them: how much better than usual for their lead.

What a lead shows shifts every value of its trials; without taking that off, each figure would show
which leads a sampler happened to try a value on. The sampler learns from the same differences
(`search/choosing/trial_history.py`).
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.delivery.figures.drawing import thin
from mvkt_ray.records import Arm, TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord

N_DRAWN = 1000
"""More points hide each other, and make a page of many megabytes."""


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
    mates: dict[str, list[TrialRecord]] = {}
    for record in records:
        mates.setdefault(record.condition, []).append(record)
    levels: dict[tuple[str, int], float] = {}

    def level(condition: str, epoch: int, values: Iterable[float]) -> float:
        """Return the median of what the trials of a condition reached; taken once."""
        key = (condition, epoch)
        if key not in levels:
            levels[key] = statistics.median(values)
        return levels[key]

    trials: list[CentredTrial] = []
    for record in records:
        if record.trial.arm is not Arm.SEARCH:
            continue
        condition, epoch = record.condition, record.last_scored_epoch
        own = mates[condition]
        if record.macro_auroc is not None:
            # Epoch 0 stands for the end, whenever that was.
            final = (each.macro_auroc for each in own if each.macro_auroc is not None)
            difference = record.macro_auroc - level(condition, 0, final)
        elif record.state is TrialState.PRUNED and record.values:
            values = (each.values[epoch] for each in own if epoch in each.values)
            difference = record.values[epoch] - level(condition, epoch, values)
        else:
            continue
        trials.append(
            CentredTrial(
                number=record.number,
                condition=condition,
                drawn=record.drawn,
                difference=difference,
                was_pruned=record.state is TrialState.PRUNED,
            )
        )
    return trials


def drawn_trials(trials: Sequence[CentredTrial]) -> list[CentredTrial]:
    """Return as many as a figure can show, spread evenly over the differences, by number."""
    ordered = sorted(trials, key=lambda trial: trial.difference)
    shown = [ordered[index] for index in thin(range(len(ordered)), N_DRAWN)]
    return sorted(shown, key=lambda trial: trial.number)


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
