"""The ledgers of one study in PostgreSQL, open to a driver or to a reader.

Reads and writes: the database that the study's `ledger.json` names.
"""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, field

import optuna

from mvkt_ray.search.ledger.postgres.driver_lock import DriverLock, is_driven_on
from mvkt_ray.search.ledger.postgres.noted_server import NotedServer
from mvkt_ray.search.ledger.postgres.patient_storage import PatientStorage
from mvkt_ray.search.ledger.postgres.server_connection import Patience, connect, explaining

_IS_THERE = "SELECT EXISTS (SELECT 1 FROM studies WHERE strpos(study_name, %s) > 0)"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLedger:
    """The ledgers of one study, all in one database."""

    noted: NotedServer
    lock: DriverLock | None = None
    """The driver's lock; None: nothing is written."""
    patience: Patience = field(default_factory=lambda: Patience(total_s=0.0))

    @property
    def is_empty(self) -> bool:
        """Whether the database has no ledger of the study.

        Raises:
            StoreError: The server is away, or refuses.
        """
        address = self.noted.address
        with explaining(address), contextlib.closing(connect(address, writes=False)) as asked:
            has_tables = asked.execute("SELECT to_regclass('studies') IS NOT NULL").fetchone()
            if not has_tables or not has_tables[0]:
                return True
            found = asked.execute(_IS_THERE, (self.noted.name_in_database(""),)).fetchone()
            return not found or not found[0]

    def open_storage(self) -> optuna.storages.RDBStorage:
        """Open Optuna's tables.

        Raises:
            StoreError: The server is away, or refuses.
        """
        with explaining(self.noted.address):
            return PatientStorage(self.noted.address, self.lock, self.patience)


@contextlib.contextmanager
def driving_on_server(noted: NotedServer, what: str, patience: Patience) -> Generator[ServerLedger]:
    """Hold the driver's lock of a study during the block.

    Args:
        noted: The database of its ledger.
        what: The study in a message.
        patience: Waiting times during the block; at its begin the server must answer.

    Raises:
        ArtifactError: Another process drives the study.
        StoreError: The server is away, or refuses.
    """
    lock = DriverLock.take(noted.address, noted.key, what, patience)
    try:
        yield ServerLedger(noted=noted, lock=lock, patience=patience)
    finally:
        lock.give_back()


def is_driven_on_server(noted: NotedServer) -> bool:
    """Whether a process drives a study now.

    Raises:
        StoreError: The server is away, or refuses.
    """
    address = noted.address
    with explaining(address), contextlib.closing(connect(address, writes=False)) as asked:
        return is_driven_on(asked, noted.key)
