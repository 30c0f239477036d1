"""Early stopping of hopeless trials, by Optuna's own pruners, within a condition.

Every condition has an Optuna study of its own in memory, whose trials are the search trials of the
condition in the order of their numbers. So a trial of a lead that shows less is compared with its
own kind only, and Hyperband deals its brackets inside a condition. Baselines do not compete: they
answer another question, and a default that is hard to beat early would stop every search trial.

What a pruner notes of a trial (its value at a rung) is handed out with each decision and put back
when a study is opened again: the rungs are then as full as they were.

A pruner compares at its rungs and lets a trial go on at every other epoch, whatever its value: so
trials need not be validated between `decision_epochs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, SuccessiveHalvingPruner
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from mvkt_ray.config.schema import PrunerConfig
from mvkt_ray.records import Arm, Decision
from mvkt_ray.search.ledger.trial_record import TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a pruner says of a trial after an epoch, and what it noted of it so far."""

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
        return self._field(record.condition).judge(record.number, epoch, macro_auroc)

    def _field(self, condition: str) -> "_Field":
        if condition not in self._fields:
            self._fields[condition] = _Field(self._make_pruner(), f"{self._study_name}/{condition}")
        return self._fields[condition]

    def _make_pruner(self) -> BasePruner:
        config = self._config
        if config.kind == "hyperband":
            return HyperbandPruner(
                min_resource=config.min_epochs,
                max_resource=max(self._epochs, config.min_epochs),
                reduction_factor=config.reduction_factor,
            )
        return SuccessiveHalvingPruner(
            min_resource=config.min_epochs, reduction_factor=config.reduction_factor
        )


class _Field:
    """The trials of one condition, as Optuna's pruners want to see them."""

    def __init__(self, pruner: BasePruner, name: str) -> None:
        self._pruner = pruner
        self._storage = InMemoryStorage()
        # The sampler is never asked; a plain one is cheap to make.
        self._study = optuna.create_study(
            study_name=name,
            storage=self._storage,
            sampler=optuna.samplers.RandomSampler(seed=0),
            direction="maximize",
        )
        self._study_id = self._storage.get_study_id_from_name(name)
        self._trial_ids: dict[int, int] = {}

    def enter(self, record: TrialRecord) -> None:
        frozen = create_trial(
            state=TrialState.RUNNING,
            intermediate_values=dict(record.values),
            system_attrs=dict(record.pruner_memory),
        )
        self._trial_ids[record.number] = self._storage.create_new_trial(self._study_id, frozen)

    def judge(self, number: int, epoch: int, macro_auroc: float) -> Verdict:
        trial_id = self._trial_ids[number]
        self._storage.set_trial_intermediate_value(trial_id, epoch, macro_auroc)
        prune = self._pruner.prune(self._study, self._storage.get_trial(trial_id))
        memory = self._storage.get_trial(trial_id).system_attrs
        return Verdict(decision=Decision.PRUNE if prune else Decision.CONTINUE, memory=dict(memory))
