"""A connection with a time limit for each answer.

Keepalives detect a machine that is gone. A server process that is stopped, or whose disk hangs,
keeps its connections open and does not answer. PostgreSQL's own limits, such as
`statement_timeout`, are enforced by that process, so the client needs a limit of its own.
"""

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

Answer = TypeVar("Answer")

_INTERVAL_S = 0.1


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that closes itself when an answer has not arrived in time."""

    silence_s: float = 90.0
    """Limit for one answer: well over `lock_timeout` and a large ledger's slowest statement."""

    def wait(
        self, gen: PQGen[Answer], interval: float = _INTERVAL_S, timeout: float | None = None
    ) -> Answer:
        """Wait for an answer, as psycopg does, for at most `silence_s`.

        Raises:
            psycopg.OperationalError: No answer; the server may have executed the statement.
        """
        limit_s = self.silence_s if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit_s)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # The statement is still under way, so the connection can take no other.
            self.close()
            raise psycopg.OperationalError(
                f"the server has not answered for {limit_s:.0f} s"
            ) from error
