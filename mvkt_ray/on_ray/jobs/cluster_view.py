"""A cluster as its dashboard tells of it: nodes, and what keeps it from getting more of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mvkt_ray.on_ray.connecting.node_check import MOST_CLOCK_SKEW_S
from mvkt_ray.on_ray.jobs.jobs_api import Jobs

TELLS_TIME_WITHIN_S = 15.0
"""A node tells its time every few seconds, or later when it is busy."""

LOOKS_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewedNode:
    """A living node."""

    node_id: str
    host: str
    is_head: bool
    cpus: float
    gpus: float
    started_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterView:
    """Nodes and jobs of a cluster at one moment."""

    nodes: tuple[ViewedNode, ...]
    problems: tuple[str, ...]
    """Nodes that cannot be had and why, nodes that failed, clocks that differ."""


def view_cluster(jobs: Jobs) -> ClusterView:
    """Ask the dashboard.

    Raises:
        ClusterError: It does not answer.
    """
    listed = jobs.ask("/api/v0/nodes?detail=1&limit=10000")["data"]["result"]["result"]
    nodes = [
        ViewedNode(
            node_id=node["node_id"],
            host=node["node_name"] or node["node_ip"],
            is_head=node["is_head_node"],
            cpus=node["resources_total"].get("CPU", 0.0),
            gpus=node["resources_total"].get("GPU", 0.0),
            started_at=node["start_time_ms"] / 1000,
        )
        for node in listed
        if node["state"] == "ALIVE"
    ]

    def read_clocks() -> dict[str, float]:
        summary = jobs.ask("/nodes?view=summary")["data"]["summary"]
        return {each["hostname"]: each["now"] for each in summary if each.get("now")}

    status = jobs.ask("/api/cluster_status")["data"]
    return ClusterView(
        nodes=tuple(sorted(nodes, key=lambda node: (not node.is_head, node.started_at))),
        problems=(*growth_problems(status), *clock_problems(read_clocks)),
    )


def growth_problems(status: dict[str, Any]) -> list[str]:
    """Say what an autoscaler could not do: launches that were refused, and nodes that failed.

    Args:
        status: `data` of the dashboard's `/api/cluster_status`.
    """
    problems: list[str] = []
    if status.get("autoscalingError"):
        problems.append(f"The autoscaler has failed: {status['autoscalingError']}")
    report = (status.get("clusterStatus") or {}).get("autoscalerReport") or {}
    summary = report.get("nodeAvailabilitySummary") or {}
    for each in (summary.get("nodeAvailabilities") or {}).values():
        why = each.get("unavailableNodeInformation") or {}
        if not each.get("isAvailable", True):
            reason = f"{why.get('category', '')}: {why.get('description', '')}".strip(": ")
            problems.append(f"No {each['nodeType']} nodes can be had ({reason}).")
    for ip, node_type in report.get("failedNodes") or []:
        problems.append(f"A {node_type} node has failed ({ip}).")
    return problems


def clock_problems(
    read_clocks: Callable[[], dict[str, float]], patience_s: float = TELLS_TIME_WITHIN_S
) -> list[str]:
    """Say whose clocks are wrong; this is coarse, the start of a search is exact.

    A time that is minutes old may be that of a busy node. So it is suspicion only, and what counts
    is the next one that the node tells: it was read while we looked.

    Args:
        read_clocks: returns the last time that each host has told, in seconds since 1970.
        patience_s: how long to wait for the next one; a node that tells none is not accused.
    """
    looked_at, last = time.time(), read_clocks()
    suspected = {host for host, told in last.items() if abs(told - looked_at) > MOST_CLOCK_SKEW_S}
    problems: list[str] = []
    deadline = time.monotonic() + patience_s
    while suspected and time.monotonic() < deadline:
        time.sleep(LOOKS_EVERY_S)
        clocks = read_clocks()
        for host in sorted(suspected):
            told = clocks.get(host, last[host])
            if told == last[host]:
                continue
            suspected.discard(host)
            skew = max(looked_at - told, told - time.time())
            if skew > MOST_CLOCK_SKEW_S:
                problems.append(
                    f"The clock of {host} differs from the one here by about {skew:.0f} s."
                )
    return problems
