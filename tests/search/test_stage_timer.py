"""Times of stages are sums over all starts, whether a start ended or was killed."""

import itertools
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.stage_timer import StageTimer, timed_stage
from mvkt_ray.storage.location import Location
from tests.patience import PATIENCE_S

STARTS = st.lists(st.lists(st.integers(0, 5000), min_size=1, max_size=4), min_size=1, max_size=4)


@given(STARTS)
@settings(max_examples=15)
def test_notes_of_all_starts_add_up_to_the_time_that_passed(
    tmp_path_factory: pytest.TempPathFactory, starts: list[list[int]]
) -> None:
    folder = StudyFolder(Location.parse(tmp_path_factory.mktemp("study")))
    for steps in starts:
        passed = itertools.chain([0], itertools.accumulate(steps))
        timer = StageTimer(folder, "trials", clock=lambda passed=passed: float(next(passed)))
        for _ in steps:
            timer.note()
        # Then it is killed: nothing is noted in the end.
    assert folder.stage_times() == {"trials": float(sum(map(sum, starts)))}


def test_a_stage_that_is_killed_has_noted_its_time_before(tmp_path: Path) -> None:
    folder = StudyFolder(Location.parse(tmp_path))
    noted = threading.Event()
    ticks = itertools.count()

    class Timer(StageTimer):
        def note(self) -> None:
            super().note()
            noted.set()

    timer = Timer(folder, "teacher", clock=lambda: float(next(ticks)))
    with timer.noting(every_s=0.001):
        assert noted.wait(PATIENCE_S)
        assert folder.stage_times()["teacher"] >= 1.0


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def stage_started(self, stage: str, what: str) -> None:
        self.heard.append(f"{stage} started")

    def stage_progress(self, done: int, total: int) -> None: ...

    def stage_epoch(self, metrics: object) -> None: ...

    def stage_finished(self, stage: str, what: str, reused: bool) -> None:
        self.heard.append(f"{stage} finished")


def test_a_stage_that_fails_counts_and_raises_what_it_raised(tmp_path: Path) -> None:
    folder = StudyFolder(Location.parse(tmp_path))
    listener = Listener()
    with pytest.raises(KeyboardInterrupt), timed_stage(folder, listener, "shards", "some"):
        raise KeyboardInterrupt
    assert list(folder.stage_times()) == ["shards"]
    assert listener.heard == ["shards started"]
    folder.stages_file.delete()
    folder.stages_file.make_directory()
    with pytest.raises(ZeroDivisionError), timed_stage(folder, listener, "shards", "some"):
        raise ZeroDivisionError
