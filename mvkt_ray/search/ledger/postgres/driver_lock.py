"""One driver at a time for a study whose ledger is in PostgreSQL: a lock and a fence.

The lock is an advisory lock of a session (`pg_advisory_lock`), on a connection of its own: the
server releases it when the driver ends, however that happens. A driver also writes a token into
`mvkt_drivers` when it takes the study over, and before each commit it checks its token there,
locking that row. So a driver that lost its lock unnoticed, while its machine or the network stood
still, cannot commit after another driver took over.

Limits: behind a pooler that shares one session between clients, such as PgBouncer in transaction
mode, the lock has no effect. Two drivers then take the study from each other, and each stops at its
next write; the fence holds. Checkpoints and predictions of trials are files, which no fence guards.

Reads and writes: the table `mvkt_drivers`.
"""

import contextlib
import hashlib
import os
import platform
import secrets
import select
import time
from collections.abc import Generator
from typing import Any

from mvkt_ray.errors import ArtifactError
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.postgres.server_connection import (
    Patience,
    connect,
    explaining,
    lost_server,
)
from mvkt_ray.storage.manifest import command_line

_TABLES = "mvkt-ray: tables are made"
_LOOK_S = 0.1
_LONGEST_NAME = 63
"""PostgreSQL truncates a session's name to this many bytes (NAMEDATALEN - 1)."""

_CREATE = """
    CREATE TABLE IF NOT EXISTS mvkt_drivers (
        study TEXT PRIMARY KEY, token TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
        command TEXT NOT NULL, since TIMESTAMPTZ NOT NULL DEFAULT now())
"""
_TAKE = """
    INSERT INTO mvkt_drivers (study, token, host, pid, command) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (study) DO UPDATE SET token = EXCLUDED.token, host = EXCLUDED.host,
        pid = EXCLUDED.pid, command = EXCLUDED.command, since = now()
"""
_HOLDER = """
    SELECT pg_locks.pid, application_name FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid::bigint = %s AND objid::bigint = %s
"""
_WHO = "SELECT host, pid, command, since FROM mvkt_drivers WHERE study = %s"
_TOKEN = "SELECT token FROM mvkt_drivers WHERE study = %s"


class DriverLock:
    """This process's lock on a study; taken again when the server is back."""

    def __init__(self, address: ServerAddress, study: str) -> None:
        """Connect; use `take`."""
        self._address = address
        self._study = study
        self._token = secrets.token_hex(8)
        self._connection = self._connect()

    @classmethod
    def take(
        cls, address: ServerAddress, study: str, what: str, patience: Patience
    ) -> "DriverLock":
        """Become the driver of a study.

        Args:
            address: Address of the database.
            study: Key of the study, unique in the database.
            what: The study in a message.
            patience: Has the time to wait for a driver that is just ending.

        Raises:
            ArtifactError: Another process drives the study.
            StoreError: The server is away, or refuses.
        """
        with explaining(address):
            lock = cls(address, study)
            connection = lock._connection
            try:
                with lock.making_tables():
                    connection.execute(_CREATE)
                deadline = time.monotonic() + patience.release_s
                while not _try(connection, study):
                    if time.monotonic() > deadline:
                        raise ArtifactError(
                            f"{what} is in use: {_holder(connection, study)} drives it now. Wait "
                            "until that process ends, or give another output folder."
                        )
                    time.sleep(_LOOK_S)
                who = (platform.node(), os.getpid(), command_line())
                connection.execute(_TAKE, (study, lock._token, *who))
            except BaseException:
                connection.close()
                raise
        return lock

    @contextlib.contextmanager
    def making_tables(self) -> Generator[None]:
        """Keep other drivers of the database from creating tables during the block."""
        number = _number(_TABLES)
        self._connection.execute("SELECT pg_advisory_lock(%s)", (number,))
        try:
            yield
        finally:
            self._connection.execute("SELECT pg_advisory_unlock(%s)", (number,))

    def fence(self, connection: Any) -> None:
        """Raise unless this process is still the driver; called before each commit.

        Args:
            connection: The transaction's connection, of psycopg.

        Raises:
            ArtifactError: Another driver has taken the study over.
            psycopg.OperationalError: The server is away.
        """
        self._expect_held()
        row = connection.execute(f"{_TOKEN} FOR SHARE", (self._study,)).fetchone()
        if row is None or row[0] != self._token:
            raise self._taken_over(connection)

    def give_back(self) -> None:
        """Release the lock; may be called while the server is away."""
        self._connection.close()

    def _expect_held(self) -> None:
        """Take the lock again if its connection is lost; raise if another driver had it."""
        if self._is_open():
            return
        self._connection.close()
        connection = self._connect()
        try:
            if not _try(connection, self._study):
                self._end_own_ghost(connection)
                # Should another driver win, the token below shows it.
                connection.execute("SELECT pg_advisory_lock(%s)", (_number(self._study),))
            row = connection.execute(_TOKEN, (self._study,)).fetchone()
            if row is None or row[0] != self._token:
                raise self._taken_over(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _end_own_ghost(self, connection: Any) -> None:
        """End the session that the server still keeps for the lost connection.

        Raises:
            ArtifactError: Another driver's session holds the lock.
        """
        holder = connection.execute(_HOLDER, _halves(self._study)).fetchone()
        if holder is None:
            return
        pid, name = holder
        if name != self._session_name:
            raise self._taken_over(connection)
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))

    @property
    def _session_name(self) -> str:
        return f"mvkt-ray {self._token} {platform.node()}"[:_LONGEST_NAME]

    def _connect(self) -> Any:
        connection = connect(self._address, writes=True)
        connection.autocommit = True
        # `pg_stat_activity` shows the name: `_end_own_ghost` and administrators read it.
        setting = "SELECT set_config('application_name', %s, false)"
        connection.execute(setting, (self._session_name,))
        return connection

    def _is_open(self) -> bool:
        if self._connection.closed:
            return False
        look = select.poll()
        look.register(self._connection.fileno(), select.POLLIN)
        if not look.poll(0):
            return True
        # Unrequested data has arrived, most likely the message that the server shuts down.
        try:
            self._connection.execute("SELECT 1")
        except Exception as error:
            if lost_server(error) is None:
                raise
            return False
        return True

    def _taken_over(self, connection: Any) -> ArtifactError:
        return ArtifactError(
            f"the study has another driver: {_holder(connection, self._study)} took it over while "
            "this driver had no connection to the server. This driver stops; the other one's "
            "results are unharmed. Run one search of a study at a time."
        )


@contextlib.contextmanager
def exclusively(address: ServerAddress, what: str) -> Generator[None]:
    """Admit one process of the database at a time to blocks with the same `what`.

    Raises:
        StoreError: The server is away, or refuses.
    """
    with contextlib.ExitStack() as stack:
        with explaining(address):
            connection = stack.enter_context(contextlib.closing(connect(address, writes=True)))
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_number(what),))
        yield


def is_driven_on(connection: Any, study: str) -> bool:
    """Whether a process holds the lock of a study; nothing is written."""
    return connection.execute(_HOLDER, _halves(study)).fetchone() is not None


def _try(connection: Any, study: str) -> bool:
    return connection.execute("SELECT pg_try_advisory_lock(%s)", (_number(study),)).fetchone()[0]


def _holder(connection: Any, study: str) -> str:
    """Describe the last process that wrote its token: number, host, start and command."""
    row = connection.execute(_WHO, (study,)).fetchone()
    if row is None:
        return "another process"
    host, pid, command, since = row
    return f"process {pid} on {host}, since {since:%Y-%m-%d %H:%M:%S %Z} (`{command}`),"


def _number(study: str) -> int:
    """Return the key of the advisory lock: a signed number of 64 bits."""
    return int.from_bytes(hashlib.sha256(study.encode()).digest()[:8], signed=True)


def _halves(study: str) -> tuple[int, int]:
    """Return the key as `pg_locks` shows it."""
    number = _number(study) % (1 << 64)
    return number >> 32, number & 0xFFFFFFFF
