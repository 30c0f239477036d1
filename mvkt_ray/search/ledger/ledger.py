"""The ledger of a study: Optuna's RDB storage, and the trial records that were read from it.

Only the driver writes, so records are read once, when the ledger is opened, and every change is
written through. One transaction creates a trial with its condition and hyper-parameters. Its result
is one attribute, written before the state; `mend` sets a state that a killed driver did not write.

Reads and writes: an RDB, `ledger.db` in the study's folder by default, or a database on a
PostgreSQL server (`postgres/`); optuna-dashboard opens both. The RDB of a study in an object store,
unless it is on a server, is a temporary file of the driver; each write is shipped
(`ledger_shipping`) before the method returns, unless its docstring allows a delay.
"""

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection

from mvkt_ray.config.objectives import SCORE, Objective
from mvkt_ray.config.search_config import Scalar
from mvkt_ray.errors import ArtifactError
from mvkt_ray.file_guards import reading
from mvkt_ray.json_values import without_nan
from mvkt_ray.records import Condition, Trial, TrialResult, TrialState, Usage
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.ledger_rows import (
    LEAD,
    OPTUNA_STATES,
    nothing_to_collect,
    optuna_values,
    read_record,
    read_trials,
)
from mvkt_ray.search.ledger.ledger_shipping import connect
from mvkt_ray.search.ledger.postgres.server_connection import explaining
from mvkt_ray.search.ledger.row_seals import (
    SEAL,
    expect_sound_pages,
    sealed_note,
    sealed_result,
    trial_seal,
    unsealed_notes,
)
from mvkt_ray.search.ledger.sqlite_url import path_of, url_of
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.storage.location import Location

_MISSING = object()
_METRIC_NAMES = "study:metric_names"
"""Optuna's key for the names that `Study.set_metric_names` writes."""

_DIRECTIONS = {True: StudyDirection.MAXIMIZE, False: StudyDirection.MINIMIZE}
"""By whether the objective is the score: all other objectives are costs."""

_LOCK_TIMEOUT_S = 60
"""Wait for a reader, such as a dashboard or `mvkt status`, that blocks SQLite's writer."""


class Ledger:
    """One study in an RDB, with its records by trial number."""

    def __init__(
        self, storage: optuna.storages.RDBStorage, name: str, database: LedgerDatabase
    ) -> None:
        """Read the notes of an existing study; use `create`, `find` or `open`."""
        self.name = name
        self._storage = storage
        self._study_id = storage.get_study_id_from_name(database.key_of(name))
        self._shipment = database.shipment
        self._trial_ids: dict[int, int] = {}
        self._objectives = _named_objectives(storage, self._study_id)
        self.notes: Mapping[str, Any] = self._read_notes()
        """Notes on the study as a whole, by key: plain JSON values."""
        self.records: list[TrialRecord] = []
        """All trials by number, without gaps."""

    @classmethod
    def create(
        cls, database: LedgerDatabase, name: str, objectives: Sequence[Objective] = (SCORE,)
    ) -> Self:
        """Create an empty ledger; a shipped one reaches the store with its first note or trial.

        Args:
            database: Database of the new ledger.
            name: Name of the study.
            objectives: In order; of several, optuna-dashboard draws the Pareto front.
        """
        url, shipment = database.url, database.shipment
        path = path_of(url)
        if path is not None and shipment is None and not path.exists():
            # Aside: a reader that opens a database without all its tables would create some, too.
            with Location.parse(path).writing_aside() as aside:
                close_storage(open_storage(LedgerDatabase(url_of(aside))))
        storage = open_storage(database)
        directions = [_DIRECTIONS[each == SCORE] for each in objectives]
        storage.create_new_study(directions, database.key_of(name))
        ledger = cls(storage, name, database)
        ledger.name_objectives(objectives)
        return ledger

    @classmethod
    def find(cls, database: LedgerDatabase, name: str) -> Self | None:
        """Return the ledger with its records, or None, creating nothing, if there is none.

        Raises:
            ArtifactError: The ledger cannot be read, or has a trial not written by mvkt-ray.
        """
        if database.is_empty:
            return None
        storage = open_storage(database)
        with contextlib.ExitStack() as stack:
            stack.callback(close_storage, storage)
            with reading_ledger(database):
                expect_sound_pages(storage.engine)
                try:
                    ledger = cls(storage, name, database)
                except KeyError:
                    return None
                with nothing_to_collect():
                    stored = read_trials(storage.engine, ledger._study_id)
                    strange = [trial.number for trial in stored if "arm" not in trial.attributes]
                    if strange:
                        raise ArtifactError(
                            f"{database.name}: trial {strange[0]} of study {name!r} was not "
                            "written by mvkt-ray. Remove the trial, or start a new study in "
                            "another folder."
                        )
                    ledger.records.extend(map(read_record, stored))
            stack.pop_all()
        return ledger

    @classmethod
    def open(cls, database: LedgerDatabase, name: str) -> Self:
        """Return an existing ledger with its records.

        Raises:
            ArtifactError: As `find`, or there is no ledger.
        """
        ledger = cls.find(database, name)
        if ledger is None:
            raise ArtifactError(
                f"{database.name} holds no study {name!r}, which is the name in study.yaml. Check "
                "the folder, or restore study.yaml from a copy; a study has a ledger "
                "from its first trial on."
            )
        return ledger

    @staticmethod
    def names(database: LedgerDatabase) -> list[str]:
        """Return the names of all studies in a database file; of a server, which is shared, none.

        Raises:
            ArtifactError: The file cannot be read.
        """
        if database.is_empty or path_of(database.url) is None:
            return []
        storage = open_storage(database)
        try:
            with reading_ledger(database):
                return [study.study_name for study in storage.get_all_studies()]
        finally:
            close_storage(storage)

    def close(self) -> None:
        """Close the connections to the database."""
        close_storage(self._storage)

    def as_one(self, *, at_once: bool = True) -> AbstractContextManager[None]:
        """Ship all writes of the block together, in one request; a local ledger needs no shipping.

        Args:
            at_once: Ship when the block ends; else within some seconds.

        Raises:
            StoreError: At the block's end: the object store refuses, or did not answer in time.
            ArtifactError: At the block's end: another driver has taken the study over.
        """
        if self._shipment is None:
            return contextlib.nullcontext()
        return self._shipment.writing(at_once=at_once)

    def note(self, notes: Mapping[str, object]) -> None:
        """Write the new or changed notes on the study as a whole, in order; plain JSON values."""
        new = {key: value for key, value in notes.items() if self.notes.get(key, _MISSING) != value}
        if not new:
            return
        with self.as_one():
            for key, value in new.items():
                sealed = sealed_note(self.name, key, value)
                self._storage.set_study_user_attr(self._study_id, key, sealed)
        self.notes = self._read_notes()

    def _read_notes(self) -> dict[str, Any]:
        return unsealed_notes(self.name, self._storage.get_study_user_attrs(self._study_id))

    def name_objectives(self, objectives: Sequence[Objective]) -> None:
        """Write the names of the trials' values where Optuna keeps them, unless they are there.

        Called on each start, since a driver may have died between creating the ledger and this
        call. The score as the only objective is not written.
        """
        if self._objectives == tuple(objectives):
            return
        with self.as_one():
            self._storage.set_study_system_attr(
                self._study_id, _METRIC_NAMES, list[str](objectives)
            )
        self._objectives = tuple(objectives)

    def add(
        self,
        trial: Trial,
        *,
        drawn: Mapping[str, Scalar],
        distributions: Mapping[str, BaseDistribution],
        conditions: Sequence[Condition],
    ) -> TrialRecord:
        """Create a running trial, the next by number, in one transaction.

        Args:
            trial: Number, condition, arm and hyper-parameters.
            drawn: The hyper-parameters that a sampler drew, or could have drawn.
            distributions: Optuna's distribution of each drawn hyper-parameter, by name.
            conditions: All conditions of the study.
        """
        assert trial.number == len(self.records)
        leads = CategoricalDistribution([each.name for each in conditions])
        frozen = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params={**drawn, LEAD: trial.condition.name},
            distributions={**{name: distributions[name] for name in drawn}, LEAD: leads},
            user_attrs={
                "condition": trial.condition.name,
                "arm": trial.arm.value,
                "hyperparameters": dict(trial.hyperparameters),
                "repetition": trial.repetition,
                "contender": trial.contender,
                "kd_class_weights": dict(trial.kd_class_weights),
                SEAL: trial_seal(trial, tuple(drawn)),
            },
        )
        # `PatientStorage` finds the trial by its number if an earlier try has created it.
        frozen.number = trial.number
        with self.as_one():
            self._trial_ids[trial.number] = self._storage.create_new_trial(self._study_id, frozen)
        record = TrialRecord(
            trial=trial,
            drawn=dict(drawn),
            state=TrialState.RUNNING,
            started_at=frozen.datetime_start,
        )
        self.records.append(record)
        return record

    def write_value(self, number: int, epoch: int, macro_auroc: float) -> None:
        """Write the score that a trial reported after an epoch.

        Shipped with the next write, or within seconds: the trial, resumed from its checkpoint,
        reports again a value that was lost with its driver. A decision is shipped at once.
        """
        with self.as_one(at_once=False):
            self._storage.set_trial_intermediate_value(self._trial_id(number), epoch, macro_auroc)
        record = self.records[number]
        self.records[number] = replace(record, values={**record.values, epoch: macro_auroc})

    def write_unscored(self, number: int, epoch: int) -> None:
        """Write the last epoch that a trial ended without validation; shipped as a value is.

        One attribute, overwritten: it shows the progress of a trial, and Optuna's curves get no
        points at epochs without a measurement.
        """
        with self.as_one(at_once=False):
            self._storage.set_trial_user_attr(self._trial_id(number), "unscored_epoch", epoch)
        self.records[number] = replace(self.records[number], unscored_epoch=epoch)

    def write_decision(
        self, number: int, epoch: int, *, prune: bool, memory: Mapping[str, float]
    ) -> None:
        """Write the pruner's decision after an epoch, and its memory of the trial."""
        changed = replace(
            self.records[number],
            decided_epoch=epoch,
            pruned_at=epoch if prune else None,
            pruner_memory=dict(memory),
        )
        self._write_attribute(
            number,
            "pruner",
            {
                "decided_epoch": epoch,
                "pruned_at": changed.pruned_at,
                "memory": without_nan(memory),
            },
        )
        self.records[number] = changed

    def write_usage(self, number: int, usage: Usage) -> None:
        """Write a trial's usage so far, over all its attempts; shipped as a value is."""
        with self.as_one(at_once=False):
            self._storage.set_trial_user_attr(self._trial_id(number), "usage", usage.to_json())
        self.records[number] = replace(self.records[number], usage=usage)

    def write_failure(self, number: int, reason: str) -> None:
        """Write the reason why an attempt was lost; the trial's state stays `RUNNING`."""
        failures = (*self.records[number].failures, reason)
        self._write_attribute(number, "failures", list(failures))
        self.records[number] = replace(self.records[number], failures=failures)

    def write_result(self, number: int, result: TrialResult) -> None:
        """Write a trial's result, then its state."""
        with self.as_one():
            self._write_attribute(number, "result", sealed_result(self.records[number], result))
            self.records[number] = replace(self.records[number], result=result)
            self._write_end(number)

    def mend(self) -> None:
        """Set the state of trials whose driver died after it had written their result."""
        ended = [r.number for r in self.records if r.result is not None and r.ended_at is None]
        if ended:
            with self.as_one():
                for number in ended:
                    self._write_end(number)

    def _write_end(self, number: int) -> None:
        record = self.records[number]
        assert record.result is not None
        self._storage.set_trial_state_values(
            self._trial_id(number),
            OPTUNA_STATES[record.result.state],
            optuna_values(record, self._objectives),
        )
        self.records[number] = replace(record, state=record.result.state, ended_at=datetime.now())

    def _trial_id(self, number: int) -> int:
        # Looked up on the first write: most trials of a resumed study are never written again.
        if number not in self._trial_ids:
            self._trial_ids[number] = self._storage.get_trial_id_from_study_id_trial_number(
                self._study_id, number
            )
        return self._trial_ids[number]

    def _write_attribute(self, number: int, key: str, value: object) -> None:
        with self.as_one():
            self._storage.set_trial_user_attr(self._trial_id(number), key, value)


def _named_objectives(storage: optuna.storages.RDBStorage, study_id: int) -> tuple[Objective, ...]:
    names = storage.get_study_system_attrs(study_id).get(_METRIC_NAMES, [SCORE])
    return tuple(cast(Sequence[Objective], names))


def open_storage(database: LedgerDatabase) -> optuna.storages.RDBStorage:
    """Open a database by Optuna; `close_storage` closes it.

    Raises:
        ArtifactError: The file cannot be read.
        StoreError: The server is away, or refuses.
    """
    # Optuna logs new studies and slow fallbacks at INFO, in the middle of a live table.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if database.server is not None:
        return database.server.open_storage()
    options: dict[str, Any] = {}
    path, shipped = path_of(database.url), database.shipment is not None
    if path is not None:
        # By its path: a URL cannot express every path.
        options = {"creator": lambda: connect(path) if shipped else _connect(path)}
    with reading_ledger(database):
        return optuna.storages.RDBStorage(database.url, engine_kwargs=options)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S, check_same_thread=False)


def close_storage(storage: optuna.storages.RDBStorage) -> None:
    """Close the connections to a database."""
    storage.remove_session()
    storage.engine.dispose()


def reading_ledger(database: LedgerDatabase) -> AbstractContextManager[None]:
    """Convert errors of the block, in which a ledger is read, into one-paragraph errors."""
    if database.server is not None:
        return explaining(database.server.noted.address)
    return reading(
        f"the ledger {database.name}",
        "If it is damaged, restore it from a copy: a study cannot be continued without it.",
        ArtifactError,
    )
