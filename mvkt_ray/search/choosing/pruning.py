"""Early stopping of hopeless trials, by successive halving or Hyperband, within a condition.

Every condition has a field of its own: the search trials of the condition in the order of their
numbers. So a trial of a lead that shows less is compared with its own kind only, and Hyperband
deals its brackets inside a condition. Baselines do not compete: they answer another question, and a
default that is hard to beat early would stop every search trial.

The rules are those of Optuna's pruners, with the same decisions (Li et al. 2018, "A System for
Massively Parallel Hyperparameter Tuning"; Falkner et al. 2018, "BOHB"). Optuna's look at every
trial of the study for each report; here a rung is a sorted list, so that a report costs the same in
a study of ten thousand trials.

What a pruner notes of a trial (its value at a rung) is handed out with each decision and put back
when a study is opened again: the rungs are then as full as they were.

A pruner compares at its rungs and lets a trial go on at every other epoch, whatever its value: so
trials need not be validated between `decision_epochs`.
"""

import binascii
import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass

from mvkt_ray.config.search_config import PrunerConfig
from mvkt_ray.records import Arm, Decision
from mvkt_ray.search.ledger.trial_record import TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A pruner's decision on a trial after an epoch, and the state that it keeps of the trial."""

    decision: Decision
    memory: Mapping[str, float]


def decision_epochs(pruner: PrunerConfig, epochs: int) -> frozenset[int]:
    """Return the epochs after which a pruner may stop a trial, and the last.

    All trials of a study have the same, whatever they are stopped by: where one is stopped, the
    level of its condition is taken from all that came as far (`proposing`), baselines and those of
    other brackets of Hyperband among them.

    Args:
        pruner: Which pruner. Rung k is at min_epochs * reduction_factor ** k, as in Optuna's
            `SuccessiveHalvingPruner`; Hyperband's brackets leave out the first of these.
        epochs: Of a trial that is not stopped.
    """
    rungs: set[int] = set()
    rung = pruner.min_epochs
    while pruner.kind != "none" and rung < epochs:
        rungs.add(rung)
        rung *= pruner.reduction_factor
    return frozenset({*rungs, epochs})


class Pruning:
    """The pruner of a study, with a field of competitors for each condition."""

    def __init__(self, config: PrunerConfig, *, epochs: int, study_name: str) -> None:
        """Start with no trials.

        Args:
            config: Which pruner.
            epochs: Epochs of a trial that is not stopped.
            study_name: Hyperband deals trials to brackets by a hash of it.
        """
        self._config = config
        self._epochs = epochs
        self._study_name = study_name
        self._fields: dict[str, _Field] = {}

    def enter(self, record: TrialRecord) -> None:
        """Let a trial compete; called once for every trial, in the order of their numbers."""
        if record.trial.arm is Arm.SEARCH and self._config.kind != "none":
            self._field(record.condition).enter(record)

    def judge(self, record: TrialRecord, epoch: int, macro_auroc: float) -> Verdict:
        """Decide whether a trial goes on after an epoch; a new one each time, in rising order.

        The last epoch is not judged: there is nothing left to save.
        """
        is_last = epoch >= self._epochs
        if record.trial.arm is not Arm.SEARCH or self._config.kind == "none" or is_last:
            return Verdict(decision=Decision.CONTINUE, memory=record.pruner_memory)
        return self._field(record.condition).judge(record, epoch, macro_auroc)

    def _field(self, condition: str) -> "_Field":
        if condition not in self._fields:
            name = f"{self._study_name}/{condition}"
            self._fields[condition] = _Field(name, self._config, self._n_trials_by_bracket())
        return self._fields[condition]

    def _n_trials_by_bracket(self) -> list[int]:
        """Say how many of some trials each bracket gets; successive halving has one bracket.

        The later a bracket begins to stop trials, the fewer it gets: all have about the same number
        of epochs to spend.
        """
        if self._config.kind != "hyperband":
            return [1]
        factor, min_epochs = self._config.reduction_factor, self._config.min_epochs
        n_brackets = math.floor(math.log(max(self._epochs / min_epochs, 1), factor)) + 1
        later = range(n_brackets - 1, -1, -1)
        return [math.ceil(n_brackets * factor**n / (n + 1)) for n in later]


class _Field:
    """The trials of one condition, by what they reached at the rungs of their brackets."""

    def __init__(self, name: str, config: PrunerConfig, n_trials_by_bracket: list[int]) -> None:
        self._name = name
        self._config = config
        self._n_trials_by_bracket = n_trials_by_bracket
        self._brackets: dict[int, int] = {}
        """Bracket of each trial, by its number."""
        self._rungs: dict[tuple[int, int], list[float]] = {}
        """Values of the trials that came to a bracket's rung, rising."""

    def enter(self, record: TrialRecord) -> None:
        bracket = self._deal_bracket(position=len(self._brackets))
        self._brackets[record.number] = bracket
        # A study that is opened again: its rungs are filled from the trials' memories.
        for rung in range(len(record.pruner_memory)):
            bisect.insort(self._rung(bracket, rung), record.pruner_memory[_key(rung)])

    def judge(self, record: TrialRecord, epoch: int, macro_auroc: float) -> Verdict:
        memory = dict(record.pruner_memory)
        bracket, factor = self._brackets[record.number], self._config.reduction_factor
        while epoch >= self._config.min_epochs * factor ** (bracket + len(memory)):
            if math.isnan(macro_auroc):
                # Before it is noted: a NaN in a sorted list would break the order of all others.
                return Verdict(decision=Decision.PRUNE, memory=memory)
            rung = self._rung(bracket, len(memory))
            memory[_key(len(memory))] = macro_auroc
            bisect.insort(rung, macro_auroc)
            # The first few go on when they are the best so far: nobody waits for the others.
            n_promoted = max(len(rung) // factor, 1)
            if macro_auroc < rung[-n_promoted]:
                return Verdict(decision=Decision.PRUNE, memory=memory)
        return Verdict(decision=Decision.CONTINUE, memory=memory)

    def _deal_bracket(self, position: int) -> int:
        # As Optuna's Hyperband does; Python's own `hash` of a text differs between processes.
        hashed = binascii.crc32(f"{self._name}_{position}".encode())
        left = hashed % sum(self._n_trials_by_bracket)
        bracket = 0
        while left >= self._n_trials_by_bracket[bracket]:
            left -= self._n_trials_by_bracket[bracket]
            bracket += 1
        return bracket

    def _rung(self, bracket: int, rung: int) -> list[float]:
        return self._rungs.setdefault((bracket, rung), [])


def _key(rung: int) -> str:
    """Name a rung as Optuna does, in the ledgers of studies that it pruned, too."""
    return f"completed_rung_{rung}"
