"""Connections to a PostgreSQL server, and retries while it is away.

Keepalives and time limits work at both ends: the client detects a server that is gone or does not
answer, and the server detects a client's machine that is gone, and releases the driver's locks.
"""

import contextlib
import logging
import os
import platform
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mvkt_ray.errors import ConfigError, StoreError, StoreUnreachableError
from mvkt_ray.phrasing import one_line
from mvkt_ray.search.ledger.postgres.server_address import WHERE_PASSWORDS_GO, ServerAddress

if TYPE_CHECKING:
    import psycopg

Answer = TypeVar("Answer")

_LOG = logging.getLogger(__name__)
_CONNECT_S = 10
_LOCK_MS = 30_000
"""Longest wait for another transaction's row lock; then the transaction is repeated."""

_WATCHED: dict[str, Any] = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 4}
"""The client's, in seconds: detects after about 15 + 4 x 5 s that the server's machine is gone."""

_WATCHED_BY_SERVER = {
    "tcp_keepalives_idle": 15,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 4,
    "lock_timeout": _LOCK_MS,
    # No acknowledged commit may be lost, even if the server's own setting is "off".
    "synchronous_commit": "on",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Limits of a driver's waiting for its server, in seconds."""

    total_s: float = 300.0
    first_pause_s: float = 0.5
    """Pause before the second try; each further pause is twice as long."""
    longest_pause_s: float = 10.0
    release_s: float = 5.0
    """Wait for the lock of a driver that has just ended or was killed."""
    say: Callable[[str], None] = lambda line: None
    """Shows a line on the waiting to the user."""

    def persist(self, address: ServerAddress, act: Callable[[int], Answer]) -> Answer:
        """Repeat a call while the server is away.

        Args:
            address: Address of the server.
            act: Called with the number of the try, from 0. A try that failed may have written all
                the same, if only its answer was lost.

        Raises:
            StoreUnreachableError: The server was away for too long.
        """
        started, pause_s, n_tries = time.monotonic(), self.first_pause_s, 0
        while True:
            try:
                answer = act(n_tries)
            except Exception as error:
                lost = lost_server(error)
                if lost is None:
                    raise
                waited_s = time.monotonic() - started
                if waited_s >= self.total_s:
                    raise StoreUnreachableError(
                        f"PostgreSQL at {address.place} was away for {self.total_s:.0f} s "
                        f"({one_line(lost)}). The study has stopped; all trials that it recorded "
                        "are in the database. Repair the server or the network, then continue by "
                        "the same command with --resume."
                    ) from error
                self._announce(
                    f"waiting for PostgreSQL at {address.place}, {waited_s:.0f} s of at most "
                    f"{self.total_s:.0f} s: {one_line(lost)}"
                )
                time.sleep(min(pause_s, max(0.0, self.total_s - waited_s)))
                pause_s, n_tries = min(2 * pause_s, self.longest_pause_s), n_tries + 1
                continue
            if n_tries:
                self._announce(f"PostgreSQL at {address.place} answers again")
            return answer

    def _announce(self, line: str) -> None:
        _LOG.warning(line)
        self.say(line)


def connect(address: ServerAddress, *, writes: bool) -> "psycopg.Connection[Any]":
    """Open a connection.

    Args:
        address: Address of the database.
        writes: Whether the server must accept writes: after a failover it may be read-only.

    Raises:
        ConfigError: psycopg is not installed.
        psycopg.OperationalError: The server is away, or refuses.
    """
    settings = " ".join(f"-c {name}={value}" for name, value in _WATCHED_BY_SERVER.items())
    _psycopg()
    # Imported here, since psycopg is an optional dependency.
    from mvkt_ray.search.ledger.postgres.watched_connection import WatchedConnection

    return WatchedConnection.connect(
        **address.parameters(),
        **_WATCHED,
        connect_timeout=_CONNECT_S,
        options=settings,
        target_session_attrs="read-write" if writes else "any",
        application_name=f"mvkt-ray {platform.node()} {os.getpid()}",
    )


def lost_server(error: BaseException) -> BaseException | None:
    """Return the cause that shows that the server is away or read-only; None: there is none."""
    known = _psycopg()
    return _among(
        error,
        (known.OperationalError, known.InterfaceError, known.errors.ReadOnlySqlTransaction),
    )


def _among(error: BaseException, kinds: tuple[type[Exception], ...]) -> BaseException | None:
    """Return the first error of some kinds in a chain of causes."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, kinds):
        # SQLAlchemy keeps psycopg's error as `orig`; Optuna keeps SQLAlchemy's as the cause.
        link = getattr(link, "orig", None) or link.__cause__
    return link


@contextlib.contextmanager
def explaining(address: ServerAddress) -> Generator[None]:
    """Convert errors of a server that is away or refuses into one-paragraph errors.

    Raises:
        StoreError: With PostgreSQL's message, and the places for a password.
    """
    try:
        yield
    except Exception as error:
        cause = lost_server(error) or _among(error, (_psycopg().errors.InsufficientPrivilege,))
        if cause is None:
            raise
        raise StoreError(
            f"the ledger {address} cannot be used: {one_line(cause)}. Check that the server runs, "
            "that the database exists (`createdb`), and that this user may create tables in it. "
            f"{WHERE_PASSWORDS_GO}"
        ) from error


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError(
            "a ledger in PostgreSQL needs psycopg, which is not installed or does not find libpq "
            f"({one_line(error)}). Run pip install 'mvkt-ray[postgres]'."
        ) from None
    return psycopg
