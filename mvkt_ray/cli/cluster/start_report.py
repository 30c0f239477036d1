"""Output of `mvkt cluster start`: versions, ports, the token, and the next commands."""

import platform
import shlex
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mvkt_ray import __version__

if TYPE_CHECKING:
    from mvkt_ray.on_ray.own_nodes.local_nodes import LocalNode
    from mvkt_ray.on_ray.own_nodes.node_request import NodeRequest


def node_as_value(request: "NodeRequest", node: "LocalNode") -> dict[str, Any]:
    """Return the facts of a started node as JSON values."""
    return {
        "node": node.name,
        "address": node.address,
        "dashboard": node.dashboard,
        "token_file": node.token,
        "directory": node.directory,
        "ports": {flag.removeprefix("--"): port for flag, port in request.listening().items()},
        "worker_ports": list(request.worker_ports),
    }


def node_lines(request: "NodeRequest", node: "LocalNode") -> dict[str, str]:
    """Return the lines that describe a started node, each by its heading."""
    between = f"{request.node_ports[0]}-{request.node_ports[1]}"
    specific = _head_lines if node.is_head else _worker_lines
    return {
        "versions": f"mvkt-ray {__version__}, Ray {version('ray')}, "
        f"Python {platform.python_version()}; every machine of the cluster needs the same",
        **specific(request, node, between),
        "to stop it": "mvkt cluster stop",
    }


def _head_lines(request: "NodeRequest", node: "LocalNode", between: str) -> dict[str, str]:
    token = shlex.quote(node.token)
    dashboard = request.dashboard_port
    return {
        "listens on": f"{request.port} (nodes join here) and {between} (node to node) on all "
        f"interfaces; {dashboard} (jobs and dashboard, HTTP) on {request.dashboard_host}; "
        f"{request.client_port} (ray://) on {request.node_ip}",
        "firewall": f"open {request.port} here to the nodes, {between} between the "
        f"nodes, and {dashboard} here to users who submit studies; close all ports to everybody "
        "else. Traffic is not encrypted: across untrusted networks use a VPN, or "
        f"`ssh -L {dashboard}:localhost:{dashboard}`",
        "token": f"in {node.token}, readable by you alone; every request must show it",
        "copy it": f"ssh NODE 'mkdir -p -m 700 ~/.ray' && scp -p {token} NODE:.ray/auth_token",
        "on each node": f"mvkt cluster start --join {node.address}",
        "from anywhere": f"mvkt cluster submit STUDY.yaml --address {node.dashboard} "
        "--data URI --out URI",
        "from here": f"mvkt search STUDY.yaml --address {node.address} --data URI --out URI",
    }


def _worker_lines(request: "NodeRequest", node: "LocalNode", between: str) -> dict[str, str]:
    return {
        "listens on": f"{between} (node to node) on all interfaces",
        "firewall": f"open {between} here to the other nodes, and to nobody else",
        "token": f"in {node.token}",
    }
