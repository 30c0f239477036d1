"""Every correction of a defect of Ray's, in Ray itself, with when it may go.

They are narrow, and hold only while they are entered. With Ray 2.60:

- a trial killed by Ray's memory monitor ends the whole search: `memory_kills_are_deaths`;
- a free process is given to a trial whose own process is starting, so that a node that has come
  gets no trial: `starting_trials_keep_their_process`;
- Train waits a minute for slots on a node that has gone: `forget_nodes_that_are_gone`;
- Train keeps the slots of workers that were lost while they started: `giving_its_place_back`;
- a node that is not up after 30 s is given up, and one whose agents are not after 15 s ends
  itself: `nodes_may_start_slowly`;
- connecting takes SIGTERM from the program: `own_sigterm`;
- workers look for modules in the driver's working directory first: `importing_as_here`.

The modules of Ray are imported where they are corrected: who connects need not load Tune and Train.
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
"""Ends the wait for a node that never comes."""

COORDINATOR_ANSWERS_WITHIN_S = 60.0
"""Train then waits as long as it does without the correction."""

_PORTS_OF_AGENTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "runtime_env_agent_port",
    "dashboard_agent_listen_port",
)
_CHOSEN_PORTS = range(20_000, 32_768)
"""Below those of outgoing connections, which might take one before its agent listens on it."""


@contextlib.contextmanager
def memory_kills_are_deaths() -> Generator[None]:
    """Let Tune, while this is entered, take a trial out of memory for one whose process died.

    Ray 2.60 gives such a task an `OutOfMemoryError`, which is neither a `RayActorError` nor a
    `RayTaskError`, and Tune raises RuntimeError on everything else, whatever `max_failures` says.
    To Tune, a process that was killed is a process that died. A test fails when Ray mends this;
    then this may go.
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
    """Let Tune, while this is entered, end no process that is starting for a trial.

    With reused actors Ray 2.60 gives a process that becomes free to any trial that waits, also to
    one whose own process is being started, which it then ends. Where trials end more often than a
    process takes to start, a node that has come would never finish starting one. So such a trial is
    passed over: the free process is for the next. A trial whose process still waits for resources
    is not. `tests/on_ray/capacity/test_growing.py` shows the defect; this may go when it passes
    without.
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


def forget_nodes_that_are_gone() -> None:
    """Have Train look at the cluster's nodes now; called between two runs of elastic workers.

    With Ray 2.60 it looks every 20 s, and waits a minute for slots on a node that went in between.
    It may go when `tests/on_ray/test_elastic.py` is as quick without.
    """
    from ray.data._internal.cluster_autoscaler.default_autoscaling_coordinator import (
        get_or_create_autoscaling_coordinator,
    )

    coordinator: Any = get_or_create_autoscaling_coordinator()
    asked = coordinator.get_reserved_resources.remote("mvkt-ray", recompute=True)
    with contextlib.suppress(GetTimeoutError):
        ray.get(asked, timeout=COORDINATOR_ANSWERS_WITHIN_S)


def giving_its_place_back() -> Any:
    """Return a callback of a Train run that gives back, at its end, what its workers reserved.

    With Ray 2.60 a run whose worker is lost just as it starts (once its group is placed, before the
    controller has it) ends without, and the next one waits for these slots for ever. It may go when
    `WorkerGroup._start` shuts down a group that has started, too.
    """
    from ray.train.v2._internal.execution.callback import ControllerCallback, WorkerGroupCallback
    from ray.util import remove_placement_group

    class GivesItsPlaceBack(ControllerCallback, WorkerGroupCallback):
        placement_group: Any = None

        def after_worker_group_start(self, worker_group: Any) -> None:
            handle = worker_group.get_worker_group_state().placement_group_handle
            self.placement_group = handle.placement_group

        async def before_controller_shutdown(self) -> None:
            if self.placement_group is not None:
                # Nothing happens where that was done already, as it mostly is by now.
                remove_placement_group(self.placement_group)

    return GivesItsPlaceBack()


@contextlib.contextmanager
def nodes_may_start_slowly() -> Generator[None]:
    """Wait for a node that starts while this is entered as long as a busy machine needs.

    Ray 2.60 gives it 30 s. It has to start several processes of Python in them, which among a
    dozen of busy programs is too little for two cores. A raylet that has ended is not waited for.
    It may go when this limit can be set in Ray's environment.

    A raylet waits 15 s for each agent to write down on which port it listens, and ends when one has
    not (ray #65983). So free ports are chosen for them, where none were given, and written down.
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
        asked, free = inspect.signature(start).bind(*of_node, **by_name).arguments, _free_ports()
        for name in _PORTS_OF_AGENTS:
            asked[name] = asked.get(name) or next(free)
        # Of this one Ray does not tell the raylet; the others it does not look for if it is told.
        port = asked[_PORTS_OF_AGENTS[-1]]
        persist_port(asked["session_dir"], asked["node_id"], DASHBOARD_AGENT_LISTEN_PORT_NAME, port)
        within = {"RAY_agent_register_timeout_ms": str(int(1000 * NODE_STARTS_WITHIN_S))}
        asked["env_updates"] = {**within, **(asked.get("env_updates") or {})}
        return start(**asked)

    services.get_node, services.start_raylet = get_node, start_raylet
    try:
        yield
    finally:
        services.get_node, services.start_raylet = get_node_once, start


def _free_ports() -> Iterator[int]:
    """Yield ports on which nothing listens, on any interface, in an order of chance."""
    for port in random.sample(_CHOSEN_PORTS, len(_CHOSEN_PORTS)):
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            yield port


def _ended_raylets() -> set[int]:
    """Find the raylets of this process that have ended, and that nobody has waited for yet."""
    ended: set[int] = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.name() == "raylet" and child.status() == psutil.STATUS_ZOMBIE:
                ended.add(child.pid)
    return ended


@contextlib.contextmanager
def own_sigterm() -> Generator[None]:
    """While Ray connects or disconnects, leave SIGTERM to the program where it handles it.

    Ray sets two handlers: Python's exits without a clean end, and that of its C++ code aborts the
    process after three seconds, whatever it is doing then. Disconnecting, it removes whichever
    handler there is. It may go when `ray.init` takes an option to leave signals alone.
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
        # It came meanwhile, and the C++ handler has set the alarm.
        signal.alarm(0)


class _Fixed(list[str]):
    """A list that takes no more."""

    def extend(self, values: Iterable[str], /) -> None:
        """Leave it as it is: Ray adds the working directory, and that of the program."""


def importing_as_here() -> JobConfig:
    """Return the configuration of a job whose workers import what this process imports.

    Ray 2.60 puts the driver's working directory first on their path, whether or not the driver
    looks there: a file called `statistics.py` there, or another checkout, hides the real one. They
    are given what comes before the standard library on this process's own path, and nothing else;
    what comes after it, they have themselves. It may go when `ray.init` leaves the path alone.
    """
    config = JobConfig()
    # Ray puts each before the one that came before it.
    config._py_driver_sys_path = _Fixed(reversed(_before_the_standard_library()))
    return config


def _before_the_standard_library() -> list[str]:
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    found = itertools.takewhile(
        lambda entry: entry not in standard and not entry.endswith(".zip"), sys.path
    )
    return [os.path.abspath(entry) for entry in found]
