"""A connection that does not wait for ever for a server which stands still.

Keepalives find a machine that is gone; a process that is stopped, or whose disk hangs, leaves its
connections open and says nothing. PostgreSQL's own limits, such as `statement_timeout`, are kept by
that process, so the client has to look at its clock.
"""

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

Answer = TypeVar("Answer")

_INTERVAL_S = 0.1


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that is closed when an answer has not come in time."""

    silence_s: float = 90.0
    """For one answer: well over `lock_timeout` and the slowest statement of a large ledger."""

    def wait(
        self, gen: PQGen[Answer], interval: float = _INTERVAL_S, timeout: float | None = None
    ) -> Answer:
        """Wait for an answer, as psycopg does.

        Raises:
            psycopg.OperationalError: None has come; nobody knows what the server did.
        """
        limit_s = self.silence_s if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit_s)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # What was asked is under way, so this connection can ask nothing else.
            self.close()
            raise psycopg.OperationalError(
                f"the server has not answered for {limit_s:.0f} s"
            ) from error
