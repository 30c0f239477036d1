"""Trials and teachers that do what a test tells them to, and a driver that a test can kill.

Workers get these functions by value (see conftest.py). What a trial is to do beside its epochs
stands in `plans/<number>.json` of the study's folder, and is done in its first attempt only.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import PrunerConfig, SearchConfig
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.views import View
from mvkt_ray.errors import DataError
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase, driving
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import TrialInputs
from tests.begun_study import begun_study

EPOCHS = 4
LEADS = ("I", "II", "III")
DEADLINE_S = 400.0
"""For what a trial waits for: a loaded machine takes its time."""


def open_study(
    folder: Path,
    n_trials: int,
    *,
    leads: tuple[str, ...] = LEADS,
    resume: bool = False,
    trial: WorkersConfig | None = None,
    prune: bool = False,
    max_concurrent: int | None = None,
    ledger: LedgerDatabase | None = None,
) -> Study:
    pruner = PrunerConfig(kind="successive_halving", min_epochs=1, reduction_factor=2)
    config = StudyConfig(
        name="stand-in",
        student=StudentConfig(epochs=EPOCHS),
        search=SearchConfig(
            leads=leads,
            n_trials=n_trials,
            sampler="random",
            baselines=(),
            pruner=pruner if prune else PrunerConfig(kind="none"),
        ),
        resources=ResourcesConfig(
            trial=trial or WorkersConfig(), max_concurrent_trials=max_concurrent
        ),
    )
    return begun_study(
        config,
        SearchSpace.from_config(config, LEADS),
        ledger or LedgerDatabase(f"sqlite:///{folder}/ledger.db"),
        resume=resume,
        inputs={"shards": "none"},
    )


def make_inputs(folder: Path) -> TrialInputs:
    return TrialInputs(
        shards=str(folder),
        task=Task(name="stand-in", classes=("A",), class_of_code={"a": ("A",)}),
        folds=FoldsConfig(),
        min_likelihood=0.0,
        view=View(
            leads=LEADS,
            crop_samples=250,
            grid_samples=50,
            stride_samples=125,
            mean_mv=0.0,
            std_mv=1.0,
        ),
        student=StudentConfig(epochs=EPOCHS),
        knowledge=None,
        teacher=None,
        study_seed=0,
        trials=str(folder / "trials"),
        precision="float32",
    )


def plan(folder: Path, number: int, **what: Any) -> None:
    (folder / "plans").mkdir(exist_ok=True)
    (folder / "plans" / f"{number}.json").write_text(json.dumps(what))


def macro_auroc(number: int, epoch: int) -> float:
    """Later trials are worse, so that a pruner has something to do."""
    return 0.9 - 0.02 * number + 0.001 * epoch


def run_stand_in(
    trial: Trial, inputs: TrialInputs, report: Callable[[EpochMetrics], Decision]
) -> TrialResult:
    """Go through epochs with a checkpoint of one number, as `run_trial` does with a real one."""
    study = Path(inputs.trials).parent
    folder = Path(inputs.trials) / f"{trial.number:05d}"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "epoch"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for epoch in range(1, EPOCHS + 1):
        if epoch > done:
            _mishap(study, folder, trial.number, epoch)
            with (folder / "trained.txt").open("a") as stream:
                stream.write(f"{epoch} {os.getpid()}\n")
            aside = folder / f"epoch.{os.getpid()}"
            aside.write_text(str(epoch))
            os.replace(aside, checkpoint)
        value = macro_auroc(trial.number, epoch)
        if report(EpochMetrics(epoch=epoch, macro_auroc=value)) is Decision.PRUNE:
            return _result(trial, TrialState.PRUNED, epoch)
    return _result(trial, TrialState.COMPLETE, EPOCHS)


def trained(folder: Path, number: int) -> list[tuple[int, int]]:
    """Return (epoch, process) of every epoch that a trial trained, over all attempts."""
    path = folder / "trials" / f"{number:05d}" / "trained.txt"
    if not path.exists():
        return []
    pairs = [line.split() for line in path.read_text().splitlines()]
    return [(int(epoch), int(process)) for epoch, process in pairs]


def run_on_ranks(
    trial: Trial, inputs: TrialInputs, report: Callable[[EpochMetrics], Decision]
) -> TrialResult:
    """Agree on every epoch over a real process group; only the first rank reports."""
    import torch
    from torch import distributed

    rank, n_ranks = distributed.get_rank(), distributed.get_world_size()
    study = Path(inputs.trials).parent
    folder = Path(inputs.trials) / f"{trial.number:05d}"
    folder.mkdir(parents=True, exist_ok=True)
    for epoch in range(1, EPOCHS + 1):
        if rank == n_ranks - 1:
            _mishap(study, folder, trial.number, epoch)
        total = torch.tensor([float(rank + 1)])
        distributed.all_reduce(total)
        decision = Decision.CONTINUE
        if rank == 0:
            value = macro_auroc(trial.number, epoch)
            losses = {"total": float(total)}
            decision = report(EpochMetrics(epoch=epoch, macro_auroc=value, losses=losses))
        stop = torch.tensor([float(decision is Decision.PRUNE)])
        distributed.broadcast(stop, src=0)
        if float(stop):
            return _result(trial, TrialState.PRUNED, epoch)
    return _result(trial, TrialState.COMPLETE, EPOCHS)


@dataclass(frozen=True, slots=True)
class StandInJob:
    """As much of a `TeacherJob` as a runner looks at, and what is to happen."""

    do: str
    shards: str


def teach_stand_in(job: StandInJob, out: str, report: Callable[[EpochMetrics], None]) -> None:
    """Report two epochs from the first rank, then do what the job says."""
    from torch import distributed

    is_first = not distributed.is_initialized() or distributed.get_rank() == 0
    n_ranks = distributed.get_world_size() if distributed.is_initialized() else 1
    if is_first:
        for epoch in (1, 2):
            report(EpochMetrics(epoch=epoch, macro_auroc=0.5, n_examples=n_ranks))
    if n_ranks > 1:
        distributed.barrier()
    if job.do == "tell threads":
        import torch

        raise DataError(f"{torch.get_num_threads()} threads")
    if job.do == "raise":
        raise DataError("the teacher's recordings are wrong")
    if job.do == "die once" and not Path(out).exists():
        Path(out).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def double(value: int) -> int:
    if value == 13:
        raise DataError("13 is not to be doubled")
    return 2 * value


def node_of(item: int) -> str:
    """Return the node that an item of a map is on."""
    import ray

    return ray.get_runtime_context().get_node_id()


def halve_or_defect(value: int) -> int:
    return {1: 0}[value]


def fill_the_disk(item: int) -> None:
    with open("/dev/full", "wb", buffering=0) as stream:
        stream.write(b"x")


def search_path(item: int) -> list[str]:
    return list(sys.path)


def die_the_first_time(path: str) -> str:
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path


def _result(trial: Trial, state: TrialState, epoch: int) -> TrialResult:
    value = macro_auroc(trial.number, epoch)
    return TrialResult(number=trial.number, state=state, epochs=epoch, macro_auroc=value)


def _mishap(study: Path, folder: Path, number: int, epoch: int) -> None:
    path = study / "plans" / f"{number}.json"
    if not path.exists():
        return
    what = json.loads(path.read_text())
    if what["epoch"] != epoch:
        return
    if what["do"] == "raise":
        raise DataError("this trial's recordings are wrong")
    if what["do"] == "wait":
        _wait_for(study / "go")
        return
    if what["do"] == "always die":
        os.kill(os.getpid(), signal.SIGKILL)
    happened = folder / "happened"
    if happened.exists():
        return
    happened.touch()
    if what["do"] == "fill the disk":
        fill_the_disk(number)
    if what["do"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what["do"] == "fill memory":
        _fill_memory(what["gigabytes"])


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not appear")
        time.sleep(0.02)


def _fill_memory(gigabytes: float) -> None:
    held = []
    for _ in range(int(gigabytes * 10)):
        held.append(b"\1" * 100_000_000)
        time.sleep(0.05)
    _wait_for(Path("/nonexistent"))


def main() -> None:
    """Run a study as a command does.

    `stand_ins.py FOLDER N_TRIALS new|resume [ADDRESS [LEDGER]]`; the ledger's URL is of a server.
    """
    from mvkt_ray.on_ray.driver import OnRay

    folder, n_trials, mode = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    address, server = [*sys.argv[4:], None, None][:2]
    try:
        n_cpus = 2 if address is None else None
        with (
            driving(
                StudyFolder(Location.parse(folder)),
                server=None if server is None else ServerAddress.parse(server),
            ) as ledger,
            OnRay.connect(address, n_cpus=n_cpus, run_trial=run_stand_in) as runner,
        ):
            study = open_study(folder, n_trials, resume=mode == "resume", ledger=ledger)
            runner.run_trials(study, make_inputs(folder), lambda: None)
            study.close()
    except KeyboardInterrupt:
        (folder / "interrupted").touch()
        raise


if __name__ == "__main__":
    main()
