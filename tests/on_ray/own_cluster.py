"""Ray clusters of several nodes on one machine, beside whatever else runs on it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray._private.node import Node
from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue]
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import (
    DrainNodeReason,  # pyright: ignore[reportAttributeAccessIssue]
)

from mvkt_ray.on_ray.connecting.environment import WORKERS, environment, own_directory, own_token
from mvkt_ray.on_ray.ray_corrections import nodes_may_start_slowly
from tests.patience import PATIENCE_S, wait_until
from tests.ports import free_port

SMALL: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100_000_000}

LOSSES_ARE_NOTICED = {
    # A node that was killed refuses connections, which the head notices after five of these. One
    # that is only slow does not, and keeps Ray's 10 s for each answer.
    "RAY_health_check_period_ms": "200",
    "RAY_health_check_initial_delay_ms": "500",
}
"""Within a second or two; Ray's own period is 3 s, and 16 s pass until it believes it."""

LEFT_OUT: dict[str, Any] = {
    # It would add nodes, where there is a launcher's file.
    "no_monitor": True,
    # It would bring what workers print to drivers, none of which listens.
    "include_log_monitor": False,
}
"""Processes of a head that nobody here asks anything: each takes a second to start."""


@contextlib.contextmanager
def own_cluster(
    n_nodes: int = 1, *, environ: dict[str, str] | None = None, **head: Any
) -> Iterator[Cluster]:
    """Run a cluster with its own token, temporary directory and ports while this is entered.

    Args:
        n_nodes: the head included, each with one CPU unless `head` says otherwise of the head.
        environ: for the processes of all nodes; this process has them meanwhile, too.
        head: parameters of the head node, as `Cluster.add_node` takes them.
    """
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(own_directory())
        stack.enter_context(own_token(directory))
        values = {
            "RAY_TMPDIR": str(directory),
            "RAY_USAGE_STATS_ENABLED": "0",
            # Ray's default lets workers starve beside anything else that runs on the machine.
            "RAY_worker_niceness": "0",
            **LOSSES_ARE_NOTICED,
            # See CLIENT_FLAKE in cluster.py.
            "GRPC_ENABLE_FORK_SUPPORT": "0",
        }
        stack.enter_context(environment({**WORKERS, **values, **(environ or {})}))
        stack.enter_context(_heads_without_dashboard())
        stack.enter_context(nodes_may_start_slowly())
        cluster = Cluster()
        stack.callback(cluster.shutdown)
        port = {"dashboard_agent_listen_port": free_port()}
        add_node(cluster, **{**LEFT_OUT, **port, **head})
        for _ in range(n_nodes - 1):
            add_node(cluster)
        cluster.wait_for_nodes(timeout=PATIENCE_S)
        yield cluster


@contextlib.contextmanager
def _heads_without_dashboard() -> Iterator[None]:
    """Start no process for the dashboard: told to leave it out, Ray starts and awaits it still."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Node, "start_api_server", lambda *_, **__: None)
        yield


def add_node(cluster: Cluster, **node: Any) -> Node:
    """Start one more node, and wait until the head knows it; in the main thread only."""
    added = cluster.add_node(wait=False, **{**SMALL, **node})
    cluster._wait_for_node(added, timeout=int(PATIENCE_S))
    return added


def wait_for_free_slots(cluster: Cluster, n_slots: int) -> None:
    """Wait until nothing holds a CPU any more; say what does, or which node is gone, if that stays.

    This process is connected to the cluster.
    """
    try:
        wait_until(f"{n_slots} free CPUs", lambda: ray.available_resources().get("CPU") == n_slots)
    except AssertionError as error:
        table: dict[str, Any] = ray.util.placement_group_table()
        held = [group for group in table.values() if group["state"] != "REMOVED"]
        dead = [node for node in cluster.list_all_nodes() if not node.remaining_processes_alive()]
        ends = [
            "".join(path.read_text(errors="replace").splitlines(keepends=True)[-20:])
            for node in dead
            for path in sorted(Path(node.get_logs_dir_path()).glob("raylet*.*"))
        ]
        raise AssertionError(f"{error}: {ray.nodes()} {held} {ends}") from error


def announce_end(node: Node) -> None:
    """Tell the head that a cloud takes a node back, as `ray start --block` does on SIGTERM."""
    address = node.gcs_address
    reason, message = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"), "taken back"
    is_accepted, why_not = GcsClient(address=address).drain_node(node.node_id, reason, message, 1)
    assert is_accepted, why_not


def kill_node(cluster: Cluster, node: Node) -> None:
    """End all processes of a node at once, its workers too, and wait until they are gone."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    workers = raylet.children(recursive=True)
    cluster.remove_node(node, allow_graceful=False)
    for worker in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
    psutil.wait_procs(workers, timeout=PATIENCE_S)
    # Until then the head may still give it work.
    cluster.wait_for_nodes(timeout=PATIENCE_S)
