"""What `mvkt cluster start` says: versions, ports, the token, and the lines to type next."""

import platform
import shlex
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mvkt_ray import __version__

if TYPE_CHECKING:
    from mvkt_ray.on_ray.own_nodes.local_nodes import LocalNode
    from mvkt_ray.on_ray.own_nodes.node_request import NodeRequest


def node_as_value(request: "NodeRequest", node: "LocalNode") -> dict[str, Any]:
    """Return what a program wants to know of a node that has just started."""
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
    """Return what a person wants to know of it, by a word for each line."""
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
        "firewall": f"let the nodes reach {request.port} here and each other on {between}, those "
        f"who send studies {dashboard}, and nobody else anything. Nothing is encrypted: across "
        f"networks that you do not trust use a VPN, or `ssh -L {dashboard}:localhost:{dashboard}`",
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
        "firewall": f"let the other nodes reach {between} here, and nobody else",
        "token": f"in {node.token}",
    }
