"""A trial in Optuna's tables: states, values, and attributes as JSON.

Reading the rows here takes a tenth of the time that Optuna's `get_all_trials` takes for ten
thousand trials, since that builds some twenty objects for each. Optuna has checked the schema's
version when it opened the storage.
"""

import contextlib
import gc
import json
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import optuna
import sqlalchemy
from sqlalchemy import DateTime, column

from mvkt_ray.config.objectives import SCORE, Objective
from mvkt_ray.json_values import nan_if_none
from mvkt_ray.records import NOTHING_USED, Arm, Condition, Trial, TrialResult, TrialState, Usage
from mvkt_ray.search.ledger.row_seals import SEAL, expect_sealed
from mvkt_ray.search.ledger.trial_record import TrialRecord

LEAD = "lead"
"""Name of the condition among the parameters in optuna-dashboard."""

OPTUNA_STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.DIVERGED: optuna.trial.TrialState.FAIL,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
}
"""Optuna has one state for all failures; the attribute `result` has ours."""


def optuna_values(
    record: TrialRecord, objectives: Sequence[Objective] = (SCORE,)
) -> list[float] | None:
    """Return the values that Optuna's `tell` would store, in the order of the objectives.

    Complete trials have one value per objective. A pruned trial has its last score if the score is
    the only objective, else None; so have all other trials.
    """
    assert record.result is not None
    if record.result.state is TrialState.COMPLETE:
        values = [record.result.objective(name) for name in objectives]
        assert None not in values, f"trial {record.number} lacks one of {', '.join(objectives)}"
        return [value for value in values if value is not None]
    if len(objectives) > 1:
        return None
    last = record.values.get(record.last_scored_epoch)
    if record.result.state is TrialState.PRUNED and last is not None and math.isfinite(last):
        return [last]
    return None


@contextlib.contextmanager
def nothing_to_collect() -> Generator[None]:
    """Disable Python's garbage collector in the block, which creates many objects and keeps all.

    The collector runs after every so many new objects: for ten thousand trials, half of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTrial:
    """The rows of one trial."""

    number: int
    started_at: datetime | None
    """Times are local, without a zone."""
    ended_at: datetime | None
    parameters: list[str] = field(default_factory=list[str])
    """Names of Optuna's parameters, in the order in which they were written."""
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    values: dict[int, float] = field(default_factory=dict[int, float])
    """Intermediate values by epoch."""


def read_trials(engine: sqlalchemy.Engine, study_id: int) -> list[StoredTrial]:
    """Return the trials of a study in the order of their numbers.

    Args:
        engine: Engine of a database with Optuna's tables.
        study_id: Optuna's key of the study.

    Raises:
        ValueError: A number is missing.
    """
    of_study = _TRIALS.c.study_id == study_id
    with engine.connect() as connection:
        # First, so that all other rows of these trials exist; trials created later are left out.
        rows = connection.execute(
            sqlalchemy.select(
                _TRIALS.c.trial_id,
                _TRIALS.c.number,
                _TRIALS.c.datetime_start,
                _TRIALS.c.datetime_complete,
            )
            .where(of_study)
            .order_by(_TRIALS.c.trial_id)
        )
        trials = {
            trial_id: StoredTrial(number=number, started_at=_local(start), ended_at=_local(end))
            for trial_id, number, start, end in rows
        }

        for table, read in (
            (_PARAMETERS, _read_parameter),
            (_ATTRIBUTES, _read_attribute),
            (_VALUES, _read_value),
        ):
            row_id, of_trial, *columns = table.c
            joined = table.join(_TRIALS, of_trial == _TRIALS.c.trial_id)
            chosen = sqlalchemy.select(of_trial, *columns).select_from(joined).where(of_study)
            for trial_id, *row in connection.execute(chosen.order_by(row_id)).all():
                trial = trials.get(trial_id)
                if trial is not None:
                    read(trial, *row)
    found = list(trials.values())
    missing = next((n for n, trial in enumerate(found) if trial.number != n), None)
    if missing is not None:
        raise ValueError(f"it lacks trial {missing}")
    return found


def read_record(stored: StoredTrial) -> TrialRecord:
    """Return the record of a trial that `Ledger` wrote.

    Raises:
        ValueError: The trial was changed after it was written.
        KeyError: An attribute is missing.
    """
    attributes = stored.attributes
    result = _read_result(attributes["result"]) if "result" in attributes else None
    pruner = attributes.get("pruner", {})
    hyperparameters = attributes["hyperparameters"]
    trial = Trial(
        number=stored.number,
        condition=Condition.from_name(attributes["condition"]),
        arm=Arm(attributes["arm"]),
        hyperparameters=hyperparameters,
        repetition=attributes["repetition"],
        contender=attributes["contender"],
        kd_class_weights=attributes["kd_class_weights"],
    )
    record = TrialRecord(
        trial=trial,
        drawn={name: hyperparameters[name] for name in stored.parameters if name != LEAD},
        state=TrialState.RUNNING if result is None else result.state,
        values=stored.values,
        unscored_epoch=attributes.get("unscored_epoch", 0),
        result=result,
        failures=tuple(attributes.get("failures", ())),
        usage=Usage.from_json(attributes["usage"]) if "usage" in attributes else NOTHING_USED,
        decided_epoch=pruner.get("decided_epoch", 0),
        pruned_at=pruner.get("pruned_at"),
        pruner_memory={k: nan_if_none(value) for k, value in pruner.get("memory", {}).items()},
        started_at=stored.started_at,
        ended_at=stored.ended_at,
    )
    expect_sealed(record, attributes)
    return record


def _read_result(value: Mapping[str, Any]) -> TrialResult:
    return TrialResult.from_json({key: item for key, item in value.items() if key != SEAL})


def _columns(*names: str) -> list[sqlalchemy.ColumnClause[Any]]:
    """Return columns of a table; only times need a type."""
    return [column(name, DateTime if name.startswith("datetime") else None) for name in names]


_TRIALS = sqlalchemy.table(
    "trials", *_columns("trial_id", "study_id", "number", "datetime_start", "datetime_complete")
)
_PARAMETERS = sqlalchemy.table("trial_params", *_columns("param_id", "trial_id", "param_name"))
_ATTRIBUTES = sqlalchemy.table(
    "trial_user_attributes",
    *_columns("trial_user_attribute_id", "trial_id", "key", "value_json"),
)
_VALUES = sqlalchemy.table(
    "trial_intermediate_values",
    *_columns("trial_intermediate_value_id", "trial_id", "step"),
    *_columns("intermediate_value", "intermediate_value_type"),
)
_NOT_FINITE: Mapping[str, float] = {"NAN": math.nan, "INF_POS": math.inf, "INF_NEG": -math.inf}


def _read_parameter(trial: StoredTrial, name: str) -> None:
    trial.parameters.append(name)


def _read_attribute(trial: StoredTrial, key: str, value_json: str) -> None:
    trial.attributes[key] = json.loads(value_json)


def _read_value(trial: StoredTrial, epoch: int, value: float | None, kind: str) -> None:
    trial.values[epoch] = _NOT_FINITE[kind] if value is None else value


def _local(stored_utc: datetime | None) -> datetime | None:
    """Convert a time of Optuna's tables, which is UTC without a zone, to local time."""
    if stored_utc is None:
        return None
    return stored_utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
