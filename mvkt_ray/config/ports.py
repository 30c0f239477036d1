"""Ports of a Ray cluster, by default: of its nodes, of the files that make one, and in messages."""

HEAD_PORT = 6379
"""Of the head, where nodes join and drivers connect."""
DASHBOARD_PORT = 8265
"""Of the head, for jobs and status, over HTTP."""
CLIENT_PORT = 10001
"""Of the head, for drivers outside the cluster (`ray://`)."""
NODE_PORTS = (20000, 20999)
"""First and last of those of a node, for its services and workers."""


def port_range(ports: tuple[int, int]) -> str:
    """Write a range of ports as the command line takes it: `20000-20999`."""
    return f"{ports[0]}-{ports[1]}"
