"""A server that stands still with its connections open is given up, and then found again."""

import os
import signal

import psycopg
import pytest

from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.postgres.server_connection import Patience, connect, lost_server
from mvkt_ray.search.ledger.postgres.watched_connection import WatchedConnection
from tests.postgres_server import PostgresServer


@pytest.fixture
def address(postgres: PostgresServer) -> ServerAddress:
    return ServerAddress.parse(postgres.make_database())


def test_a_server_that_stands_still_is_given_up(
    address: ServerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WatchedConnection, "silence_s", 0.3)
    connection = connect(address, writes=True)
    process = connection.info.backend_pid
    os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(psycopg.OperationalError, match="has not answered for") as found:
            connection.execute("SELECT 1")
    finally:
        os.kill(process, signal.SIGCONT)
    assert lost_server(found.value) is not None
    assert connection.closed


def test_a_driver_waits_for_it_and_goes_on_by_another_connection(
    address: ServerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WatchedConnection, "silence_s", 0.3)
    said: list[str] = []
    stopped: list[int] = []

    def act(n_tries: int) -> int:
        with connect(address, writes=True) as connection:
            if not n_tries:
                stopped.append(connection.info.backend_pid)
                os.kill(stopped[0], signal.SIGSTOP)
            row = connection.execute("SELECT 42").fetchone()
            assert row is not None
            return row[0]

    try:
        patience = Patience(first_pause_s=0.01, say=said.append)
        assert patience.persist(address, act) == 42
    finally:
        os.kill(stopped[0], signal.SIGCONT)
    assert "has not answered for" in said[0]
    assert said[-1].endswith("answers again")


def test_a_statement_that_fails_leaves_its_connection_open(address: ServerAddress) -> None:
    with connect(address, writes=True) as connection:
        with pytest.raises(psycopg.OperationalError, match="to user request"):
            connection.execute("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)")
        connection.rollback()
        assert connection.execute("SELECT 42").fetchone() == (42,)
