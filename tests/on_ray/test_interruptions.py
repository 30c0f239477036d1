"""A driver in a process of its own, interrupted and killed while trials run."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import stand_ins
from stand_ins import EPOCHS, open_study, plan, trained

from mvkt_ray.records import TrialState
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from tests.patience import PATIENCE_S, wait_until

pytestmark = pytest.mark.ray

N_TRIALS = 5


def start_driver(folder: Path, mode: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, stand_ins.__file__, str(folder), str(N_TRIALS), mode]
    # A terminal sends Ctrl-C to the whole process group, Ray's processes included.
    with (folder / f"{mode}.txt").open("wb") as output:
        return subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def both_are_in_their_second_epoch(folder: Path) -> Callable[[], bool]:
    return lambda: all(len(trained(folder, number)) == 1 for number in (0, 1))


def both_first_reports_are_written(folder: Path) -> bool:
    records = Ledger.open(LedgerDatabase(f"sqlite:///{folder}/ledger.db"), "stand-in").records
    return [set(record.values) for record in records] == [{1}, {1}]


def processes_of(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(driver.pid).children(recursive=True)


def test_a_killed_driver_loses_nothing_and_a_new_one_takes_everything_up(tmp_path: Path) -> None:
    for number in (0, 1):
        plan(tmp_path, number, epoch=2, do="wait")
    driver = start_driver(tmp_path, "new")
    wait_until("the second epochs", both_are_in_their_second_epoch(tmp_path), driver)
    workers = {process for number in (0, 1) for _, process in trained(tmp_path, number)}
    left = processes_of(driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    # A worker that outlives its driver would train beside the one that takes its trial up.
    psutil.wait_procs([process for process in left if process.pid in workers], PATIENCE_S)
    assert not any(psutil.pid_exists(worker) for worker in workers)

    ledger = open_study(tmp_path, N_TRIALS, resume=True)
    assert [record.state for record in ledger.trials()] == [TrialState.RUNNING] * 2
    ledger.close()
    (tmp_path / "go").touch()
    assert start_driver(tmp_path, "resume").wait(PATIENCE_S) == 0

    records = open_study(tmp_path, N_TRIALS, resume=True).trials()
    assert [record.number for record in records] == list(range(N_TRIALS))
    assert [record.state for record in records] == [TrialState.COMPLETE] * N_TRIALS
    for record in records:
        assert sorted(record.values) == list(range(1, EPOCHS + 1))
        epochs = [epoch for epoch, _ in trained(tmp_path, record.number)]
        assert epochs == list(range(1, EPOCHS + 1)), "every epoch was trained once"
    for process in left:
        # Ray's agents linger for a minute; they are ours to end.
        if process.is_running():
            process.kill()


def test_ctrl_c_stops_ray_and_leaves_running_trials_to_be_taken_up(tmp_path: Path) -> None:
    for number in (0, 1):
        plan(tmp_path, number, epoch=2, do="wait")
    driver = start_driver(tmp_path, "new")
    wait_until("the second epochs", both_are_in_their_second_epoch(tmp_path), driver)
    wait_until("the first reports", lambda: both_first_reports_are_written(tmp_path), driver)
    rays = processes_of(driver)
    os.killpg(driver.pid, signal.SIGINT)
    assert driver.wait(PATIENCE_S) != 0
    assert (tmp_path / "interrupted").exists(), "it came through as KeyboardInterrupt"
    assert "KeyboardInterrupt" in (tmp_path / "new.txt").read_text()
    gone, alive = psutil.wait_procs(rays, PATIENCE_S)
    assert len(gone) > 2
    assert alive == []

    study = open_study(tmp_path, N_TRIALS, resume=True)
    assert [record.state for record in study.trials()] == [TrialState.RUNNING] * 2
    assert [set(record.values) for record in study.trials()] == [{1}, {1}]
    first = study.ask()
    assert first is not None
    assert first.number == 0


HANDLED = """
    import signal
    from mvkt_ray.on_ray.driver import OnRay

    signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
    with OnRay.connect(n_cpus=1):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
"""


def test_sigterm_is_the_programs_own_with_ray_and_after_it() -> None:
    code = textwrap.dedent(HANDLED)
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    assert done.stdout == "handled\nhandled\n"
