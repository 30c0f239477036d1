import errno
import functools
import operator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.config.search_config import PrunerConfig
from mvkt_ray.errors import ConfigError, MachineError, WorkerLostError
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.search import in_process
from mvkt_ray.search.in_process import InProcess, Report
from mvkt_ray.search.study import Study
from mvkt_ray.slots import MOST_CPUS_OF_A_TEACHER, own_cores
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import TrialInputs
from mvkt_ray.training.teacher import TeacherJob

if TYPE_CHECKING:
    from conftest import Lab


class FakeInputs:
    """All that the runner itself reads of its inputs."""

    def __init__(self, trials: Path) -> None:
        self.trials = str(trials)


def inputs(lab: "Lab") -> TrialInputs:
    return cast(TrialInputs, FakeInputs(lab.folder / "trials"))


def train(lab: "Lab", trial: Trial, _: TrialInputs, report: Report) -> TrialResult:
    value, epoch, state = 0.0, 0, TrialState.COMPLETE
    for epoch in range(1, 7):
        value = lab.curve.at(trial, epoch)
        if report(EpochMetrics(epoch=epoch, macro_auroc=value)) is Decision.PRUNE:
            state = TrialState.PRUNED
            break
    return TrialResult(number=trial.number, state=state, macro_auroc=value, epochs=epoch)


def test_every_trial_is_run_and_every_report_and_end_is_told(lab: "Lab") -> None:
    study = lab.open(lab.config())
    seen: list[int] = []
    runner = InProcess(run_trial=functools.partial(train, lab))
    runner.run_trials(
        study, inputs(lab), lambda: seen.append(sum(len(r.values) for r in study.trials()))
    )
    assert all(record.state.is_finished for record in study.trials())
    n_values = sum(len(record.values) for record in study.trials())
    assert sorted(set(seen)) == list(range(n_values + 1))


def test_a_trial_that_breaks_is_recorded_with_its_traceback_and_the_others_go_on(
    lab: "Lab",
) -> None:
    def break_sometimes(trial: Trial, given: TrialInputs, report: Report) -> TrialResult:
        if trial.number == 5:
            raise ZeroDivisionError("a defect\nof ours")
        if trial.number == 6:
            raise ConfigError("batch_size is 7, which cannot be")
        return train(lab, trial, given, report)

    study = lab.open(lab.config())
    InProcess(run_trial=break_sometimes).run_trials(study, inputs(lab), lambda: None)
    failed = [record for record in study.trials() if record.state is TrialState.FAILED]
    reasons = [record.result.reason for record in failed if record.result is not None]
    assert reasons == [
        "ZeroDivisionError: a defect of ours",
        "ConfigError: batch_size is 7, which cannot be",
    ]
    text = (lab.folder / "trials" / "00005" / "error.txt").read_text()
    assert "Traceback" in text
    assert "break_sometimes" in text
    assert len(study.trials()) == 14


def test_a_trial_that_lost_its_worker_is_run_again(lab: "Lab") -> None:
    attempts: list[int] = []

    def lose_once(trial: Trial, given: TrialInputs, report: Report) -> TrialResult:
        attempts.append(trial.number)
        if attempts.count(trial.number) == 1 and trial.number == 2:
            raise WorkerLostError("the node is gone")
        return train(lab, trial, given, report)

    study = lab.open(lab.config())
    InProcess(run_trial=lose_once).run_trials(study, inputs(lab), lambda: None)
    assert attempts[:4] == [0, 1, 2, 2]
    assert study.trials()[2].state is TrialState.COMPLETE


def test_an_interrupted_search_leaves_its_trial_to_be_run_again(lab: "Lab") -> None:
    def interrupt(trial: Trial, given: TrialInputs, report: Report) -> TrialResult:
        if trial.number == 3:
            report(EpochMetrics(epoch=1, macro_auroc=0.6))
            raise KeyboardInterrupt
        return train(lab, trial, given, report)

    study = lab.open(lab.config())
    with pytest.raises(KeyboardInterrupt):
        InProcess(run_trial=interrupt).run_trials(study, inputs(lab), lambda: None)
    again = lab.open(lab.config(), resume=True)
    assert again.trials()[3].values == {1: 0.6}
    interrupted = again.ask()
    assert interrupted is not None
    assert interrupted.number == 3


def test_a_ledger_that_cannot_be_written_ends_the_search_and_is_no_fault_of_the_trial(
    lab: "Lab", monkeypatch: pytest.MonkeyPatch
) -> None:
    root = OSError("no space left on device")

    def fail(*_: Any) -> Decision:
        raise RuntimeError("the commit failed") from root

    study = lab.open(lab.config())
    monkeypatch.setattr(Study, "report", fail)
    with pytest.raises(RuntimeError, match="the commit failed") as caught:
        InProcess(run_trial=functools.partial(train, lab)).run_trials(
            study, inputs(lab), lambda: None
        )
    assert caught.value.__cause__ is root, "by which it is told"
    assert [record.state for record in study.trials()] == [TrialState.RUNNING]


FAULTS = [
    OSError(errno.ENOSPC, "No space left on device", "/study/trials/00003/checkpoint.pt"),
    FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/shards/a.arrow"),
    RuntimeError("CUDA error: unspecified launch failure"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_what_the_machine_does_stops_the_search_and_leaves_its_trial_open(
    lab: "Lab", fault: Exception
) -> None:
    def fail_in_the_third(trial: Trial, given: TrialInputs, report: Report) -> TrialResult:
        if trial.number == 2:
            raise RuntimeError("the symptom") from fault
        return train(lab, trial, given, report)

    config = lab.config(
        n_trials=4, baselines=(), sampler="random", pruner=PrunerConfig(kind="none")
    )
    study = lab.open(config)
    with pytest.raises(MachineError) as caught:
        InProcess(run_trial=fail_in_the_third).run_trials(study, inputs(lab), lambda: None)
    assert str(fault).split("'")[0] in str(caught.value)
    states = [record.state for record in study.trials()]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.RUNNING]
    again = lab.open(config, resume=True)
    InProcess(run_trial=functools.partial(train, lab)).run_trials(again, inputs(lab), lambda: None)
    assert [record.state for record in again.trials()] == [TrialState.COMPLETE] * 4


def test_a_plan_with_several_workers_or_missing_gpus_is_refused() -> None:
    runner = InProcess()
    runner.check(ResourcesConfig())
    with pytest.raises(ConfigError, match=r"resources.trial.workers is 2.*run on Ray"):
        runner.check(ResourcesConfig(trial=WorkersConfig(workers=2)))
    n_gpus = torch.cuda.device_count() + 1
    with pytest.raises(ConfigError, match=rf"resources.teacher.gpus_per_worker is {n_gpus}"):
        runner.check(ResourcesConfig(teacher=WorkersConfig(gpus_per_worker=n_gpus)))
    students = {"xresnet1d18": WorkersConfig(gpus_per_worker=n_gpus)}
    with pytest.raises(ConfigError, match=rf"students.xresnet1d18.gpus_per_worker is {n_gpus}"):
        runner.check(ResourcesConfig(students=students))


def test_a_trial_is_charged_for_the_workers_of_its_network(lab: "Lab") -> None:
    students = {"xresnet1d18": WorkersConfig(cpus_per_worker=3)}
    config = replace(lab.config(), resources=ResourcesConfig(students=students))
    study = lab.open(config)
    InProcess(run_trial=functools.partial(train, lab)).run_trials(study, inputs(lab), lambda: None)
    held = [each for record in study.trials() for each in record.usage.reservations]
    assert {each.cpus for each in held} == {3}


@pytest.mark.parametrize("said", [None, "1"])
def test_a_teacher_has_the_cores_of_the_process_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str | None
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(
        in_process, "train_teacher", lambda *_: threads.append(torch.get_num_threads())
    )
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    runner, before = InProcess(), torch.get_num_threads()
    runner.check(ResourcesConfig())
    job, cores = cast(TeacherJob, None), min(own_cores(), MOST_CPUS_OF_A_TEACHER)
    used = runner.train_teacher(job, Location.parse(tmp_path), lambda _: None)
    assert threads == [int(said or cores)]
    assert {held.cpus for held in used.reservations} == {cores}
    assert torch.get_num_threads() == before


def test_map_gives_every_result() -> None:
    assert sorted(InProcess().map(operator.neg, [1, 2, 3])) == [-3, -2, -1]
