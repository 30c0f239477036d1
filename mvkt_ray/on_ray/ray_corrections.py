"""All patches of defects of Ray, each with the condition for its removal.

A patch is narrow, and active only in its context or run. Defects of Ray 2.60:

- a trial killed by Ray's memory monitor ends the whole search: `memory_kills_are_deaths`;
- Tune gives a free process to a trial whose own process is starting, so that a new node gets no
  trial: `starting_trials_keep_their_process`;
- Train waits a minute for slots on a lost node: `refresh_nodes_of_train`;
- Train keeps the slots of workers that were lost while they started: `releasing_placement_group`;
- a node that is not up after 30 s is given up, and a node whose agents are not up after 15 s ends
  itself: `nodes_may_start_slowly`;
- connecting replaces the program's handler of SIGTERM: `own_sigterm`;
- workers import from the driver's working directory first: `importing_as_here`.

Each function imports Ray's modules itself, so that connecting does not load Tune and Train.
"""

import contextlib
import inspect
import itertools
import os
import random
import signal
import socket
import sys
import sysconfig
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import psutil
import ray
from ray.exceptions import GetTimeoutError, NodeDiedError, OutOfMemoryError, RayActorError
from ray.job_config import JobConfig

NODE_STARTS_WITHIN_S = 180.0
"""Limit of the wait for a node that does not start."""

COORDINATOR_ANSWERS_WITHIN_S = 60.0
"""Limit of the refresh; beyond it Train waits as long as it does without the patch."""

_PORTS_OF_AGENTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "runtime_env_agent_port",
    "dashboard_agent_listen_port",
)
_CHOSEN_PORTS = range(20_000, 32_768)
"""Below Linux's ephemeral ports: an outgoing connection could take one before the agent does."""


@contextlib.contextmanager
def memory_kills_are_deaths() -> Generator[None]:
    """Let Tune treat a process that was killed for its memory as a process that died.

    Ray 2.60 gives such a task an `OutOfMemoryError`, which is neither a `RayActorError` nor a
    `RayTaskError`, and Tune raises RuntimeError for any other class, despite `max_failures`.
    Remove it when Ray mends this; a test then fails.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager

    original = RayActorManager._actor_task_failed

    def task_failed(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        original(manager, tracked_actor_task, as_death(exception))

    RayActorManager._actor_task_failed = task_failed  # type: ignore[method-assign]
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = original  # type: ignore[method-assign]


def as_death(exception: Exception) -> Exception:
    """Convert out-of-memory and node-death errors to the RayActorError that Tune expects."""
    if not isinstance(exception, (OutOfMemoryError, NodeDiedError)):
        return exception
    return RayActorError(error_msg=f"{type(exception).__name__}: {exception}")


@contextlib.contextmanager
def starting_trials_keep_their_process() -> Generator[None]:
    """Keep Tune from ending a process that is starting for a trial.

    With reused actors Ray 2.60 gives a free process to any waiting trial, also to one whose own
    process is starting, and ends the latter. If trials end faster than a process starts, a new node
    never gets a running process. So such a trial is skipped, and the free process goes to the next
    trial; a trial whose process still waits for resources is not skipped. Remove it when
    `tests/on_ray/capacity/test_growing.py`, which shows the defect, passes without it.
    """
    from ray.tune.execution.tune_controller import TuneController

    original = TuneController._maybe_reuse_cached_actor

    def maybe_reuse(controller: Any, trial: Any) -> bool:
        own = controller._trial_to_actor.get(trial)
        starting = controller._actor_manager._live_actors_to_ray_actors_resources
        if trial not in controller._resetting_trials and own is not None and own in starting:
            return False
        return original(controller, trial)

    TuneController._maybe_reuse_cached_actor = maybe_reuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        TuneController._maybe_reuse_cached_actor = original  # type: ignore[method-assign]


def refresh_nodes_of_train() -> None:
    """Let Train read the cluster's nodes now; called between two runs of elastic workers.

    Ray 2.60 reads them every 20 s, and waits a minute for slots on a node lost in between. Remove
    it when `tests/on_ray/test_elastic.py` is as fast without it.
    """
    from ray.data._internal.cluster_autoscaler.default_autoscaling_coordinator import (
        get_or_create_autoscaling_coordinator,
    )

    coordinator: Any = get_or_create_autoscaling_coordinator()
    refreshed = coordinator.get_reserved_resources.remote("mvkt-ray", recompute=True)
    with contextlib.suppress(GetTimeoutError):
        ray.get(refreshed, timeout=COORDINATOR_ANSWERS_WITHIN_S)


def releasing_placement_group() -> Any:
    """Return a callback of a Train run that releases its workers' reservations at its end.

    With Ray 2.60 a run whose worker is lost just as it starts (after its group is placed, before
    the controller has it) does not release them, and the next run waits for these slots for ever.
    Remove it when `WorkerGroup._start` shuts down a group that has started, too.
    """
    from ray.train.v2._internal.execution.callback import ControllerCallback, WorkerGroupCallback
    from ray.util import remove_placement_group

    class ReleasesPlacementGroup(ControllerCallback, WorkerGroupCallback):
        placement_group: Any = None

        def after_worker_group_start(self, worker_group: Any) -> None:
            handle = worker_group.get_worker_group_state().placement_group_handle
            self.placement_group = handle.placement_group

        async def before_controller_shutdown(self) -> None:
            if self.placement_group is not None:
                # Has no effect if the group was removed already, as in most runs.
                remove_placement_group(self.placement_group)

    return ReleasesPlacementGroup()


@contextlib.contextmanager
def nodes_may_start_slowly() -> Generator[None]:
    """Extend Ray's limits for the start of a node to `NODE_STARTS_WITHIN_S`, for busy machines.

    Ray 2.60 allows 30 s, in which several Python processes must start: too little for two cores
    with a dozen busy programs. The wait ends early if a raylet ends. Remove it when the limit can
    be set in Ray's environment.

    A raylet waits 15 s for each agent to write its port into a file, and ends without it (ray
    #65983). So free ports are chosen here where none are given, and written for the agents.
    """
    from ray._private import services
    from ray._raylet import (
        DASHBOARD_AGENT_LISTEN_PORT_NAME,  # pyright: ignore[reportAttributeAccessIssue]
        persist_port,  # pyright: ignore[reportAttributeAccessIssue]
    )

    get_node_once, start, before = services.get_node, services.start_raylet, _ended_raylets()

    def get_node(*of_node: Any) -> Any:
        deadline = time.monotonic() + NODE_STARTS_WITHIN_S
        while True:
            try:
                return get_node_once(*of_node)
            except RuntimeError:
                if time.monotonic() > deadline or _ended_raylets() - before:
                    raise
            time.sleep(0.05)

    def start_raylet(*of_node: Any, **by_name: Any) -> Any:
        given, free = inspect.signature(start).bind(*of_node, **by_name).arguments, _free_ports()
        for name in _PORTS_OF_AGENTS:
            given[name] = given.get(name) or next(free)
        # Ray does not pass this port to the raylet, which reads it from the file; the other ports
        # are passed, and the raylet then needs no file.
        port = given[_PORTS_OF_AGENTS[-1]]
        persist_port(given["session_dir"], given["node_id"], DASHBOARD_AGENT_LISTEN_PORT_NAME, port)
        within = {"RAY_agent_register_timeout_ms": str(int(1000 * NODE_STARTS_WITHIN_S))}
        given["env_updates"] = {**within, **(given.get("env_updates") or {})}
        return start(**given)

    services.get_node, services.start_raylet = get_node, start_raylet
    try:
        yield
    finally:
        services.get_node, services.start_raylet = get_node_once, start


def _free_ports() -> Iterator[int]:
    """Yield ports that are free on all interfaces, in random order."""
    for port in random.sample(_CHOSEN_PORTS, len(_CHOSEN_PORTS)):
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            yield port


def _ended_raylets() -> set[int]:
    """Return the process numbers of this process's raylets that have ended (zombies)."""
    ended: set[int] = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.name() == "raylet" and child.status() == psutil.STATUS_ZOMBIE:
                ended.add(child.pid)
    return ended


@contextlib.contextmanager
def own_sigterm() -> Generator[None]:
    """Keep the program's own handler of SIGTERM while Ray connects or disconnects.

    Ray sets two handlers: Python's exits without a clean end, and that of its C++ code aborts the
    process after three seconds. On disconnecting, it removes any handler. Remove this when
    `ray.init` has an option to leave signals unchanged.
    """
    from ray._private import utils as ray_utils

    own = signal.getsignal(signal.SIGTERM)
    if not callable(own) or threading.current_thread() is not threading.main_thread():
        yield
        return
    original = ray_utils.set_sigterm_handler
    ray_utils.set_sigterm_handler = lambda _: None
    try:
        yield
    finally:
        ray_utils.set_sigterm_handler = original
        signal.signal(signal.SIGTERM, own)
        # Cancels the alarm of Ray's C++ handler, in case SIGTERM arrived meanwhile.
        signal.alarm(0)


class _Fixed(list[str]):
    """A list that ignores additions."""

    def extend(self, values: Iterable[str], /) -> None:
        """Ignore Ray's additions: the working directory, and the program's directory."""


def importing_as_here() -> JobConfig:
    """Return the configuration of a job whose workers import the same modules as this process.

    Ray 2.60 puts the driver's working directory first on the workers' path, even if it is not on
    the driver's own: a file `statistics.py` there, or another checkout, would hide the real module.
    With this configuration the workers get the entries before the standard library on this
    process's path; the others they have themselves. Remove it when `ray.init` leaves the path
    unchanged.
    """
    config = JobConfig()
    # Reversed: Ray prepends the entries one by one.
    config._py_driver_sys_path = _Fixed(reversed(_before_the_standard_library()))
    return config


def _before_the_standard_library() -> list[str]:
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    found = itertools.takewhile(
        lambda entry: entry not in standard and not entry.endswith(".zip"), sys.path
    )
    return [os.path.abspath(entry) for entry in found]
