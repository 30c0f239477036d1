"""One driver at a time on a real server: by its lock, and by the fence behind it."""

import threading
from typing import TYPE_CHECKING

import pytest

from mvkt_ray.errors import ArtifactError, StoreError
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import driving, is_driven
from mvkt_ray.search.ledger.postgres.driver_lock import DriverLock
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.postgres.server_connection import Patience
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location
from tests.postgres_server import PostgresServer

if TYPE_CHECKING:
    from conftest import ServerLab

SHORT = Patience(release_s=0.0, first_pause_s=0.05)
LOCKS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"


def take(url: str, study: str = "s") -> DriverLock:
    return DriverLock.take(ServerAddress.parse(url), study, "runs/ecg", SHORT)


def end_sessions_of_locks(postgres: PostgresServer, url: str) -> None:
    with postgres.connect(url) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({LOCKS}) AS held")


def test_a_second_driver_is_refused_and_told_of_the_first(postgres: PostgresServer) -> None:
    url = postgres.make_database()
    first = take(url)
    with pytest.raises(ArtifactError, match=r"runs/ecg is in use: process \d+ on .*, since 20"):
        take(url)
    take(url, "another study").give_back()
    first.give_back()
    take(url).give_back()


def test_a_driver_that_lost_its_lock_takes_it_again_before_it_writes(
    server_lab: "ServerLab", postgres: PostgresServer
) -> None:
    study = server_lab.open(server_lab.config())
    server_lab.run(study, until=lambda: len(study.trials()) == 3)
    end_sessions_of_locks(postgres, server_lab.server)
    server_lab.run(study)
    assert is_driven(server_lab.study_folder)
    assert len(study.trials()) == 14


def test_a_driver_does_not_write_after_another_took_over(
    server_lab: "ServerLab", postgres: PostgresServer
) -> None:
    study = server_lab.open(server_lab.config())
    server_lab.run(study, until=lambda: len(study.trials()) == 3)
    end_sessions_of_locks(postgres, server_lab.server)
    before = server_lab.facts(server_lab.look())
    other = server_lab.take_over()
    with pytest.raises(ArtifactError, match="the study has another driver: process"):
        server_lab.run(study)
    # Not even when the other has ended.
    other.give_back()
    with pytest.raises(ArtifactError, match="the study has another driver"):
        study.ask()
    assert server_lab.facts(server_lab.look()) == before


def test_the_fence_holds_where_the_lock_means_nothing(
    server_lab: "ServerLab", postgres: PostgresServer
) -> None:
    """As with a pooler that hands one session to many: the first has its lock to the end."""
    study = server_lab.open(server_lab.config())
    with postgres.connect(server_lab.server) as connection:
        connection.execute("UPDATE mvkt_drivers SET token = 'of another', host = 'elsewhere'")
    with pytest.raises(ArtifactError, match="on elsewhere, since"):
        study.ask()
    assert server_lab.look().trials() == ()


def test_many_drivers_begin_at_once_in_an_empty_database(
    server_lab: "ServerLab",
) -> None:
    """Each study finds all tables, and all of them are there; none waits for another's end."""
    failures: list[Exception] = []

    def begin(number: int) -> None:
        folder = StudyFolder(Location.parse(server_lab.folder / f"study-{number}"))
        try:
            with driving(folder, server=ServerAddress.parse(server_lab.server)) as database:
                assert Ledger.find(database, "lab") is None
                Ledger.create(database, "lab").close()
                Ledger.open(database, "lab").close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_server_that_is_not_there_and_a_wrong_password_are_paragraphs(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match=r"cannot be used: .*refused.*PGPASSFILE"):
        take("postgresql://mvkt@127.0.0.1:1/ecg")
    monkeypatch.setenv("PGPASSWORD", "wrong-and-secret")
    with pytest.raises(StoreError, match=r"password authentication failed") as caught:
        take(postgres.url("postgres"))
    assert "wrong-and-secret" not in str(caught.value)
