"""A ledger on an object store: what was answered is there, whoever dies and whenever."""

import random
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.lying_files.damage import DAMAGES, damage
from mvkt_ray.config.objectives import Objective
from mvkt_ray.errors import ArtifactError, StoreError, StoreUnreachableError
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.ledger_shipping import Shipment, ShippingTimes
from mvkt_ray.search.ledger.shipped_ledger import (
    HEAD,
    claim,
    ends_log,
    piece_name,
    read_head,
    restore,
)
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from tests.patience import PATIENCE_S

if TYPE_CHECKING:
    from conftest import Lab

NEVER_LATE = ShippingTimes(late_s=3600.0, patience_s=0.0)
SMALL = replace(NEVER_LATE, generation_bytes=1)
"""A generation begins whenever its log is larger than the database, which is soon."""


class Killed(BaseException):
    """What a kill is to the code that it hits: no handler of Exceptions sees it."""


class Store:
    """A folder that stands in for a bucket: it remembers every request that changed it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = Location.parse(folder)
        self.changes: list[tuple[str, bytes | None]] = []
        """Relative paths with what was put there; with None, a folder that was removed."""
        self.before_put: Callable[[], None] = lambda: None
        self.after_put: Callable[[], None] = lambda: None
        put, delete_tree = Location.write_bytes, Location.delete_tree

        def write_bytes(runner: Location, content: bytes) -> None:
            self.before_put()
            put(runner, content)
            self.changes.append((str(runner).removeprefix(f"{self.root}/"), content))
            self.after_put()

        def delete(runner: Location) -> None:
            delete_tree(runner)
            self.changes.append((str(runner).removeprefix(f"{self.root}/"), None))

        monkeypatch.setattr(Location, "write_bytes", write_bytes)
        monkeypatch.setattr(Location, "delete_tree", delete)

    @property
    def puts(self) -> list[str]:
        """What was written, in order."""
        return [path for path, content in self.changes if content is not None]

    def as_after(self, n_changes: int, folder: Path) -> Location:
        """Make the store as it was after so many changes, elsewhere."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path, content in self.changes[:n_changes]:
            if content is None:
                shutil.rmtree(folder / path)
            else:
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_bytes(content)
        return Location.parse(folder)


class Machine:
    """A machine on which drivers of one study run, one after the other, each with a new disk."""

    def __init__(self, lab: "Lab", store: Store) -> None:
        self.lab, self.store = lab, store
        self.shipments: list[Shipment] = []

    def drive(self, config: Any, times: ShippingTimes = NEVER_LATE, **options: Any) -> Study:
        database = self.lab.folder / f"disk-{len(self.shipments)}.db"
        claimed = claim(self.store.root)
        restore(self.store.root, database)
        shipment = Shipment(self.store.root, database, claimed, times=times, **options)
        self.shipments.append(shipment)
        url = f"sqlite:///{database}"
        return self.lab.open(config, url=url, resume=True, shipment=shipment)

    def read(self, root: Location, config: Any) -> list[Any] | None:
        """What anybody else would read from a store; None: there is no study yet."""
        database = self.lab.folder / "read.db"
        if restore(root, database) is None:
            return None
        study = Study.open(config, LedgerDatabase(f"sqlite:///{database}"))
        try:
            return self.lab.facts(study)
        finally:
            study.close()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    folder = tmp_path / "bucket"
    folder.mkdir()
    return Store(folder, monkeypatch)


@pytest.fixture
def machine(lab: "Lab", store: Store) -> Iterator[Machine]:
    made = Machine(lab, store)
    yield made
    store.before_put = store.after_put = lambda: None
    for study in lab.opened:
        study.close()
    for shipment in made.shipments:
        shipment.abandon()


def short(lab: "Lab", **search: Any) -> Any:
    config = lab.config(**{"n_trials": 7, "n_startup_trials": 2, **search})
    return replace(config, student=replace(config.student, epochs=3))


def uninterrupted(lab: "Lab", config: Any) -> list[Any]:
    study = lab.open(config, url="sqlite://")
    lab.run(study)
    return lab.facts(study)


def run_noting(lab: "Lab", study: Study, store: Store, note: Callable[[bool], None]) -> None:
    """Run a study; note after every call whether what it changed must be on the store by now."""
    while (trial := study.ask()) is not None:
        note(True)
        value, epoch, state = 0.0, 0, TrialState.COMPLETE
        for epoch in range(1, study.config.student.epochs + 1):
            value, n_puts = lab.curve.at(trial, epoch), len(store.puts)
            metrics = EpochMetrics(epoch=epoch, macro_auroc=value)
            is_pruned = study.report(trial.number, metrics) is Decision.PRUNE
            assert len(store.puts) > n_puts or not is_pruned
            note(len(store.puts) > n_puts)
            if is_pruned:
                state = TrialState.PRUNED
                break
        study.tell(ended(trial, state, value, epoch))
        note(True)


def ended(trial: Trial, state: TrialState, value: float, epochs: int) -> TrialResult:
    return TrialResult(number=trial.number, state=state, macro_auroc=value, epochs=epochs)


def test_after_every_request_the_store_holds_all_that_was_answered_and_a_state_that_once_was(
    lab: "Lab", store: Store, machine: Machine, tmp_path: Path
) -> None:
    config = short(lab, n_trials=9, baselines=("student_alone",))
    study = machine.drive(config, SMALL)
    states, answered = [lab.facts(study)], dict[int, int]()
    """States in their order; how many requests there were when each was known to be kept."""

    def note(is_kept: bool) -> None:
        states.append(lab.facts(study))
        if is_kept:
            answered[len(states) - 1] = len(store.changes)

    run_noting(lab, study, store, note)

    assert TrialState.PRUNED in {record.state for record in study.trials()}
    assert len({path.split("/")[0] for path in store.puts}) > 3, "too few generations for the test"
    n_before = 0
    for n_changes in range(len(store.changes) + 1):
        found = machine.read(store.as_after(n_changes, tmp_path / "then"), config)
        if found is None:
            assert n_changes < 3  # the claim, and the first snapshot
            continue
        n_state = max(index for index, state in enumerate(states) if state == found)
        kept = [index for index, n_then in answered.items() if n_then <= n_changes]
        assert n_state >= max(kept, default=0)
        assert n_state >= n_before
        n_before = n_state
    assert n_before == len(states) - 1


def test_a_study_of_several_objectives_goes_on_elsewhere_and_keeps_their_names(
    lab: "Lab", store: Store, machine: Machine
) -> None:
    objectives: tuple[Objective, ...] = ("macro_auroc", "parameters")
    config = short(lab, objectives=objectives, sampler="nsga2")
    study = machine.drive(config, SMALL)
    lab.run(study, until=lambda: len(study.trials()) == 5)
    machine.shipments[-1].abandon()
    resumed = machine.drive(config, SMALL)
    lab.run(resumed)
    assert lab.facts(resumed) == uninterrupted(lab, config)
    theirs = optuna.load_study(study_name="lab", storage=f"sqlite:///{lab.folder / 'disk-1.db'}")
    assert theirs.metric_names == list(objectives)
    assert len(theirs.best_trials) > 0


def test_each_answer_costs_one_request(lab: "Lab", store: Store, machine: Machine) -> None:
    config = short(lab, pruner=replace(lab.config().search.pruner, min_epochs=2))

    def puts(action: Callable[[], object]) -> int:
        n_before = len(store.puts)
        action()
        return len(store.puts) - n_before

    assert puts(lambda: machine.drive(config)) == 3  # the claim, the first snapshot and the head
    study = lab.opened[-1]
    for _ in range(6):
        earlier = study.ask()
        assert earlier is not None
        lab.train(study, earlier)
    n_before = len(store.puts)
    trial = study.ask()
    assert trial is not None
    assert len(store.puts) - n_before == 1
    epochs = [EpochMetrics(epoch=epoch, macro_auroc=0.5) for epoch in (1, 2)]
    assert puts(lambda: study.report(trial.number, epochs[0])) == 0  # nothing was decided
    assert puts(lambda: study.report(trial.number, epochs[1])) == 1  # at a rung of the pruner
    assert puts(lambda: study.report(trial.number, epochs[1])) == 0  # told again
    result = ended(trial, TrialState.COMPLETE, 0.5, 2)
    assert puts(lambda: study.tell(result)) == 1
    assert puts(lambda: study.tell(result)) == 0


@pytest.mark.parametrize("written", [False, True])
def test_drivers_that_die_at_every_request_and_go_on_elsewhere_end_with_the_same_trials(
    lab: "Lab", store: Store, machine: Machine, written: bool
) -> None:
    config = short(lab)
    expected = uninterrupted(lab, config)
    left = [0]

    def die() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    n_dead, n_puts = 0, len(store.puts)
    while True:
        # Each driver comes one request further than the one before; at least one.
        left[0] = 1 + n_dead % 3
        store.before_put, store.after_put = (lambda: None, die) if written else (die, lambda: None)
        study = None
        try:
            study = machine.drive(config, SMALL)
            lab.run(study)
        except Killed:
            n_dead += 1
            # A dead driver ships nothing more.
            machine.shipments[-1].abandon()
        else:
            break
    store.before_put = store.after_put = lambda: None
    assert n_dead > 10
    assert len(store.puts) > n_puts
    assert lab.facts(study) == expected
    assert machine.read(store.root, config) == expected


def test_a_ledger_whose_objects_were_damaged_is_refused_and_a_copy_mends_it(
    lab: "Lab", store: Store, machine: Machine, tmp_path: Path
) -> None:
    config = short(lab)
    study = machine.drive(config)
    lab.run(study)
    head = read_head(store.root)
    assert head is not None
    expected = lab.facts(study)
    root = store.as_after(len(store.changes), tmp_path / "damaged")
    objects = sorted(root.file_sizes())
    assert len(objects) > 10

    def drive() -> None:
        claim(root)
        restore(root, tmp_path / "driver.db")

    @settings(max_examples=30, deadline=None)
    @given(st.sampled_from(objects), st.sampled_from(DAMAGES), st.randoms(use_true_random=False))
    def check(name: str, how: str, rng: random.Random) -> None:
        file = root.local_path / name
        whole = file.read_bytes()
        others = [root.local_path / other for other in objects if other != name]
        if not damage(file, how, rng, others):
            return
        named = name if name == HEAD else head.generation
        try:
            with pytest.raises(ArtifactError, match=rf"{re.escape(named)}.*[Rr]estore"):
                machine.read(root, config)
            if name != HEAD:
                # A driver claims the ledger before it reads, which must not spoil the mended one.
                with pytest.raises(ArtifactError, match=r"[Rr]estore"):
                    drive()
        finally:
            file.write_bytes(whole)
        assert machine.read(root, config) == expected

    check()
    (root / head.generation / piece_name(0)).delete()
    with pytest.raises(ArtifactError, match=r"damaged.*ends at byte 0, is missing.*Restore"):
        machine.read(root, config)


def test_what_a_displaced_driver_still_ships_is_in_nobodys_ledger(
    lab: "Lab", store: Store, machine: Machine
) -> None:
    config = short(lab)
    displaced = machine.drive(config, SMALL)
    lab.run(displaced, until=lambda: len(displaced.trials()) == 2)
    lab.run(displaced, until=lambda: len(store.puts) > 0)
    other = machine.drive(config, SMALL)
    expected = uninterrupted(lab, config)
    trial = other.ask()
    assert trial is not None
    # Both write now; the head names the other's generation alone.
    with pytest.raises((ArtifactError, StoreError), match="another driver"):
        lab.run(displaced)
    lab.train(other, trial)
    lab.run(other)
    assert machine.read(store.root, config) == lab.facts(other) == expected


def test_a_driver_that_may_not_write_any_more_writes_and_answers_nothing(
    lab: "Lab", store: Store, machine: Machine
) -> None:
    taken: list[bool] = []

    def may_write() -> None:
        if taken:
            raise ArtifactError("another driver has taken the study over")

    config = short(lab)
    study = machine.drive(config, may_write=may_write)
    lab.run(study, until=lambda: len(study.trials()) == 2)
    kept, n_puts = machine.read(store.root, config), len(store.puts)
    taken.append(True)
    with pytest.raises(ArtifactError, match="another driver"):
        study.ask()
    assert len(store.puts) == n_puts
    assert machine.read(store.root, config) == kept


def test_a_store_that_stops_answering_for_a_while_is_asked_again_with_the_same_piece(
    lab: "Lab", store: Store, machine: Machine
) -> None:
    config = short(lab)
    study = machine.drive(config, replace(NEVER_LATE, patience_s=60.0, first_pause_s=0.001))
    tried, n_down = list[str](), [0]

    def fail_thrice_in_four() -> None:
        n_down[0] += 1
        if n_down[0] % 4:
            raise StoreUnreachableError("the store does not answer")
        tried.append("")

    store.before_put = fail_thrice_in_four
    lab.run(study)
    assert len(tried) > 7
    assert machine.read(store.root, config) == uninterrupted(lab, config)


def test_a_store_that_stays_away_ends_the_search_and_nothing_is_lost(
    lab: "Lab", store: Store, machine: Machine
) -> None:
    config = short(lab)
    study = machine.drive(config, replace(NEVER_LATE, patience_s=0.02, first_pause_s=0.001))
    lab.run(study, until=lambda: len(study.trials()) == 3)
    kept, n_tries = machine.read(store.root, config), [0]

    def fail() -> None:
        n_tries[0] += 1
        raise StoreUnreachableError("the store does not answer")

    store.before_put = fail
    with pytest.raises(StoreUnreachableError, match=r"does not answer.*all trials.*--resume"):
        study.ask()
    assert n_tries[0] > 2
    # It is not asked anew for every call that follows: whoever stops stops at once.
    with pytest.raises(StoreUnreachableError):
        study.ask()
    n_then = n_tries[0]
    machine.shipments[-1].close()
    assert n_tries[0] == n_then
    store.before_put = lambda: None
    assert machine.read(store.root, config) == kept
    resumed = machine.drive(config)
    lab.run(resumed)
    assert lab.facts(resumed) == uninterrupted(lab, config)


def test_a_piece_whose_request_was_broken_off_is_written_again_with_the_same_bytes(
    lab: "Lab", store: Store, machine: Machine
) -> None:
    config = short(lab)
    study = machine.drive(config)
    trial = study.ask()
    assert trial is not None

    def interrupt() -> None:
        raise KeyboardInterrupt

    store.after_put = interrupt
    with pytest.raises(KeyboardInterrupt):
        study.tell(TrialResult(number=0, state=TrialState.DIVERGED, epochs=1))
    broken_off = store.changes[-1]
    store.after_put = lambda: None
    assert study.ask() is not None
    assert store.changes[-2] == broken_off
    found = machine.read(store.root, config)
    assert found is not None
    assert [record.state for record in found] == [TrialState.DIVERGED, TrialState.RUNNING]


def test_what_may_be_late_is_shipped_by_itself_and_when_the_driver_ends(
    lab: "Lab", store: Store, machine: Machine
) -> None:
    config, arrived = short(lab), threading.Event()
    study = machine.drive(config, replace(NEVER_LATE, late_s=1.0))
    trial = study.ask()
    assert trial is not None
    store.after_put = arrived.set
    study.report(0, EpochMetrics(epoch=1, macro_auroc=0.5))
    assert arrived.wait(PATIENCE_S)
    store.after_put = lambda: None
    machine.shipments[-1].close()

    resumed = machine.drive(config)
    assert resumed.trials()[0].values == {1: 0.5}
    resumed.report(0, EpochMetrics(epoch=2, macro_auroc=0.6))
    machine.shipments[-1].close()
    found = machine.read(store.root, config)
    assert found is not None
    assert found[0].values == {1: 0.5, 2: 0.6}


def test_a_driver_that_writes_nothing_changes_nothing(
    lab: "Lab", store: Store, machine: Machine
) -> None:
    config = short(lab)
    lab.run(machine.drive(config))
    read, puts = machine.read(store.root, config), set(store.puts)
    again = machine.drive(config)
    assert again.ask() is None
    machine.shipments[-1].close()
    head = read_head(store.root)
    assert head is not None
    # The claim alone, and an empty piece that closes the log of the driver before.
    new = set(store.puts) - puts
    assert [path.rpartition("-")[0] for path in new] == [f"{head.generation}/wal"]
    content = store.changes[-1][1]
    assert content is not None
    assert ends_log(store.changes[-1][0].rpartition("/")[2], len(content))
    assert machine.read(store.root, config) == read


def test_a_driver_that_looks_for_a_ledger_and_begins_none_ships_nothing(
    lab: "Lab", store: Store
) -> None:
    file = lab.folder / "disk.db"
    shipment = Shipment(store.root, file, claim(store.root), times=NEVER_LATE)
    n_changes = len(store.changes)
    assert Ledger.find(LedgerDatabase(f"sqlite:///{file}", shipment), "lab") is None
    shipment.close()
    assert len(store.changes) == n_changes
    assert read_head(store.root) is None


def test_a_reader_under_whose_hands_a_generation_ends_reads_the_next_one(
    lab: "Lab", store: Store, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = short(lab)
    study = machine.drive(config, SMALL)
    lab.run(study, until=lambda: len(study.trials()) == 2)
    n_heads = store.puts.count(HEAD)
    read, is_first = Location.file_sizes, [True]

    def list_late(runner: Location) -> dict[str, int]:
        if is_first[0]:
            is_first[0] = False
            lab.run(study)
        return read(runner)

    monkeypatch.setattr(Location, "file_sizes", list_late)
    assert machine.read(store.root, config) == lab.facts(study)
    assert store.puts.count(HEAD) > n_heads


def test_pieces_are_listed_in_the_order_of_their_bytes() -> None:
    starts = [0, 5, 4096, 10**9, 10**12]
    assert sorted(map(piece_name, starts)) == [piece_name(start) for start in starts]
