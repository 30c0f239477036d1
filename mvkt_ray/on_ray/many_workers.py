"""Training of a model in several processes by Ray Train's `TorchTrainer`: a teacher or a trial.

A start of Train takes 13 to 24 s and some 2 GB, so models with one worker run without it.
"""

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ray.train
import ray.train.torch
import torch.distributed as dist
from ray import tune
from ray.train import WorkerGroupError
from ray.train.v2._internal.exceptions import RayTrainError, UserExceptionWithTraceback
from torch.distributed import DistError

from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.errors import ClusterError, MvktError, WorkerLostError
from mvkt_ray.machine_faults import naming_machine_faults, on_node
from mvkt_ray.on_ray.capacity.nodes import ClusterResources
from mvkt_ray.on_ray.capacity.reservations import of_worker
from mvkt_ray.on_ray.connecting.environment import WORKERS, environment
from mvkt_ray.on_ray.mailbox import ask, open_mailbox, serve
from mvkt_ray.on_ray.ray_corrections import refresh_nodes_of_train, releasing_placement_group
from mvkt_ray.on_ray.unwrap import lost, unwrapped, with_note
from mvkt_ray.on_ray.waiting import NODES_COME_WITHIN_S, RESULTS_COME_WITHIN_S, Waiting
from mvkt_ray.on_ray.worker import (
    FAULT,
    NODES,
    Costs,
    RunTrial,
    TrainTeacher,
    clean_process,
    own_node,
    own_node_id,
    run_logged,
    told,
)
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult
from mvkt_ray.training.student import failed_result, machine_fault_behind
from mvkt_ray.training.students.trial_inputs import TrialInputs
from mvkt_ray.training.teacher import TeacherJob

_BEGUN = "begun"
"""First message of the first rank; until then Train tries to start the ranks without a limit."""

RESIZE_INTERVAL_S = 60.0
"""Shortest interval between two increases of elastic workers. Each restarts all ranks, which takes
some 15 s and repeats the current epoch."""


def tune_many_worker_trial(
    config: dict[str, Any],
    *,
    inputs: TrialInputs,
    run_trial: RunTrial,
    workers: WorkersConfig,
    storage: str,
) -> None:
    """Run the workers of a trial, and forward their reports to Tune.

    Runs in an actor that reserves neither CPU nor GPU, so that it cannot take its workers' places.

    Args:
        config: Tune's configuration: the trial as JSON, and the driver's last decision as `TOLD`.
        inputs: Common inputs of all trials.
        run_trial: Trains the trial; called on every rank.
        workers: Number of workers, and the reservation of each.
        storage: Folder for Ray Train's own files, shared by all nodes.
    """
    trial = Trial.from_json(json.loads(config["trial"]))
    costs = Costs()
    results: list[TrialResult] = []
    nodes: list[str] = []

    def reply(message: TrialResult | tuple[EpochMetrics, float, list[str]]) -> Decision | None:
        if isinstance(message, TrialResult):
            results.append(message)
            return None
        metrics, cpu_s, nodes[:] = message
        spent = costs.so_far() | {"cpu_s": cpu_s, NODES: json.dumps(nodes)}
        tune.report({"metrics": json.dumps(metrics.to_json()), **spent})
        return told(config)

    arguments = {"trial": config["trial"], "inputs": inputs, "run_trial": run_trial}
    try:
        run_ranks(_trial_rank, arguments, workers, storage=storage, reply=reply)
    except ClusterError as error:
        # A fault of the cluster, not of the trial; so is a machine's fault below.
        tune.report({FAULT: str(error), **costs.so_far(), NODES: json.dumps(nodes)})
        return
    except Exception as error:
        # A result that has arrived is valid, even if a rank failed after sending it.
        fault = None if results else machine_fault_behind(error, inputs)
        if fault is not None:
            spent = costs.so_far() | {NODES: json.dumps(nodes)}
            tune.report({FAULT: on_node(own_node(), fault), **spent})
            return
        failed = replace(failed_result(trial, error), node=own_node(), **costs.so_far())
        results.append(failed)
    tune.report(
        {"result": json.dumps(results[0].to_json()), **costs.so_far(), NODES: json.dumps(nodes)}
    )


def train_teacher_on_ranks(
    job: TeacherJob,
    out: str,
    on_epoch: Callable[[EpochMetrics], None],
    workers: WorkersConfig,
    *,
    storage: str,
    train_teacher: TrainTeacher,
) -> tuple[list[str], float]:
    """Train and publish a teacher on several workers.

    Args:
        job: The training.
        out: Location of the artifact.
        on_epoch: Called with the metrics of each epoch.
        workers: Number of workers, and the reservation of each.
        storage: Folder for Ray Train's own files, shared by all nodes.
        train_teacher: Trains the teacher; called on every rank.

    Returns:
        Ray's ids of the workers' nodes, and the seconds of the training.

    Raises:
        MvktError: As `run_ranks`.
    """
    arguments = {"job": job, "out": out, "train_teacher": train_teacher}
    costs = Costs()
    nodes: list[str] = []

    def reply(message: tuple[EpochMetrics, list[str]]) -> None:
        metrics, nodes[:] = message
        on_epoch(metrics)

    run_ranks(_teacher_rank, arguments, workers, storage=storage, reply=reply)
    return nodes, costs.so_far()["wall_s"]


def run_ranks(
    rank_loop: Callable[[dict[str, Any]], None],
    arguments: dict[str, Any],
    workers: WorkersConfig,
    *,
    storage: str,
    reply: Callable[[Any], Any],
) -> None:
    """Run a function on every rank of a process group, and answer the first rank's questions.

    Questions are answered in the calling thread.

    The number of elastic workers decreases when a process or its node is lost, and increases when
    nodes are added. Either restarts all ranks, which resume from their checkpoint; Train itself
    does so for added nodes. A loss without progress since the previous loss is raised.

    Args:
        rank_loop: Module-level function, called with `arguments` and a `mailbox` for questions.
        arguments: Common arguments of all ranks.
        workers: Number of ranks, and the reservation of each.
        storage: Folder for Ray Train's own files, shared by all nodes.
        reply: Answers a question; restarted ranks repeat earlier questions.

    Raises:
        MvktError: The error of a rank.
        WorkerLostError: The process of a rank is lost.
        ClusterError: The ranks could not start, or sent nothing, within the time limits.
    """
    mailbox = open_mailbox()
    arguments = {**arguments, "mailbox": mailbox}
    furthest = -1
    while True:
        try:
            n_answers, error = _run_once(rank_loop, arguments, workers, storage, mailbox, reply)
        except BaseException:
            # Ends ranks that Train may still start, at their first question.
            with contextlib.suppress(Exception):
                ray.kill(mailbox)
            raise
        if error is None:
            return
        cause = _root_cause(error)
        may_restart = workers.is_elastic and isinstance(cause, WorkerLostError)
        if not may_restart or n_answers <= furthest:
            raise cause from error
        furthest = n_answers
        refresh_nodes_of_train()


def _run_once(
    rank_loop: Callable[[dict[str, Any]], None],
    arguments: dict[str, Any],
    workers: WorkersConfig,
    storage: str,
    mailbox: Any,
    reply: Callable[[Any], Any],
) -> tuple[int, BaseException | None]:
    """Return the number of answered questions, and the error that ended the ranks, if any."""
    errors: list[BaseException] = []
    n_answers = 0
    for_ranks = Waiting(lambda: _to_begin(workers), NODES_COME_WITHIN_S)
    for_answers = Waiting(lambda: "an epoch of workers that have begun", RESULTS_COME_WITHIN_S)
    now = for_ranks

    def fit() -> None:
        try:
            _trainer(rank_loop, arguments, workers, storage).fit()
        except BaseException as error:
            errors.append(error)

    def count_and_reply(question: Any) -> Any:
        nonlocal n_answers, now
        now = for_answers
        now.moved()
        if isinstance(question, str) and question == _BEGUN:
            return None
        n_answers += 1
        return reply(question)

    def is_over() -> bool:
        now.look()
        return not thread.is_alive()

    # Train passes these variables on to its processes; the cluster's nodes may lack them.
    with environment(WORKERS):
        thread = threading.Thread(target=fit, name="torch-trainer", daemon=True)
        thread.start()
        serve(mailbox, count_and_reply, is_over=is_over)
    return n_answers, errors[0] if errors else None


def _trainer(
    rank_loop: Callable[[dict[str, Any]], None],
    arguments: dict[str, Any],
    workers: WorkersConfig,
    storage: str,
) -> ray.train.torch.TorchTrainer:
    on_gpus = workers.gpus_per_worker > 0
    least, most = workers.min_workers, workers.max_workers
    return ray.train.torch.TorchTrainer(
        _rank,
        train_loop_config={**arguments, "rank_loop": rank_loop},
        torch_config=ray.train.torch.TorchConfig(backend="nccl" if on_gpus else "gloo"),
        scaling_config=ray.train.ScalingConfig(
            num_workers=(least, most) if workers.is_elastic else most,
            elastic_resize_monitor_interval_s=RESIZE_INTERVAL_S,
            use_gpu=on_gpus,
            resources_per_worker=of_worker(workers),
            placement_strategy=workers.placement.upper(),
        ),
        run_config=ray.train.RunConfig(
            storage_path=storage,
            # Restarts are decided by `run_ranks` and the study, from the class of the error.
            failure_config=ray.train.FailureConfig(max_failures=0),
            logging_config=ray.train.LoggingConfig(log_level="ERROR"),
            callbacks=[releasing_placement_group()],
        ),
    )


def _to_begin(workers: WorkersConfig) -> str:
    return (
        f"{workers.min_workers} workers with {workers.cpus:g} CPUs and "
        f"{workers.gpus_per_worker:g} GPUs each to begin together, and Ray has "
        f"{ClusterResources.now()}"
    )


def _rank(config: dict[str, Any]) -> None:
    if ray.train.get_context().get_world_rank() == 0:
        ask(config["mailbox"], _BEGUN)
    config["rank_loop"](config)


def _root_cause(error: BaseException) -> BaseException:
    """Return the decisive error: if one rank fails, the others fail in their collectives."""
    if not isinstance(error, WorkerGroupError):
        return lost(error) if isinstance(error, RayTrainError) else unwrapped(error)
    found = [_cause_in_rank(failure) for failure in error.worker_failures.values()]
    deaths = [cause for cause in found if isinstance(cause, WorkerLostError)]
    ours = [cause for cause in found if isinstance(cause, MvktError) and cause not in deaths]
    defects = [cause for cause in found if not isinstance(cause, MvktError | _CollectiveError)]
    # Last: Train may not have noticed the rank that failed first, but only its consequences.
    alone = [lost(cause) for cause in found if isinstance(cause, _CollectiveError)]
    return [*ours, *deaths, *defects, *alone, lost(error)][0]


class _CollectiveError(Exception):
    """A rank's collective operation failed, because another rank died or raised an error."""


def _cause_in_rank(error: BaseException) -> BaseException:
    if isinstance(error, UserExceptionWithTraceback):
        cause = with_note(error._base_exc, str(error))
    elif isinstance(error, RayTrainError):
        return lost(error)
    else:
        cause = unwrapped(error)
    return _CollectiveError(str(cause)) if _is_of_collective(cause) else cause


def _is_of_collective(cause: BaseException) -> bool:
    """Whether a collective operation failed: NCCL has an error class, gloo only a message."""
    if isinstance(cause, MvktError):
        return False
    return isinstance(cause, DistError) or (
        isinstance(cause, RuntimeError) and "gloo" in str(cause)
    )


def _trial_rank(config: dict[str, Any]) -> None:
    clean_process()
    mailbox, inputs, run_trial = config["mailbox"], config["inputs"], config["run_trial"]
    trial = Trial.from_json(json.loads(config["trial"]))
    context = ray.train.get_context()
    costs, nodes = Costs(), _nodes_of_ranks()

    def report(metrics: EpochMetrics) -> Decision:
        # An estimate: the other ranks work as long as the first. The result has the exact sum.
        return ask(mailbox, (metrics, len(nodes) * costs.so_far()["cpu_s"], nodes))

    with naming_machine_faults(own_node()):
        if context.get_world_rank() > 0:
            run_trial(trial, inputs, report)
            return
        result = run_logged(trial, inputs, report, run_trial)
    ask(mailbox, result)


def _teacher_rank(config: dict[str, Any]) -> None:
    clean_process()
    mailbox, nodes = config["mailbox"], _nodes_of_ranks()
    with naming_machine_faults(own_node()):
        config["train_teacher"](
            config["job"], config["out"], lambda metrics: ask(mailbox, (metrics, nodes))
        )


def _nodes_of_ranks() -> list[str]:
    """Return the node of each rank, on every rank."""
    nodes: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(nodes, own_node_id())
    return nodes
