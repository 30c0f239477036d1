"""How a trial stands in the tables of Optuna: states, values, and attributes as JSON."""

import math
from typing import cast

import optuna

from mvkt_ray.config.schema import Scalar
from mvkt_ray.json_values import nan_if_none
from mvkt_ray.records import NOTHING_USED, Arm, Condition, Trial, TrialResult, TrialState, Usage
from mvkt_ray.search.ledger.trial_record import TrialRecord

LEAD = "lead"
"""Name under which optuna-dashboard shows the condition among the parameters."""

OPTUNA_STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.DIVERGED: optuna.trial.TrialState.FAIL,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
}
"""Optuna has one state for all that went wrong; ours is in the attribute `result`."""


def optuna_values(record: TrialRecord) -> list[float] | None:
    """Return what Optuna's own `tell` would store: the value, or of a pruned trial the last."""
    assert record.result is not None
    if record.result.state is TrialState.COMPLETE:
        assert record.result.macro_auroc is not None
        return [record.result.macro_auroc]
    last = record.values.get(record.last_scored_epoch)
    if record.result.state is TrialState.PRUNED and last is not None and math.isfinite(last):
        return [last]
    return None


def read_record(frozen: optuna.trial.FrozenTrial) -> TrialRecord:
    """Read a trial of Optuna that `Ledger` wrote."""
    attributes = frozen.user_attrs
    result = TrialResult.from_json(attributes["result"]) if "result" in attributes else None
    pruner = attributes.get("pruner", {})
    hyperparameters = cast(dict[str, Scalar], attributes["hyperparameters"])
    trial = Trial(
        number=frozen.number,
        condition=Condition.from_name(attributes["condition"]),
        arm=Arm(attributes["arm"]),
        hyperparameters=hyperparameters,
        repetition=attributes["repetition"],
        contender=attributes["contender"],
    )
    return TrialRecord(
        trial=trial,
        drawn={name: hyperparameters[name] for name in frozen.params if name != LEAD},
        state=TrialState.RUNNING if result is None else result.state,
        values=dict(frozen.intermediate_values),
        unscored_epoch=attributes.get("unscored_epoch", 0),
        result=result,
        failures=tuple(attributes.get("failures", ())),
        usage=Usage.from_json(attributes["usage"]) if "usage" in attributes else NOTHING_USED,
        decided_epoch=pruner.get("decided_epoch", 0),
        pruned_at=pruner.get("pruned_at"),
        pruner_memory={k: nan_if_none(value) for k, value in pruner.get("memory", {}).items()},
        started_at=frozen.datetime_start,
        ended_at=frozen.datetime_complete,
    )
