"""Early stopping of trials by successive halving or Hyperband, within a condition.

Every condition has its own field: its search trials in the order of their numbers. So a trial of a
less informative lead is compared only with trials of the same lead, and Hyperband assigns brackets
within a condition. Baselines do not compete: they have another purpose, and a default that is hard
to beat early would stop every search trial.

The rules are those of Optuna's pruners, with the same decisions (Li et al. 2018, "A System for
Massively Parallel Hyperparameter Tuning"; Falkner et al. 2018, "BOHB"). Optuna's pruners read every
trial of the study for each report; here a rung is a sorted list, so that a report's cost does not
grow with the study.

The pruner's memory of a trial (its value at each rung) is returned with each decision, stored in
the ledger, and restored when a study is opened again.

A pruner compares trials only at its rungs, so trials need no validation between `decision_epochs`.
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
    """Return the epochs after which a pruner may stop a trial, and the last epoch.

    They are the same for all trials of a study, also for baselines and all brackets of Hyperband:
    the level of a condition at an epoch is computed from all its trials (`trial_history`).

    Args:
        pruner: The pruner. Rung k is at min_epochs * reduction_factor ** k, as in Optuna's
            `SuccessiveHalvingPruner`; Hyperband's later brackets skip the first rungs.
        epochs: Epochs of a trial that is not stopped.
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
            config: The pruner.
            epochs: Epochs of a trial that is not stopped.
            study_name: Name of the study, from whose hash Hyperband assigns brackets.
        """
        self._config = config
        self._epochs = epochs
        self._study_name = study_name
        self._fields: dict[str, _Field] = {}

    def enter(self, record: TrialRecord) -> None:
        """Add a trial to its field; called once for every trial, in the order of their numbers."""
        if record.trial.arm is Arm.SEARCH and self._config.kind != "none":
            self._field(record.condition).enter(record)

    def judge(self, record: TrialRecord, epoch: int, macro_auroc: float) -> Verdict:
        """Return the verdict on a trial after an epoch; called once per epoch, in rising order.

        After the last epoch it is always to continue, since pruning would save nothing.
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
        """Return the relative numbers of trials of the brackets; successive halving has one.

        A bracket that begins later to stop trials has fewer, so that all brackets train about the
        same number of epochs.
        """
        if self._config.kind != "hyperband":
            return [1]
        factor, min_epochs = self._config.reduction_factor, self._config.min_epochs
        n_brackets = math.floor(math.log(max(self._epochs / min_epochs, 1), factor)) + 1
        later = range(n_brackets - 1, -1, -1)
        return [math.ceil(n_brackets * factor**n / (n + 1)) for n in later]


class _Field:
    """The trials of one condition, with their values at the rungs of their brackets."""

    def __init__(self, name: str, config: PrunerConfig, n_trials_by_bracket: list[int]) -> None:
        self._name = name
        self._config = config
        self._n_trials_by_bracket = n_trials_by_bracket
        self._brackets: dict[int, int] = {}
        """Bracket of each trial, by its number."""
        self._rungs: dict[tuple[int, int], list[float]] = {}
        """Values of trials at a bracket's rung, by (bracket, rung), ascending."""

    def enter(self, record: TrialRecord) -> None:
        bracket = self._deal_bracket(position=len(self._brackets))
        self._brackets[record.number] = bracket
        # Of a resumed study: fills the rungs from the trials' memories.
        for rung in range(len(record.pruner_memory)):
            bisect.insort(self._rung(bracket, rung), record.pruner_memory[_key(rung)])

    def judge(self, record: TrialRecord, epoch: int, macro_auroc: float) -> Verdict:
        memory = dict(record.pruner_memory)
        bracket, factor = self._brackets[record.number], self._config.reduction_factor
        while epoch >= self._config.min_epochs * factor ** (bracket + len(memory)):
            if math.isnan(macro_auroc):
                # Not inserted: a NaN would break the order of the sorted list.
                return Verdict(decision=Decision.PRUNE, memory=memory)
            rung = self._rung(bracket, len(memory))
            memory[_key(len(memory))] = macro_auroc
            bisect.insort(rung, macro_auroc)
            # With fewer than `factor` values only the best so far continues; no trial waits.
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
    """Return Optuna's name of a rung."""
    return f"completed_rung_{rung}"
