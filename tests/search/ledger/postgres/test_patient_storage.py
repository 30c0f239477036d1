"""A server that goes away: it is waited for, nothing is lost, and nothing is written twice."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mvkt_ray.errors import StoreUnreachableError
from mvkt_ray.search.ledger.postgres.patient_storage import PatientStorage
from mvkt_ray.search.ledger.postgres.server_connection import Patience
from tests.cutting_proxy import Cut, cutting_proxy
from tests.patience import wait_until
from tests.postgres_server import PostgresServer

if TYPE_CHECKING:
    from conftest import ServerLab


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_connection_that_breaks_at_any_commit_loses_and_doubles_nothing(
    server_lab: "ServerLab",
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    how: Cut,
) -> None:
    """The answer to a COMMIT is lost with the connection: nobody is told whether it counts."""
    config = server_lab.config(n_trials=3, baselines=(), sampler="random")
    config = replace(config, student=replace(config.student, epochs=2))
    uninterrupted = server_lab.open(config, url="sqlite://")
    server_lab.run(uninterrupted)
    said: list[str] = []
    with cutting_proxy(postgres.port) as proxy:
        server_lab.server = server_lab.server.replace(str(postgres.port), str(proxy.port))
        server_lab.patience = Patience(first_pause_s=0.02, say=said.append)
        study = server_lab.open(config)
        # Whatever is written or looked up: its first COMMIT breaks, and later ones come through.
        armed: list[bool] = []
        persist = PatientStorage.persist

        def arm(self: PatientStorage, act: Callable[[int], Any]) -> Any:
            armed.append(True)
            return persist(self, act)

        monkeypatch.setattr(PatientStorage, "persist", arm)
        proxy.when = lambda _: how if armed and armed.pop() else None
        server_lab.run(study)
        assert proxy.n_cuts >= config.search.n_trials * (3 + config.student.epochs)
        monkeypatch.setattr(PatientStorage, "persist", persist)
        after = server_lab.open(config, resume=True)
        assert server_lab.facts(after) == server_lab.facts(study)
        assert server_lab.facts(after) == server_lab.facts(uninterrupted)
        assert any("waiting for PostgreSQL at 127.0.0.1" in line for line in said)
        server_lab.stop()


def test_a_server_that_is_restarted_in_the_middle_is_waited_for(
    server_lab: "ServerLab", postgres: PostgresServer
) -> None:
    said: list[str] = []
    server_lab.patience = Patience(first_pause_s=0.05, say=said.append)
    config = server_lab.config(n_trials=6, sampler="random")
    study = server_lab.open(config)
    server_lab.run(study, until=lambda: len(study.trials()) == 3)
    postgres.stop()

    def start_when_waited_for() -> None:
        wait_until("the driver waits", lambda: len(said) >= 2)
        postgres.start()

    restart = threading.Thread(target=start_when_waited_for)
    restart.start()
    server_lab.run(study)
    restart.join()
    assert said[0].startswith(f"waiting for PostgreSQL at 127.0.0.1:{postgres.port}, ")
    assert said[-1] == f"PostgreSQL at 127.0.0.1:{postgres.port} answers again"
    assert server_lab.facts(server_lab.open(config, resume=True)) == server_lab.facts(study)


def test_a_server_that_stays_away_ends_the_study_with_a_paragraph_and_loses_nothing(
    server_lab: "ServerLab", postgres: PostgresServer
) -> None:
    server_lab.patience = Patience(total_s=0.2, first_pause_s=0.05)
    config = server_lab.config(n_trials=4, sampler="random", baselines=())
    study = server_lab.open(config)
    server_lab.run(study, until=lambda: len(study.trials()) == 2)
    before = server_lab.facts(study)
    postgres.stop()
    try:
        with pytest.raises(StoreUnreachableError, match=r"was away for .* all trials .*--resume"):
            server_lab.run(study)
    finally:
        postgres.start()
    # What could not be written is not written later, behind the back of whoever has been told.
    with pytest.raises(StoreUnreachableError, match="was away"):
        study.ask()
    resumed = server_lab.open(config, resume=True)
    assert server_lab.facts(resumed) == before
    server_lab.run(resumed)
    assert len(resumed.trials()) == 4
