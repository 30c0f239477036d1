"""Connecting to Ray, and whether its nodes are as this machine is."""

import contextlib
import logging
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import ray
from ray._private import worker as ray_worker
from ray.exceptions import NodeDiedError, RayError, TaskUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.capacity.nodes import LivingNode, living_nodes
from mvkt_ray.on_ray.connecting.address import admitted
from mvkt_ray.on_ray.connecting.environment import (
    QUIET,
    WORKERS,
    environment,
    own_directory,
    own_token,
    quiet_ray,
)
from mvkt_ray.on_ray.ray_corrections import own_sigterm
from mvkt_ray.phrasing import shortly

CLIENT_FLAKE = "Starting Ray client server failed"
"""The head forks a process for each client, and with gRPC's fork support on (its default) one in
four of them hung with Ray 2.60. `GRPC_ENABLE_FORK_SUPPORT=0` for the head ends that; another
attempt mostly helps, too."""

CLIENT_ATTEMPTS = 3

PROBE_TIMEOUT_S = 120.0
"""For a node to start one process; a minute on a node that has just come up is normal."""

MOST_CLOCK_SKEW_S = 60.0
"""Leases of the ledger and signatures of object stores need clocks that agree to minutes."""


@contextlib.contextmanager
def connected(address: str | None, *, n_cpus: int | None = None) -> Generator[None]:
    """Be connected to Ray while this is entered.

    Args:
        address: None starts an instance of our own on this machine, with its own token and
            temporary directory, and stops it at the end. `auto`, `host:port` and `ray://host:port`
            attach to a cluster and leave it running.
        n_cpus: for an own instance; None: the cores that this process may use.

    Raises:
        ClusterError: There is no such cluster, it refuses us, or it runs other versions.
    """
    if ray.is_initialized():
        raise ClusterError(
            "This process is connected to Ray already. Close that connection (`ray.shutdown()`) "
            "before another is opened."
        )
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment({**QUIET, **WORKERS}))
        stack.enter_context(quiet_ray())
        if address is None:
            directory = stack.enter_context(own_directory())
            stack.enter_context(own_token(directory))
            stack.callback(_disconnect)
            with own_sigterm():
                _start(directory, n_cpus)
        else:
            found = stack.enter_context(admitted(address))
            stack.callback(_disconnect)
            with own_sigterm():
                _attach(found)
        yield


def _disconnect() -> None:
    with own_sigterm():
        ray.shutdown()


def _start(directory: Path, n_cpus: int | None) -> None:
    try:
        # "local" never attaches to an instance that somebody else has started on this machine.
        ray.init(
            "local",
            num_cpus=n_cpus,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
            _temp_dir=str(directory),
        )
    except (RuntimeError, OSError, RayError, ValueError) as error:
        raise ClusterError(
            f"Ray cannot start on this machine: {shortly(error)}. Run with --in-process to do "
            "without Ray, or give the --address of a cluster."
        ) from error


def _attach(address: str) -> None:
    for attempts_left in reversed(range(CLIENT_ATTEMPTS)):
        try:
            ray.init(
                address,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
            )
            return
        except (ConnectionError, RuntimeError, OSError, RayError, ValueError) as error:
            if attempts_left and CLIENT_FLAKE in str(error):
                ray.shutdown()
                continue
            raise ClusterError(
                f"--address {address}: {shortly(error)} Check that the cluster runs and can be "
                f"reached from here, with the same Python and ray=={ray.__version__}, and that "
                "RAY_AUTH_TOKEN_PATH names its token if it asks for one. Without --address, mvkt "
                "starts its own Ray on this machine."
            ) from error


def own_ray_runs() -> bool:
    """Whether the processes of the instance that this process has started all live.

    When its raylet dies Ray may leave us waiting for minutes (seen with Ray 2.60).
    """
    node = ray_worker._global_node
    return node is None or node.remaining_processes_alive()


def check_nodes(paths: tuple[str, ...] = ()) -> None:
    """Raise unless every node runs our versions and sees the given folders.

    It costs the start of one process per node, all at once, where a cluster that was set up wrongly
    would fail trial by trial.

    Args:
        paths: local folders that every node must see, and URIs that every node must reach.

    Raises:
        ClusterError: Names the nodes, and what differs.
    """
    probe = _probe_function()
    remote = ray.remote(num_cpus=0)(probe)
    nodes = living_nodes()
    strategies = [NodeAffinitySchedulingStrategy(node.node_id, soft=False) for node in nodes]
    asked_at = time.time()
    answers = [
        remote.options(scheduling_strategy=strategy).remote(paths) for strategy in strategies
    ]
    _, missing = ray.wait(answers, num_returns=len(answers), timeout=PROBE_TIMEOUT_S)
    if missing:
        raise ClusterError(
            f"Not every node of the cluster has answered within {PROBE_TIMEOUT_S:g} s. See "
            "`ray status`; remove the nodes that hang, or try again when they are up."
        )
    found: list[tuple[LivingNode, dict[str, Any]]] = []
    for node, answer in zip(nodes, answers, strict=True):
        # A node that has gone meanwhile, as spot nodes do, has nothing wrong with it.
        with contextlib.suppress(TaskUnschedulableError, NodeDiedError):
            found.append((node, ray.get(answer)))
    answered_at = time.time()
    here = probe(())["versions"]
    problems = [
        problem
        for node, answer in found
        for problem in (
            *_differences(f"{node.host}/{node.node_id[:8]}", answer, here),
            *_skew(f"{node.host}/{node.node_id[:8]}", answer["clock_s"], asked_at, answered_at),
        )
    ]
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise ClusterError(
            f"The cluster does not fit this machine: {'; '.join(problems[:5])}{more}. Install the "
            "same versions on every node, and put the study, its shards and its teacher on "
            "storage that every node sees under the same path. Clocks are set by NTP, for example "
            "`timedatectl set-ntp true`."
        )


def _differences(node: str, answer: dict[str, Any], here: dict[str, str]) -> list[str]:
    versions = [
        f"node {node} has {name} {answer['versions'][name]}, here it is {wanted}"
        for name, wanted in here.items()
        if answer["versions"][name] != wanted
    ]
    missing = [f"node {node} does not see {path}" for path in answer["missing"]]
    refused = [f"node {node} cannot reach {said}" for said in answer["refused"]]
    return [*versions, *missing, *refused]


def _skew(node: str, clock_s: float, asked_at: float, answered_at: float) -> list[str]:
    # The node read its clock between our two readings, which may be a minute apart.
    skew = max(asked_at - clock_s, clock_s - answered_at)
    if skew <= MOST_CLOCK_SKEW_S:
        return []
    side = "behind" if clock_s < asked_at else "ahead of"
    return [f"the clock of node {node} is {skew:.0f} s {side} the one here"]


def _probe_function() -> Any:
    # Nested, so that it travels by value: a node may lack mvkt_ray, or have another one.
    def probe(paths: tuple[str, ...]) -> dict[str, Any]:
        import os
        import sys
        import time
        from importlib.metadata import PackageNotFoundError, version

        def installed(name: str) -> str:
            # What follows the plus tells builds for CPUs from those for GPUs; they may be mixed.
            try:
                return version(name).partition("+")[0]
            except PackageNotFoundError:
                return "not installed"

        names = ("ray", "mvkt-ray", "torch")
        versions = {name: installed(name) for name in names}
        versions["Python"] = f"{sys.version_info.major}.{sys.version_info.minor}"
        uris = [path for path in paths if "://" in path]
        missing = [path for path in paths if path not in uris and not os.path.exists(path)]
        refused: list[str] = []
        if uris and versions["mvkt-ray"] != "not installed":
            from mvkt_ray.errors import StoreError
            from mvkt_ray.storage.object_store import expect_readable

            for uri in uris:
                try:
                    expect_readable(uri)
                except StoreError as error:
                    refused.append(str(error))
        return {
            "versions": versions,
            "missing": missing,
            "refused": refused,
            "clock_s": time.time(),
        }

    return probe
