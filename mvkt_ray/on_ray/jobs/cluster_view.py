"""A cluster's state from its dashboard: nodes, and problems such as refused launches."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mvkt_ray.on_ray.connecting.node_check import MOST_CLOCK_SKEW_S
from mvkt_ray.on_ray.jobs.jobs_api import Jobs

CLOCK_ARRIVES_WITHIN_S = 15.0
"""A node reports its clock every few seconds, a busy node later."""

LOOKS_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewedNode:
    """A living node of a cluster."""

    node_id: str
    host: str
    is_head: bool
    cpus: float
    gpus: float
    started_at: float
    """Seconds since 1970, by the clock of the head."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterView:
    """Nodes and problems of a cluster at one point in time."""

    nodes: tuple[ViewedNode, ...]
    """The head first, then by the time of start."""
    problems: tuple[str, ...]
    """Sentences on unavailable node types with the reason, failed nodes, and differing clocks."""


def view_cluster(jobs: Jobs) -> ClusterView:
    """Return the nodes and problems that the dashboard reports.

    Raises:
        ClusterError: The dashboard does not answer.
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
    """Return a sentence on each problem of the autoscaler: refused launches, failed nodes.

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
            problems.append(f"No {each['nodeType']} nodes are available ({reason}).")
    for ip, node_type in report.get("failedNodes") or []:
        problems.append(f"A {node_type} node has failed ({ip}).")
    return problems


def clock_problems(
    read_clocks: Callable[[], dict[str, float]], patience_s: float = CLOCK_ARRIVES_WITHIN_S
) -> list[str]:
    """Return a sentence on each clock that differs; coarse: the start of a search checks exactly.

    A busy node's last report may be minutes old. So an old time makes a host a suspect only; its
    next report, which was made during this call, decides.

    Args:
        read_clocks: Returns the last reported time of each host, in seconds since 1970.
        patience_s: Limit of the wait for next reports; a host without one is not listed.
    """
    read_at, last = time.time(), read_clocks()
    suspected = {host for host, clock in last.items() if abs(clock - read_at) > MOST_CLOCK_SKEW_S}
    problems: list[str] = []
    deadline = time.monotonic() + patience_s
    while suspected and time.monotonic() < deadline:
        time.sleep(LOOKS_EVERY_S)
        clocks = read_clocks()
        for host in sorted(suspected):
            clock = clocks.get(host, last[host])
            if clock == last[host]:
                continue
            suspected.discard(host)
            skew = max(read_at - clock, clock - time.time())
            if skew > MOST_CLOCK_SKEW_S:
                problems.append(
                    f"The clock of {host} differs from this machine's by about {skew:.0f} s."
                )
    return problems
