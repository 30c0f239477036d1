"""Models that train in several processes: a Ray Train `TorchTrainer`, for a teacher or a trial.

It costs 13 to 24 s and some 2 GB each time it starts, so models with one worker do without.
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
from mvkt_ray.on_ray.ray_corrections import forget_nodes_that_are_gone, giving_its_place_back
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
"""What the first rank says before anything else: until then Train tries to start the ranks, for
ever."""

RESIZE_INTERVAL_S = 60.0
"""How often elastic workers may become more. All are started again for it, which takes some 15 s
and costs the epoch in flight."""


def tune_many_worker_trial(
    config: dict[str, Any],
    *,
    inputs: TrialInputs,
    run_trial: RunTrial,
    workers: WorkersConfig,
    storage: str,
) -> None:
    """Drive the workers of a trial, and pass their reports to Tune.

    Runs in an actor that reserves neither CPU nor GPU, or it could keep its own workers out.

    Args:
        config: Tune's: the trial as JSON, and, once the driver has set it, `TOLD`.
        inputs: the same for all trials.
        run_trial: trains it; called on every rank.
        workers: how many, and what each reserves.
        storage: folder for Ray Train's own files, which all nodes see.
    """
    trial = Trial.from_json(json.loads(config["trial"]))
    costs = Costs()
    results: list[TrialResult] = []
    nodes: list[str] = []

    def reply(said: TrialResult | tuple[EpochMetrics, float, list[str]]) -> Decision | None:
        if isinstance(said, TrialResult):
            results.append(said)
            return None
        metrics, cpu_s, nodes[:] = said
        spent = costs.so_far() | {"cpu_s": cpu_s, NODES: json.dumps(nodes)}
        tune.report({"metrics": json.dumps(metrics.to_json()), **spent})
        return told(config)

    arguments = {"trial": config["trial"], "inputs": inputs, "run_trial": run_trial}
    try:
        run_ranks(_trial_rank, arguments, workers, storage=storage, reply=reply)
    except ClusterError as error:
        # No trial is to blame for it, nor for a machine's fault.
        tune.report({FAULT: str(error), **costs.so_far(), NODES: json.dumps(nodes)})
        return
    except Exception as error:
        # The result is what counts, whatever happened to a rank after it was sent.
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
    """Train a teacher on several workers; returns when it is published.

    Returns:
        The ids of the workers' nodes, and how many seconds it took.
    """
    arguments = {"job": job, "out": out, "train_teacher": train_teacher}
    costs = Costs()
    nodes: list[str] = []

    def reply(said: tuple[EpochMetrics, list[str]]) -> None:
        metrics, nodes[:] = said
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
    """Run a function on every rank of a process group, and answer what the first rank asks.

    Questions are answered in the calling thread.

    Elastic workers become fewer when a process or its node is lost, and more when nodes come: all
    ranks are then started again, and go on from what they have written. Where nodes come Train
    does so itself. A loss without any answer more than at the one before is raised.

    Args:
        rank_loop: of a module; called with `arguments` and the `mailbox` to ask through.
        arguments: the same for all ranks.
        workers: how many ranks, and what each reserves.
        storage: folder for Ray Train's own files, which all nodes see.
        reply: answers a question; elastic ranks ask again what they asked before.

    Raises:
        MvktError: What a rank raised; WorkerLostError when the process of one is gone, ClusterError
            when they could not begin, or said nothing, for too long.
    """
    mailbox = open_mailbox()
    arguments = {**arguments, "mailbox": mailbox}
    furthest = -1
    while True:
        try:
            n_answers, error = _run_once(rank_loop, arguments, workers, storage, mailbox, reply)
        except BaseException:
            # Nobody serves it any more: ranks that Train may still start end when they ask.
            with contextlib.suppress(Exception):
                ray.kill(mailbox)
            raise
        if error is None:
            return
        why = _why(error)
        may_go_on = workers.is_elastic and isinstance(why, WorkerLostError)
        if not may_go_on or n_answers <= furthest:
            raise why from error
        furthest = n_answers
        forget_nodes_that_are_gone()


def _run_once(
    rank_loop: Callable[[dict[str, Any]], None],
    arguments: dict[str, Any],
    workers: WorkersConfig,
    storage: str,
    mailbox: Any,
    reply: Callable[[Any], Any],
) -> tuple[int, BaseException | None]:
    """Return how many questions were answered, and what ended the ranks."""
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

    # Train hands these on to what it starts; a cluster's nodes may not have them.
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
            # Whether to start again is decided here and by the study, from the class of the error.
            failure_config=ray.train.FailureConfig(max_failures=0),
            logging_config=ray.train.LoggingConfig(log_level="ERROR"),
            callbacks=[giving_its_place_back()],
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


def _why(error: BaseException) -> BaseException:
    """Choose among the ranks' errors: when one raises or dies, others fail in their collectives."""
    if not isinstance(error, WorkerGroupError):
        return lost(error) if isinstance(error, RayTrainError) else unwrapped(error)
    found = [_why_of_rank(failure) for failure in error.worker_failures.values()]
    deaths = [cause for cause in found if isinstance(cause, WorkerLostError)]
    ours = [cause for cause in found if isinstance(cause, MvktError) and cause not in deaths]
    defects = [cause for cause in found if not isinstance(cause, MvktError | _LeftAloneError)]
    # Train may have heard of those who were left alone only, and not yet of who left them.
    alone = [lost(cause) for cause in found if isinstance(cause, _LeftAloneError)]
    return [*ours, *deaths, *defects, *alone, lost(error)][0]


class _LeftAloneError(Exception):
    """A rank's collective failed, so another rank has gone, by death or by an error of its own."""


def _why_of_rank(error: BaseException) -> BaseException:
    if isinstance(error, UserExceptionWithTraceback):
        cause = with_note(error._base_exc, str(error))
    elif isinstance(error, RayTrainError):
        return lost(error)
    else:
        cause = unwrapped(error)
    return _LeftAloneError(str(cause)) if _is_of_collective(cause) else cause


def _is_of_collective(cause: BaseException) -> bool:
    """NCCL's errors have a class; gloo's are known by its name alone."""
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
        # The other ranks work as long as the first; exact sums come with the result.
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
