"""Search trials for figures, with scores centred on the median of their lead.

The lead shifts the scores of all its trials: without centring, figures would mainly show on which
leads the sampler tried a value. The sampler learns from the same differences
(`search/choosing/trial_history.py`).
"""

import functools
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.delivery.figures.drawing import thin
from mvkt_ray.records import Arm, TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord

N_DRAWN = 1000
"""Most trials in a figure: more points overlap, and make a page of many megabytes."""

_END = 0
"""Key of final scores in place of an epoch, which counts from 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CentredTrial:
    """A complete or pruned search trial with its centred score."""

    number: int
    condition: str
    drawn: Mapping[str, Scalar]
    difference: float
    """Macro AUROC minus the median of its condition, after the same epoch."""
    was_pruned: bool


def centred_trials(records: Sequence[TrialRecord]) -> list[CentredTrial]:
    """Return the complete and pruned search trials; a pruned one with its last score."""
    scores: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    """Scores by condition and epoch; under `_END` the final ones."""
    for record in records:
        if record.macro_auroc is not None:
            scores[record.condition, _END].append(record.macro_auroc)
        for epoch, value in record.values.items():
            scores[record.condition, epoch].append(value)

    @functools.cache
    def median(condition: str, epoch: int) -> float:
        return statistics.median(scores[condition, epoch])

    trials: list[CentredTrial] = []
    for record in records:
        condition, epoch = record.condition, record.last_scored_epoch
        if record.trial.arm is not Arm.SEARCH:
            continue
        if record.macro_auroc is not None:
            difference = record.macro_auroc - median(condition, _END)
        elif record.state is TrialState.PRUNED and record.values:
            difference = record.values[epoch] - median(condition, epoch)
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
    """Return at most `N_DRAWN` trials, spread evenly over the differences, by number."""
    ordered = sorted(trials, key=lambda trial: trial.difference)
    shown = [ordered[index] for index in thin(range(len(ordered)), N_DRAWN)]
    return sorted(shown, key=lambda trial: trial.number)


def drawn_names(trials: Sequence[CentredTrial]) -> list[str]:
    """Return the hyper-parameters with at least two values, in the order of their first use."""
    values: dict[str, set[Scalar]] = {}
    for trial in trials:
        for name, value in trial.drawn.items():
            values.setdefault(name, set()).add(value)
    return [name for name, seen in values.items() if len(seen) > 1]


def step_of(difference: float, differences: Sequence[float]) -> int:
    """Return the quintile of a difference, 0 for the lowest and 4 for the highest."""
    below = sum(other < difference for other in differences)
    return min(4, 5 * below // max(1, len(differences)))
