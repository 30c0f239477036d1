"""Code of Ray's worker processes: teachers, and trials with one worker.

A reused process must not carry state from one trial to the next, so threads and seeds are reset
before each. A trial's log, and the traceback of its failure, are in the trial's own folder.
"""

import contextlib
import gc
import json
import logging
import os
import platform
import random
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, TextIO

import numpy as np
import ray
import torch
from ray import tune

from mvkt_ray.errors import StoreError
from mvkt_ray.machine_faults import naming_machine_faults, on_node
from mvkt_ray.on_ray.mailbox import ask
from mvkt_ray.records import (
    Decision,
    EpochMetrics,
    Trial,
    TrialResult,
)
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.scratch_folder import scratch_folder
from mvkt_ray.training.process import threads_for
from mvkt_ray.training.student import failed_result, machine_fault_behind
from mvkt_ray.training.students.trial_inputs import TrialInputs
from mvkt_ray.training.teacher import TeacherJob
from mvkt_ray.training.trial_files import TrialFolder

RunTrial = Callable[[Trial, TrialInputs, Callable[[EpochMetrics], Decision]], TrialResult]
TrainTeacher = Callable[..., Any]

LOG_FILE = "worker.log"
ERROR_FILE = "error.txt"
TOLD = "told"
"""Key of a Tune trial's configuration: the driver's decision on the trial's last report."""
NODES = "nodes"
"""Key of a report to Tune: Ray's ids of the nodes of all workers, as JSON."""
FAULT = "fault"
"""Key of a report to Tune in place of a result: the description of a machine's fault."""


def tune_one_worker_trial(
    config: dict[str, Any], *, inputs: TrialInputs, run_trial: RunTrial
) -> None:
    """Train a trial in this process, and report its epochs and its result to Tune.

    Args:
        config: Tune's configuration: the trial as JSON, and the driver's last decision as `TOLD`.
        inputs: Common inputs of all trials.
        run_trial: Trains the trial.
    """
    trial = Trial.from_json(json.loads(config["trial"]))
    costs = Costs()
    here = {NODES: json.dumps([own_node_id()])}

    def report(metrics: EpochMetrics) -> Decision:
        tune.report({"metrics": json.dumps(metrics.to_json()), **costs.so_far(), **here})
        return told(config)

    clean_process()
    try:
        result = run_logged(trial, inputs, report, run_trial)
    except Exception as error:
        fault = machine_fault_behind(error, inputs)
        if fault is not None:
            tune.report({FAULT: on_node(own_node(), fault), **costs.so_far(), **here})
            return
        result = replace(failed_result(trial, error), node=own_node(), **costs.so_far())
    tune.report({"result": json.dumps(result.to_json()), **costs.so_far(), **here})


def tell(trainable: Any, decision: Decision) -> None:
    """Set the decision on a running trial's last report; runs in the trial's process."""
    trainable.get_config()[TOLD] = decision


def told(config: dict[str, Any]) -> Decision:
    """Return the decision that `tell` set; CONTINUE if there is none."""
    return config.get(TOLD, Decision.CONTINUE)


def run_logged(
    trial: Trial,
    inputs: TrialInputs,
    report: Callable[[EpochMetrics], Decision],
    run_trial: RunTrial,
) -> TrialResult:
    """Run a trial with a log in its folder; write the traceback there if it raises."""
    folder = TrialFolder.of(inputs.trials, trial.number).location
    with logging_to(folder):
        try:
            return replace(run_trial(trial, inputs, report), node=own_node())
        except Exception:
            # Best effort: the raised error has the traceback, too.
            with contextlib.suppress(OSError, StoreError):
                (folder / ERROR_FILE).write_bytes(traceback.format_exc().encode())
            raise


def teach(
    job: TeacherJob, out: str, mailbox: Any, train_teacher: TrainTeacher
) -> tuple[list[str], float]:
    """Train a teacher in this process, and send its epochs to a mailbox.

    Returns:
        Ray's id of the node in a list, and the seconds of the training.
    """
    clean_process()
    costs = Costs()
    with naming_machine_faults(own_node()):
        train_teacher(job, out, lambda metrics: ask(mailbox, metrics))
    return [own_node_id()], costs.so_far()["wall_s"]


class Costs:
    """Stopwatch of this process: wall-clock and CPU seconds since its creation."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def so_far(self) -> dict[str, float]:
        """Return the elapsed `wall_s` and `cpu_s`."""
        return {
            "wall_s": time.perf_counter() - self._wall_s,
            "cpu_s": time.process_time() - self._cpu_s,
        }


def clean_process() -> None:
    """Reset the process's threads, seeds and GPU memory to the state of a new process."""
    torch.set_num_threads(threads_for(1))
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    if torch.cuda.is_available():
        # Frees tensors of the last trial that are in reference cycles; takes 0.25 s.
        gc.collect()
        torch.cuda.empty_cache()


def own_node() -> str:
    """Return host and Ray's short id of this node: a host may have several nodes."""
    return f"{platform.node()}/{own_node_id()[:8]}"


def own_node_id() -> str:
    """Return Ray's id of this node."""
    return ray.get_runtime_context().get_node_id()


@contextlib.contextmanager
def logging_to(folder: Location) -> Generator[None]:
    """Append logs, warnings and printed output to the log file in a trial's folder.

    In a store the log is uploaded when the trial ends; a killed process's log is lost.
    """
    root = logging.getLogger()
    level = root.level
    with _appending_to(folder / LOG_FILE) as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        try:
            with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
                logging.getLogger(__name__).info("process %d on %s", os.getpid(), own_node())
                yield
        finally:
            logging.captureWarnings(False)
            root.setLevel(level)
            root.removeHandler(handler)


@contextlib.contextmanager
def _appending_to(file: Location) -> Generator[TextIO]:
    """Open a text file for appending; a file of a store is fetched first, uploaded at the end."""
    if file.is_local:
        file.parent.make_directory()
        with file.local_path.open("a", encoding="utf-8", buffering=1) as stream:
            yield stream
        return
    with scratch_folder("mvkt-log-") as scratch:
        copy = scratch / file.name
        if file.exists():
            file.fetch(copy)
        try:
            with copy.open("a", encoding="utf-8", buffering=1) as stream:
                yield stream
        finally:
            file.upload(copy)
