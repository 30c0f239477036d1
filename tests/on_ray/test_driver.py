"""One Ray instance for everything that fits on one machine."""

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import stand_ins
from ray.exceptions import RayError
from stand_ins import EPOCHS, make_inputs, open_study, plan, trained

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.errors import ClusterError, DataError, MachineError, WorkerLostError
from mvkt_ray.on_ray import running_trials
from mvkt_ray.on_ray.driver import OnRay
from mvkt_ray.records import EpochMetrics, TrialResult, TrialState
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from mvkt_ray.training.process import threads_for

pytestmark = pytest.mark.ray

PAIR = WorkersConfig(workers=2)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnRay]:
    # A working directory whose files would hide a module of Python's, and this package.
    here = tmp_path_factory.mktemp("working_directory")
    (here / "statistics.py").write_text("raise ImportError('this is the wrong module')")
    (here / "mvkt_ray").mkdir()
    (here / "mvkt_ray" / "__init__.py").write_text("raise ImportError('this is another checkout')")
    with (
        contextlib.chdir(here),
        OnRay.connect(
            n_cpus=2,
            run_trial=stand_ins.run_stand_in,
            train_teacher=stand_ins.teach_stand_in,
        ) as runner,
    ):
        yield runner
    assert not ray.is_initialized()


def run(runner: OnRay, study: Study, folder: Path) -> None:
    changes: list[int] = []
    runner.run_trials(study, make_inputs(folder), lambda: changes.append(1))
    assert changes
    assert all(record.state.is_finished for record in study.trials())


def job(do: str, folder: Path) -> Any:
    return stand_ins.StandInJob(do, str(folder))


def test_describes_what_there_is(runner: OnRay) -> None:
    assert runner.describe() == "on Ray on this machine: 1 node with 2 CPUs and 0 GPUs in all"


def test_workers_stand_where_the_driver_stands_beside_other_programs(runner: OnRay) -> None:
    [niceness] = set(runner.map(os.nice, [0]))
    assert niceness == os.nice(0)


def test_a_second_connection_is_refused(runner: OnRay) -> None:
    with pytest.raises(ClusterError, match="connected to Ray already"):
        OnRay.connect()


def test_a_map_gives_every_result_once(runner: OnRay) -> None:
    scaled = functools.partial(int.__mul__, 3)
    assert sorted(runner.map(scaled, range(10))) == [3 * value for value in range(10)]
    assert list(runner.map(stand_ins.double, [])) == []


def test_a_map_raises_our_errors_as_themselves(runner: OnRay) -> None:
    with pytest.raises(DataError, match="13 is not to be doubled") as raised:
        list(runner.map(stand_ins.double, [1, 13]))
    assert not isinstance(raised.value, RayError)


def test_a_map_keeps_the_remote_traceback_of_a_defect(runner: OnRay) -> None:
    with pytest.raises(KeyError) as raised:
        list(runner.map(stand_ins.halve_or_defect, [2]))
    assert "halve_or_defect" in "".join(raised.value.__notes__)


def test_a_map_starts_an_item_again_whose_process_was_killed(runner: OnRay, tmp_path: Path) -> None:
    items = [str(tmp_path / name) for name in ("a", "b")]
    assert sorted(runner.map(stand_ins.die_the_first_time, items)) == items


def test_a_teacher_reports_its_epochs_and_survives_a_killed_process(
    runner: OnRay, tmp_path: Path
) -> None:
    runner.check(ResourcesConfig())
    epochs: list[int] = []
    out = Location.parse(tmp_path / "teacher")

    def on_epoch(metrics: EpochMetrics) -> None:
        epochs.append(metrics.epoch)

    runner.train_teacher(job("die once", tmp_path), out, on_epoch)
    # The second attempt has no checkpoint here, so it begins again.
    assert epochs == [1, 2, 1, 2]
    with pytest.raises(DataError, match="the teacher's recordings are wrong"):
        runner.train_teacher(job("raise", tmp_path), out, on_epoch)


@pytest.mark.parametrize("cpus", ["auto", 1])
def test_a_teacher_has_the_node_to_itself_and_as_many_threads_as_cpus(
    runner: OnRay, tmp_path: Path, cpus: Any
) -> None:
    runner.check(ResourcesConfig(teacher=WorkersConfig(cpus_per_worker=cpus)))
    wanted = 2 if cpus == "auto" else cpus
    out = Location.parse(tmp_path / "teacher")
    used = runner.train_teacher(job("nothing", tmp_path), out, lambda _: None)
    assert {held.cpus for held in used.reservations} == {wanted}
    with pytest.raises(DataError, match=f"^{threads_for(wanted)} threads"):
        runner.train_teacher(job("tell threads", tmp_path), out, lambda _: None)
    runner.check(ResourcesConfig())


def test_whatever_befalls_trials_every_one_is_in_the_ledger(
    runner: OnRay, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan(tmp_path, 1, epoch=3, do="die")
    plan(tmp_path, 2, epoch=2, do="raise")
    study = open_study(tmp_path, 9, prune=True, max_concurrent=1)
    run(runner, study, tmp_path)

    records = study.trials()
    assert [record.number for record in records] == list(range(9))
    # The first trial of a lead trains to the end, and those after it are worse.
    states = [record.state for record in records]
    assert states[:3] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAILED]
    assert states[3:5] == [TrialState.PRUNED] * 2

    killed = records[1]
    assert [epoch for epoch, _ in trained(tmp_path, 1)] == list(range(1, EPOCHS + 1))
    assert len(killed.failures) == 1
    assert "WorkerLostError" in killed.failures[0]
    assert killed.values == {
        epoch: stand_ins.macro_auroc(1, epoch) for epoch in range(1, EPOCHS + 1)
    }
    failed = records[2].result
    assert failed is not None
    assert failed.reason == "DataError: this trial's recordings are wrong"
    assert "run_stand_in" in (tmp_path / "trials" / "00002" / "error.txt").read_text()
    pruned = records[3].result
    assert pruned is not None
    assert pruned.epochs == 1
    assert [epoch for epoch, _ in trained(tmp_path, 3)] == [1]

    processes = {process for n in range(9) for _, process in trained(tmp_path, n)}
    assert len(processes) == 2, "one process, and one for the one that was killed"
    log = (tmp_path / "trials" / "00000" / "worker.log").read_text()
    node = records[0].result.node if records[0].result else ""
    assert node.split("/")[1] in log
    assert not (tmp_path / "ray").exists(), "nothing of Tune's is kept"
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == ""


def test_two_trials_run_at_once_on_two_cpus(runner: OnRay, tmp_path: Path) -> None:
    for number in (0, 1):
        plan(tmp_path, number, epoch=2, do="wait")
    study = open_study(tmp_path, 4)

    def free_both_once_both_wait() -> None:
        if all(len(trained(tmp_path, number)) == 1 for number in (0, 1)):
            (tmp_path / "go").touch()

    runner.run_trials(study, make_inputs(tmp_path), free_both_once_both_wait)
    assert [record.state for record in study.trials()] == [TrialState.COMPLETE] * 4


def test_trials_that_get_no_node_are_given_up_in_time_and_go_on_when_there_is_one(
    runner: OnRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Holder:
        def ready(self) -> None:
            pass

    actor: Any = ray.remote(Holder)
    holder = actor.options(num_cpus=2).remote()
    ray.get(holder.ready.remote())
    study = open_study(tmp_path, 2)
    with monkeypatch.context() as patch:
        patch.setattr(running_trials, "NODES_COME_WITHIN_S", 2.0)
        with pytest.raises(ClusterError, match="of 2 trials none has begun, each needs 1 x"):
            runner.run_trials(study, make_inputs(tmp_path), lambda: None)
    study.close()
    ray.kill(holder)
    study = open_study(tmp_path, 2, resume=True)
    assert [record.state for record in study.trials()] == [TrialState.RUNNING] * 2
    run(runner, study, tmp_path)
    assert [record.failures for record in study.trials()] == [()] * 2
    study.close()


def test_an_error_of_the_ledger_comes_back_as_itself(
    runner: OnRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(tmp_path, 1)

    root = OSError("no space left on device")

    def full(*_: object) -> None:
        raise RuntimeError("the commit failed") from root

    monkeypatch.setattr(study, "report", full)
    with pytest.raises(RuntimeError, match="the commit failed") as caught:
        runner.run_trials(study, make_inputs(tmp_path), lambda: None)
    assert caught.value.__cause__ is root, "by which it is told"


def test_trials_of_more_workers_than_there_are_are_refused_before_anything_starts(
    runner: OnRay, tmp_path: Path
) -> None:
    study = open_study(tmp_path, 1, trial=WorkersConfig(gpus_per_worker=1))
    with pytest.raises(ClusterError, match=r"resources\.trial asks for 1 workers"):
        runner.run_trials(study, make_inputs(tmp_path), lambda: None)
    assert study.trials() == ()


def test_a_trial_on_two_ranks_is_pruned_by_the_study_and_survives_a_killed_rank(
    runner: OnRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_run_trial", stand_ins.run_on_ranks)
    study = open_study(tmp_path, 2, leads=("I",), trial=PAIR, prune=True)
    # Ended already: worse than the other one at first, and better from its second epoch on. Each
    # start of Ray Train takes many seconds.
    assert study.ask() is not None
    for epoch in range(1, EPOCHS + 1):
        study.report(0, EpochMetrics(epoch=epoch, macro_auroc=0.5 if epoch == 1 else 0.95))
    study.tell(TrialResult(number=0, state=TrialState.COMPLETE, macro_auroc=0.95, epochs=EPOCHS))
    plan(tmp_path, 1, epoch=2, do="die")
    run(runner, study, tmp_path)

    _, record = study.trials()
    [failure] = record.failures
    assert "WorkerLostError" in failure
    assert record.state is TrialState.PRUNED
    assert record.pruned_at == 2


def test_a_teacher_on_two_ranks_reports_once_and_raises_our_errors(
    runner: OnRay, tmp_path: Path
) -> None:
    runner.check(ResourcesConfig(teacher=PAIR))
    reports: list[EpochMetrics] = []
    out = Location.parse(tmp_path / "teacher")
    with pytest.raises(DataError, match="the teacher's recordings are wrong"):
        runner.train_teacher(job("raise", tmp_path), out, reports.append)
    assert [metrics.epoch for metrics in reports] == [1, 2]
    assert {metrics.n_examples for metrics in reports} == {2}
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_is_lost_too_often_while_others_end_fails_with_its_reason(
    runner: OnRay, tmp_path: Path
) -> None:
    assert WorkerLostError.retriable
    plan(tmp_path, 0, epoch=2, do="always die")
    study = open_study(tmp_path, 2, max_concurrent=1)
    run(runner, study, tmp_path)
    lost, other = study.trials()
    assert other.state is TrialState.COMPLETE
    assert lost.state is TrialState.FAILED
    assert len(lost.failures) == 3
    assert lost.result is not None
    assert lost.result.reason.startswith("WorkerLostError: A process or its node is gone")


def test_a_full_disk_under_a_trial_stops_the_study_and_it_goes_on_when_there_is_room(
    runner: OnRay, tmp_path: Path
) -> None:
    plan(tmp_path, 1, epoch=3, do="fill the disk")
    study = open_study(tmp_path, 3, max_concurrent=1)
    with pytest.raises(MachineError, match=r"On node .*No space left on device.*--resume"):
        runner.run_trials(study, make_inputs(tmp_path), lambda: None)
    states = [record.state for record in study.trials()]
    assert states == [TrialState.COMPLETE, TrialState.RUNNING]
    study.close()
    again = open_study(tmp_path, 3, max_concurrent=1, resume=True)
    run(runner, again, tmp_path)
    assert [record.state for record in again.trials()] == [TrialState.COMPLETE] * 3
    assert [epoch for epoch, _ in trained(tmp_path, 1)] == list(range(1, EPOCHS + 1))


def test_a_full_disk_under_an_item_of_a_map_is_named_with_its_machine(runner: OnRay) -> None:
    with pytest.raises(MachineError, match=r"On node .*No space left on device"):
        list(runner.map(stand_ins.fill_the_disk, [1]))


def test_workers_look_for_modules_where_this_process_does(runner: OnRay) -> None:
    """Not in the working directory, unless this process looks there, too."""
    [path] = runner.map(stand_ins.search_path, [1])
    standard = next(n for n, entry in enumerate(sys.path) if entry.endswith(".zip"))
    here = [os.path.abspath(entry) for entry in sys.path[:standard]]
    assert path[: len(here)] == here
    assert set(path) - {os.path.abspath(entry) for entry in sys.path} == {
        str(Path(ray.__file__).parent / "_private" / "workers")
    }
