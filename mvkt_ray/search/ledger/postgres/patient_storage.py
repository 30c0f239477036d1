"""Optuna's storage in PostgreSQL: it waits for its server, and no write is done twice.

When a connection breaks after COMMIT was sent, nobody knows whether the transaction counts. So a
write that is tried again must find out, or do no harm: attributes and values are set to what they
are, an end is found to be there, and a trial is looked for before it is created, under the lock of
its study's row, which the lost transaction holds until it is decided.

Reads and writes: the tables of Optuna.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import optuna
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, event

from mvkt_ray.errors import MvktError
from mvkt_ray.search.ledger.postgres.driver_lock import DriverLock
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.postgres.server_connection import Patience, connect

Answer = TypeVar("Answer")

_ENGINE: Mapping[str, Any] = {
    # A driver writes from one thread; a server has some hundred connections for everybody.
    "pool_size": 1,
    "max_overflow": 3,
    "pool_pre_ping": True,
    # Not asked for at every connection: no table of Optuna's has a column of that kind.
    "use_native_hstore": False,
}


class PatientStorage(optuna.storages.RDBStorage):
    """The storage of one driver, or of one who only reads."""

    def __init__(self, address: ServerAddress, lock: DriverLock | None, patience: Patience) -> None:
        """Open the tables; a driver's are made where there are none.

        Args:
            address: Of the database.
            lock: Of the driver; None: nothing is written.
            patience: Of the driver.
        """
        self._address, self._patience = address, patience
        self._failure: Exception | None = None
        with contextlib.nullcontext() if lock is None else lock.making_tables():
            super().__init__(
                "postgresql+psycopg://",
                engine_kwargs={
                    "creator": lambda: connect(address, writes=lock is not None),
                    **_ENGINE,
                },
                skip_table_creation=lock is None,
            )
        if lock is not None:
            # Not "begin": a lock that was lost meanwhile is lost for this transaction, too.
            def fence(connection: Connection) -> None:
                lock.fence(connection.connection.dbapi_connection)

            event.listen(self.engine, "commit", fence)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study, or find the one that an earlier try has created."""

        def act(n_tries: int) -> int:
            try:
                return super(PatientStorage, self).create_new_study(directions, study_name)
            except optuna.exceptions.DuplicatedStudyError:
                if not n_tries or study_name is None:
                    raise
                return super(PatientStorage, self).get_study_id_from_name(study_name)

        return self._persist(act)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create the trial of the template's number, unless it is there.

        Optuna's own method tries five times, and makes a trial each time.
        """
        assert template_trial is not None

        def act(_: int) -> int:
            session = self.scoped_session()
            with session, session.begin():
                models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
                found = (
                    session.query(models.TrialModel)
                    .filter_by(study_id=study_id, number=template_trial.number)
                    .one_or_none()
                )
                trial = found or self._get_prepared_new_trial(study_id, template_trial, session)
                return cast(int, trial.trial_id)

        return self._persist(act)

    def set_trial_state_values(
        self,
        trial_id: int,
        state: optuna.trial.TrialState,
        values: Sequence[float] | None = None,
    ) -> bool:
        """End a trial, or find that an earlier try has ended it."""

        def act(n_tries: int) -> bool:
            try:
                return super(PatientStorage, self).set_trial_state_values(trial_id, state, values)
            except optuna.exceptions.UpdateFinishedTrialError:
                if not n_tries or self.get_trial(trial_id).state is not state:
                    raise
                return True

        return self._persist(act)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set a value."""
        self._persist(
            lambda _: super(PatientStorage, self).set_trial_intermediate_value(
                trial_id, step, intermediate_value
            )
        )

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute."""
        self._persist(
            lambda _: super(PatientStorage, self).set_trial_user_attr(trial_id, key, value)
        )

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute."""
        self._persist(
            lambda _: super(PatientStorage, self).set_study_user_attr(study_id, key, value)
        )

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute."""
        self._persist(
            lambda _: super(PatientStorage, self).set_study_system_attr(study_id, key, value)
        )

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Read the attributes."""
        return self._persist(lambda _: super(PatientStorage, self).get_study_user_attrs(study_id))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Look up a key."""
        return self._persist(
            lambda _: super(PatientStorage, self).get_trial_id_from_study_id_trial_number(
                study_id, trial_number
            )
        )

    def _persist(self, act: Callable[[int], Answer]) -> Answer:
        if self._failure is not None:
            # It has been waited for once, and what was refused then may not be followed by more.
            raise self._failure
        try:
            return self._patience.persist(self._address, act)
        except MvktError as error:
            self._failure = error
            raise
