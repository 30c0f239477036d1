"""Connections to a PostgreSQL server, and patience with one that is away for a while.

Every connection is watched from both ends: a server that is gone, or says nothing, is noticed by
its client, and a machine that is gone by the server, which then lets go of what its driver held.
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
"""A transaction that waits longer for another one's rows is begun again."""

_WATCHED: dict[str, Any] = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 4}
"""Of the client: it notices after some half a minute that the server's machine is gone."""

_WATCHED_BY_SERVER = {
    "tcp_keepalives_idle": 15,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 4,
    "lock_timeout": _LOCK_MS,
    # What was answered is never lost, also where a server is set to answer early.
    "synchronous_commit": "on",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a driver waits for its server, in seconds, and whom it tells."""

    total_s: float = 300.0
    first_pause_s: float = 0.5
    """Before the second try; each further pause is twice as long."""
    longest_pause_s: float = 10.0
    release_s: float = 5.0
    """For the lock of a driver that has just ended or was killed."""
    say: Callable[[str], None] = lambda line: None

    def persist(self, address: ServerAddress, act: Callable[[int], Answer]) -> Answer:
        """Act again while the server is away.

        Args:
            address: Of the server.
            act: Called with the number of the try, from 0. What a try has written may be there
                when the next one begins, for the answer alone may have been lost.

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
                        f"({one_line(lost)}). The study has stopped, and nothing that it answered "
                        "is lost. See to the server, then go on by the same line with --resume."
                    ) from error
                self._tell(
                    f"waiting for PostgreSQL at {address.place}, {waited_s:.0f} s of at most "
                    f"{self.total_s:.0f} s: {one_line(lost)}"
                )
                time.sleep(min(pause_s, max(0.0, self.total_s - waited_s)))
                pause_s, n_tries = min(2 * pause_s, self.longest_pause_s), n_tries + 1
                continue
            if n_tries:
                self._tell(f"PostgreSQL at {address.place} answers again")
            return answer

    def _tell(self, line: str) -> None:
        _LOG.warning(line)
        self.say(line)


def connect(address: ServerAddress, *, writes: bool) -> "psycopg.Connection[Any]":
    """Open a connection.

    Args:
        address: Of the database.
        writes: Of a driver: a server that may only be read is none, as after a failover.

    Raises:
        ConfigError: The package for it is not installed.
        psycopg.OperationalError: There is no such server, or it refuses.
    """
    settings = " ".join(f"-c {name}={value}" for name, value in _WATCHED_BY_SERVER.items())
    _psycopg()
    # Not above: psycopg may be missing.
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
    """Return what says that the server is away, or of no use now; None: it is something else."""
    known = _psycopg()
    return _among(
        error,
        (known.OperationalError, known.InterfaceError, known.errors.ReadOnlySqlTransaction),
    )


def _among(error: BaseException, kinds: tuple[type[Exception], ...]) -> BaseException | None:
    """Find an error of some kinds among the causes of another one."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, kinds):
        # SQLAlchemy keeps the driver's error so, and Optuna SQLAlchemy's as the cause.
        link = getattr(link, "orig", None) or link.__cause__
    return link


@contextlib.contextmanager
def explaining(address: ServerAddress) -> Generator[None]:
    """Turn what a server refuses, or that there is none, into one paragraph.

    Raises:
        StoreError: Says what PostgreSQL says, and where passwords go.
    """
    try:
        yield
    except Exception as error:
        said = lost_server(error) or _among(error, (_psycopg().errors.InsufficientPrivilege,))
        if said is None:
            raise
        raise StoreError(
            f"the ledger {address} cannot be used: {one_line(said)}. Check "
            "that the server runs, that the database is there (`createdb`), and that this user "
            f"may make tables in it. {WHERE_PASSWORDS_GO}"
        ) from error


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError(
            "a ledger in PostgreSQL needs psycopg, which is not installed or does not find libpq "
            f"({one_line(error)}). Install it by pip install 'mvkt-ray[postgres]'."
        ) from None
    return psycopg
