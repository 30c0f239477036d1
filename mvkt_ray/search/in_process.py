"""The runner in this process, one trial after the other: for laptops, tests and breakpoints."""

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
        """Set the threads and the training function.

        Args:
            n_threads: Threads of torch. With the default, 1, the numbers are those of a Ray worker
                with one core.
            run_trial: Trains a trial; tests pass stand-ins.
        """
        self._n_threads = n_threads
        self._resources = ResourcesConfig()
        self._run_trial = run_trial

    def describe(self) -> str:
        """Return a phrase with the place of work."""
        return "in this process"

    def check(self, resources: ResourcesConfig) -> None:
        """Refuse several workers for one model, and more GPUs than this machine has.

        Fewer CPUs, or GPUs of another type, than the study requests are accepted.

        Raises:
            ConfigError: The message has the key and the possible value.
        """
        n_gpus = torch.cuda.device_count()
        self._resources = with_settled_teacher(resources, [Node(cpus=own_cores())])
        for name, workers in resources.models().items():
            if workers.min_workers > 1:
                raise ConfigError(
                    f"resources.{name}.workers is {workers.workers}, but a run in one process has "
                    "one worker. Set it to 1, or run on Ray."
                )
            if workers.gpus_per_worker and not gpu_slots(n_gpus, workers.gpus_per_worker):
                raise ConfigError(
                    f"resources.{name}.gpus_per_worker is {workers.gpus_per_worker:g}, but this "
                    f"machine has {n_gpus} GPUs. Set it to {n_gpus} or less."
                )

    def expect_plugins(self, packages: Mapping[str, str]) -> None:
        """Accept: trials run in this process, which has found the plug-ins already."""

    def node_kinds(self) -> tuple[Node, ...]:
        """Return this machine's CPUs and GPUs."""
        return (Node(cpus=float(os.cpu_count() or 1), gpus=float(torch.cuda.device_count())),)

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        reserving: WorkersConfig | None = None,
        reading: Sequence[Location] = (),
    ) -> Iterator[Result]:
        """Yield the result of `function` for each item; with `reserving`, one thread per core.

        Torch releases Python's lock while it computes. Each item has one thread of torch, so that
        the numbers are those of Ray's workers.
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
        """Train a teacher and publish it at `out`, with as many threads as on Ray."""
        workers = self._resources.teacher
        meter = self._meter(workers)
        with torch_threads(threads_for(min(workers.cpus, own_cores()))):
            train_teacher(job, out, on_epoch)
        return meter.update(_ONE_WORKER)

    def run_trials(
        self, study: AskTell, inputs: TrialInputs, on_change: Callable[[], None]
    ) -> None:
        """Run the study's trials, one at a time; see `Runner`."""
        with torch_threads(self._n_threads):
            while (trial := study.ask()) is not None:
                on_change()
                self._run(trial, study, inputs, on_change)
                on_change()

    def close(self) -> None:
        """Do nothing: this runner holds no resources."""

    def _run(
        self, trial: Trial, study: AskTell, inputs: TrialInputs, on_change: Callable[[], None]
    ) -> None:
        study_errors: list[Exception] = []
        meter = self._meter(study.config.resources.of_trial(trial.hyperparameters))

        def report(metrics: EpochMetrics) -> Decision:
            try:
                decision = study.report(trial.number, metrics, meter.update(_ONE_WORKER))
                on_change()
            except Exception as error:
                study_errors.append(error)
                raise
            return decision

        started, cpu_started = time.perf_counter(), time.process_time()
        try:
            result = self._run_trial(trial, inputs, report)
        except Exception as error:
            if study_errors:
                # Such as a ledger that cannot be written: it ends the search, not the trial. Raised
                # without `from`, which would replace its cause.
                raise study_errors[0]  # noqa: B904
            fault = machine_fault_behind(error, inputs)
            if fault is not None:
                raise fault from error
            # Any other error, our own defects included, fails this trial only.
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
