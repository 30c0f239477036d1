"""Whatever a driver answers is read by the next one, and one that was followed answers no more."""

import contextlib
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mvkt_ray.errors import ArtifactError, StoreUnreachableError
from mvkt_ray.search.ledger.lease import LeaseTimes
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase, driving, reading
from mvkt_ray.search.ledger.ledger_shipping import Shipment, ShippingTimes, connect
from mvkt_ray.search.ledger.shipped_ledger import claim, read_head, restore
from mvkt_ray.search.ledger.sqlite_url import path_of
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.conditional import SharedObject
from mvkt_ray.storage.location import Location
from tests.object_store import S3Server
from tests.patience import PATIENCE_S

ANYBODY_TAKES_OVER = LeaseTimes(lasts_s=0.0, renewed_s=3600.0)


def note(database: Path, shipment: Shipment, said: str, n_bytes: int = 1) -> None:
    """Write a row and have it shipped; whoever comes back from here has answered."""
    with shipment.writing(), closing(connect(database)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (said TEXT, padding BLOB)")
        connection.execute("INSERT INTO notes VALUES (?, ?)", (said, b"x" * n_bytes))


def notes(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        try:
            return [row[0] for row in connection.execute("SELECT said FROM notes ORDER BY rowid")]
        except sqlite3.OperationalError:
            return []


def answer(database: LedgerDatabase, said: str, n_bytes: int = 1) -> None:
    path = path_of(database.url)
    assert path is not None
    assert database.shipment is not None
    note(path, database.shipment, said, n_bytes)


class Held:
    """A request that arrived at the store, and is not looked at before it is let through."""

    def __init__(self, server: S3Server, part: str) -> None:
        self._part = part
        self._is_armed = threading.Event()
        self.arrived, self._let_through = threading.Event(), threading.Event()
        server.before = self._hold

    def arm(self) -> None:
        self._is_armed.set()

    def let_through(self) -> None:
        self._let_through.set()

    def _hold(self, method: str, key: str) -> None:
        if self._is_armed.is_set() and method == "PUT" and self._part in key:
            self._is_armed.clear()
            self.arrived.set()
            assert self._let_through.wait(PATIENCE_S)


@pytest.mark.parametrize(
    ("part", "n_bytes"),
    # A large one ends a generation: its piece arrives, and the head of the next is held.
    [("/wal-", 1), ("/head.json", 5 << 20), ("/snapshot.db", 5 << 20)],
)
def test_a_driver_stopped_before_its_write_has_it_refused_when_another_has_taken_over(
    s3_server: S3Server, part: str, n_bytes: int
) -> None:
    folder = StudyFolder(s3_server.make_bucket("ecg") / "study")
    held = Held(s3_server, part)
    answered = list[str]()

    def sleep_and_wake() -> None:
        with driving(folder, ANYBODY_TAKES_OVER) as database:
            answer(database, "slept: first")
            answered.append("slept: first")
            held.arm()
            answer(database, "slept: second", n_bytes)
            answered.append("slept: second")

    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(sleep_and_wake)
        assert held.arrived.wait(PATIENCE_S)
        with driving(folder, ANYBODY_TAKES_OVER) as database:
            path = path_of(database.url)
            assert path is not None
            read = notes(path)
            assert read[: len(answered)] == answered
            # Before the other one has written anything, and after.
            held.let_through()
            with pytest.raises(ArtifactError, match="another driver has taken"):
                asleep.result(PATIENCE_S)
            answer(database, "other")
    assert answered == ["slept: first"]
    with reading(folder) as database:
        path = path_of(database.url)
        assert path is not None
        assert notes(path) == [*read, "other"]


def test_a_driver_that_wakes_while_it_tidies_up_removes_nothing_of_the_one_that_followed(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StudyFolder(s3_server.make_bucket("ecg") / "study")
    file_sizes, is_first = Location.file_sizes, [True]

    def overtaken(location: Location) -> dict[str, int]:
        if is_first[0]:
            is_first[0] = False
            with driving(folder, ANYBODY_TAKES_OVER) as other:
                answer(other, "other")
        return file_sizes(location)

    with contextlib.suppress(ArtifactError), driving(folder, ANYBODY_TAKES_OVER) as database:
        monkeypatch.setattr(Location, "file_sizes", overtaken)
        answer(database, "slept")
    assert not is_first[0]
    with reading(folder) as database:
        path = path_of(database.url)
        assert path is not None
        assert notes(path) == ["slept", "other"]


class Turns:
    """Lets one of several threads come to its next request to the store, in a given order."""

    def __init__(self, awake: list[tuple[int, int, int]]) -> None:
        self._order = (
            (number, n_turn == lost) for number, n_turns, lost in awake for n_turn in range(n_turns)
        )
        self._changed = threading.Condition()
        self._waiting = set[int]()
        """Who stands before a request."""
        self._is_lost = False
        self._mine = threading.local()
        self._n_running = 0

    @contextlib.contextmanager
    def taking_part(self, number: int) -> Iterator[None]:
        self._mine.number = number
        try:
            yield
        finally:
            self._mine.number = None
            with self._changed:
                self._n_running -= 1
                self._changed.notify_all()

    def request(self) -> bool:
        """Wait for one's turn; return whether the answer gets lost."""
        number = getattr(self._mine, "number", None)
        if number is None:
            return False
        with self._changed:
            self._waiting.add(number)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: number not in self._waiting, PATIENCE_S)
            return self._is_lost

    def run(self, n_drivers: int) -> None:
        """Give turns until all have ended."""
        self._n_running = n_drivers
        while True:
            with self._changed:
                assert self._changed.wait_for(
                    lambda: len(self._waiting) == self._n_running, PATIENCE_S
                )
                if not self._waiting:
                    return
                choice, self._is_lost = next(self._order, (0, False))
                # One that has ended sleeps on.
                number = choice if choice in self._waiting else min(self._waiting)
                self._waiting.remove(number)
                self._changed.notify_all()


AWAKE = st.tuples(st.integers(0, 2), st.integers(1, 12), st.integers(0, 20))
"""A driver, for how many requests it is awake, and the answer to which of them gets lost."""


@example(awake=[(0, 2, 0), (2, 7, 0), (0, 1, 0), (0, 1, 0), (0, 1, 0), (0, 1, 0)]).via(
    "the one that followed removed the old generation, and with it what had closed its log"
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(awake=st.lists(AWAKE, min_size=6, max_size=24))
def test_drivers_without_a_lease_that_sleep_before_any_request_lose_nothing_they_answered(
    awake: list[tuple[int, int, int]],
) -> None:
    turns, answered = Turns(awake), list[str]()
    times = ShippingTimes(
        late_s=3600.0, patience_s=3600.0, first_pause_s=0.0, generation_bytes=20_000
    )

    def after_its_turn(of: type, name: str) -> Any:
        request = getattr(of, name)

        def ask(*words: Any) -> Any:
            is_lost = turns.request()
            got = request(*words)
            if is_lost and name == "_try_put":
                raise StoreUnreachableError("the store does not answer")
            return got

        return ask

    def drive(number: int, root: Location, folder: Path) -> None:
        database = folder / f"{number}.db"
        with turns.taking_part(number), contextlib.suppress(ArtifactError, StoreUnreachableError):
            claimed = claim(root)
            restore(root, database)
            shipment = Shipment(root, database, claimed, times=times)
            try:
                for n_said in range(4):
                    said = f"{number}.{n_said}"
                    note(database, shipment, said, 3000)
                    answered.append(said)
            finally:
                shipment.abandon()

    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        root = Location.parse(Path(name) / "store")
        root.make_directory()
        for of, asking in (
            (SharedObject, "_try_put"),
            (SharedObject, "read"),
            (Location, "file_sizes"),
            (Location, "read_bytes"),
        ):
            patch.setattr(of, asking, after_its_turn(of, asking))
        with ThreadPoolExecutor(3) as pool:
            driven = [pool.submit(drive, number, root, Path(name)) for number in range(3)]
            turns.run(3)
            for one in driven:
                one.result()
        claim(root)
        last = Path(name) / "last.db"
        restore(root, last)
        found = notes(last) if read_head(root) else []
    assert [said for said in answered if said not in found] == []
    assert len(set(found)) == len(found)
