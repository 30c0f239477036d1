"""Optuna's storage in PostgreSQL: waits for a server that is away, and repeats writes safely.

When a connection breaks after COMMIT was sent, the client cannot know whether the transaction was
committed. So every repeated write is idempotent or detects the first one: attributes and values are
set again, an end is recognised, and a trial is looked up before it is created, under the lock of
its study's row, which the lost transaction holds until it is committed or rolled back.

Reads and writes: the tables of Optuna.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import optuna
from optuna.storages import RDBStorage
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
    # A driver writes from one thread, and a server has some hundred connections in all.
    "pool_size": 1,
    "max_overflow": 3,
    "pool_pre_ping": True,
    # Saves a query for each connection: Optuna's tables have no column of type hstore.
    "use_native_hstore": False,
}


Method = TypeVar("Method", bound=Callable[..., Any])


def _persistent(method: Method) -> Method:
    """Repeat an idempotent method of Optuna's storage while the server is away."""

    @functools.wraps(method)
    def repeated(storage: "PatientStorage", *args: Any, **options: Any) -> Any:
        # Looked up at each call, as `super()` does.
        own = getattr(RDBStorage, method.__name__)
        return storage.persist(lambda _: own(storage, *args, **options))

    return cast(Method, repeated)


class PatientStorage(RDBStorage):
    """The storage of a driver, or of a reader."""

    def __init__(self, address: ServerAddress, lock: DriverLock | None, patience: Patience) -> None:
        """Open Optuna's tables; a driver creates them if need be.

        Args:
            address: Address of the database.
            lock: Lock of the driver; None: nothing is written.
            patience: Waiting times for a server that is away.
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
            # On "commit", not "begin": the lock may be lost during the transaction.
            def fence(connection: Connection) -> None:
                lock.fence(connection.connection.dbapi_connection)

            event.listen(self.engine, "commit", fence)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study, or return the one that an earlier try has created."""

        def act(n_tries: int) -> int:
            try:
                return super(PatientStorage, self).create_new_study(directions, study_name)
            except optuna.exceptions.DuplicatedStudyError:
                if not n_tries or study_name is None:
                    raise
                return super(PatientStorage, self).get_study_id_from_name(study_name)

        return self.persist(act)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create the trial with the template's number, unless it exists.

        Optuna's own method repeats a failed transaction, and may so create a trial twice.
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

        return self.persist(act)

    def set_trial_state_values(
        self,
        trial_id: int,
        state: optuna.trial.TrialState,
        values: Sequence[float] | None = None,
    ) -> bool:
        """Set the final state of a trial, unless an earlier try has set it."""

        def act(n_tries: int) -> bool:
            try:
                return super(PatientStorage, self).set_trial_state_values(trial_id, state, values)
            except optuna.exceptions.UpdateFinishedTrialError:
                if not n_tries or self.get_trial(trial_id).state is not state:
                    raise
                return True

        return self.persist(act)

    set_trial_intermediate_value = _persistent(RDBStorage.set_trial_intermediate_value)
    set_trial_user_attr = _persistent(RDBStorage.set_trial_user_attr)
    set_study_user_attr = _persistent(RDBStorage.set_study_user_attr)
    set_study_system_attr = _persistent(RDBStorage.set_study_system_attr)
    get_study_user_attrs = _persistent(RDBStorage.get_study_user_attrs)
    get_trial_id_from_study_id_trial_number = _persistent(
        RDBStorage.get_trial_id_from_study_id_trial_number
    )

    def persist(self, act: Callable[[int], Answer]) -> Answer:
        """Call `act` as `Patience.persist` does, unless an earlier call has failed.

        Raises:
            MvktError: The server was away for too long, or another driver has the study.
        """
        if self._failure is not None:
            # No write may follow a failed one, and a second wait would end as the first.
            raise self._failure
        try:
            return self._patience.persist(self._address, act)
        except MvktError as error:
            self._failure = error
            raise
