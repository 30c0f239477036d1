"""Trials one after the other in this process: no Ray, for laptops, tests and breakpoints."""

import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import torch

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import (
    Decision,
    EpochMetrics,
    Trial,
    TrialResult,
    Usage,
)
from mvkt_ray.search.runner import AskTell
from mvkt_ray.search.spending.metering import Meter
from mvkt_ray.slots import Node, gpu_slots, own_cores, with_settled_teacher
from mvkt_ray.storage.location import Location
from mvkt_ray.training.process import threads_for, torch_threads
from mvkt_ray.training.student import (
    TrialInputs,
    failed_result,
    machine_fault_behind,
    run_trial,
)
from mvkt_ray.training.teacher import TeacherJob, train_teacher
from mvkt_ray.training.trial_files import TrialFolder

Item = TypeVar("Item")
Result = TypeVar("Result")
Report = Callable[[EpochMetrics], Decision]
RunTrial = Callable[[Trial, TrialInputs, Report], TrialResult]

_ONE_WORKER = ("this machine",)


class InProcess:
    """Runs everything in this process."""

    def __init__(self, *, n_threads: int = 1, run_trial: RunTrial = run_trial) -> None:
        """Choose how trials are run.

        Args:
            n_threads: Threads of torch. One by default, as in a Ray worker with one core: the
                numbers are then the same.
            run_trial: Trains a trial; tests give others.
        """
        self._n_threads = n_threads
        self._resources = ResourcesConfig()
        self._run_trial = run_trial

    def describe(self) -> str:
        """Say where work runs, in a few words."""
        return "in this process"

    def check(self, resources: ResourcesConfig) -> None:
        """Refuse several workers for one model, and GPUs that are not there.

        Fewer CPUs, or GPUs of another type, than the study asks for do not keep a process from
        training.

        Raises:
            ConfigError: Names the key and what is possible here.
        """
        n_gpus = torch.cuda.device_count()
        self._resources = with_settled_teacher(resources, [Node(cpus=own_cores())])
        for name, asked in resources.models().items():
            if asked.min_workers > 1:
                raise ConfigError(
                    f"resources.{name}.workers is {asked.workers}, but a run in one process has "
                    "one worker. Set it to 1, or run on Ray."
                )
            if asked.gpus_per_worker and not gpu_slots(n_gpus, asked.gpus_per_worker):
                raise ConfigError(
                    f"resources.{name}.gpus_per_worker is {asked.gpus_per_worker:g}, but this "
                    f"machine has {n_gpus} GPUs. Set it to {n_gpus} or less."
                )

    def expect_plugins(self, packages: Mapping[str, str]) -> None:
        """Refuse nothing: what this process has found it will find again."""

    def node_kinds(self) -> tuple[Node, ...]:
        """Return this machine, as what it would say of itself."""
        return (Node(cpus=float(os.cpu_count() or 1), gpus=float(torch.cuda.device_count())),)

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        reserving: WorkersConfig | None = None,
        reading: Sequence[Location] = (),
    ) -> Iterator[Result]:
        """Apply a function to each item: items that run a network in a thread for each core.

        Torch leaves Python to the others while it computes, and each has one thread of torch's, so
        that the numbers are those of Ray's workers.
        """
        if reserving is None:
            return map(function, items)
        return self._map_in_threads(function, items)

    def _map_in_threads(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[Result]:
        n_cores = 1 if torch.cuda.is_available() else own_cores()
        waiting = iter(items)
        with torch_threads(1), ThreadPoolExecutor(n_cores) as pool:
            running = {pool.submit(function, item) for item in islice(waiting, n_cores)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(function, item) for item in islice(waiting, len(done))}
                yield from (future.result() for future in done)

    def train_teacher(
        self, job: TeacherJob, out: Location, on_epoch: Callable[[EpochMetrics], None]
    ) -> Usage:
        """Train a teacher here and publish it at `out`; with the threads that Ray would give it."""
        workers = self._resources.teacher
        meter = self._meter(workers)
        with torch_threads(threads_for(min(workers.cpus, own_cores()))):
            train_teacher(job, out, on_epoch)
        return meter.update(_ONE_WORKER)

    def run_trials(
        self, study: AskTell, inputs: TrialInputs, on_change: Callable[[], None]
    ) -> None:
        """Run every trial that is dealt, one at a time; see `Runner`."""
        with torch_threads(self._n_threads):
            while (trial := study.ask()) is not None:
                on_change()
                self._run(trial, study, inputs, on_change)
                on_change()

    def close(self) -> None:
        """Nothing is held."""

    def _run(
        self, trial: Trial, study: AskTell, inputs: TrialInputs, on_change: Callable[[], None]
    ) -> None:
        broken: list[Exception] = []
        meter = self._meter(study.config.resources.of_trial(trial.hyperparameters))

        def report(metrics: EpochMetrics) -> Decision:
            try:
                decision = study.report(trial.number, metrics, meter.update(_ONE_WORKER))
                on_change()
            except Exception as error:
                broken.append(error)
                raise
            return decision

        started, cpu_started = time.perf_counter(), time.process_time()
        try:
            result = self._run_trial(trial, inputs, report)
        except Exception as error:
            if broken:
                # A ledger that cannot be written is no fault of the trial, and ends the search. It
                # keeps its own cause: that tells why.
                raise broken[0]  # noqa: B904
            fault = machine_fault_behind(error, inputs)
            if fault is not None:
                raise fault from error
            # Whatever is wrong with one trial, a defect of ours included, the others go on.
            folder = TrialFolder.of(inputs.trials, trial.number).location
            (folder / "error.txt").write_bytes(traceback.format_exc().encode())
            result = replace(
                failed_result(trial, error),
                wall_s=time.perf_counter() - started,
                cpu_s=time.process_time() - cpu_started,
            )
        study.tell(result, meter.end(_ONE_WORKER, result.state))

    def _meter(self, workers: WorkersConfig) -> Meter:
        [here] = self.node_kinds()
        return Meter(workers, lambda _: here)
