"""The settings of a node to start on this machine, and the check that its ports are free."""

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ray._private import services

from mvkt_ray.config.ports import CLIENT_PORT, DASHBOARD_PORT, HEAD_PORT, NODE_PORTS, port_range
from mvkt_ray.errors import ClusterError

N_SERVICES = 6
FEWEST_WORKER_PORTS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeRequest:
    """Settings of a node to start on this machine."""

    node_ip: str
    token: Path
    node_ports: tuple[int, int]
    """First and last port, inclusive, for services and workers of the node."""
    join: str | None = None
    """`host:port` of the head; None starts a head."""
    port: int = HEAD_PORT
    dashboard_port: int = DASHBOARD_PORT
    dashboard_host: str = "0.0.0.0"
    client_port: int = CLIENT_PORT
    cpus: int | None = None
    gpus: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    resources: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def is_head(self) -> bool:
        """Whether the node starts a cluster instead of joining one."""
        return self.join is None

    @property
    def address(self) -> str:
        """`host:port` of the head."""
        return self.join or f"{self.node_ip}:{self.port}"

    @property
    def worker_ports(self) -> tuple[int, int]:
        """First and last port for workers."""
        return self.node_ports[0] + N_SERVICES, self.node_ports[1]

    def listening(self) -> dict[str, int]:
        """Return the ports of the node's services by their flags of `ray start`."""
        first = self.node_ports[0]
        ports = {
            "--node-manager-port": first,
            "--object-manager-port": first + 1,
            "--runtime-env-agent-port": first + 2,
            "--dashboard-agent-listen-port": first + 3,
            "--dashboard-agent-grpc-port": first + 4,
            "--metrics-export-port": first + 5,
        }
        if self.is_head:
            ports |= {
                "--port": self.port,
                "--dashboard-port": self.dashboard_port,
                "--ray-client-server-port": self.client_port,
            }
        return ports


def own_ip(toward: str | None) -> str:
    """Return this machine's IP address on the route to `toward` (`host:port`), or the default."""
    return services.get_node_ip_address(toward) if toward else services.get_node_ip_address()


def check_ports(request: NodeRequest) -> None:
    """Raise unless all ports of a node's services are free and the range is large enough.

    Raises:
        ClusterError: The message has the flags and the ports.
    """
    first, last = request.node_ports
    if last - first + 1 < N_SERVICES + FEWEST_WORKER_PORTS:
        raise ClusterError(
            f"--node-ports {first}-{last} are {last - first + 1} ports: a node needs {N_SERVICES} "
            f"for its services and at least {FEWEST_WORKER_PORTS} for workers, one for each "
            f"process. Write for example {port_range(NODE_PORTS)}."
        )
    taken = [
        f"{'--node-ports' if first <= port <= last else flag} {port}"
        for flag, port in request.listening().items()
        if not _is_free(port)
    ]
    if taken:
        flags = ", ".join(taken).replace("--ray-client-server-port", "--client-port")
        raise ClusterError(
            f"Ports that this node needs are in use: {flags}. A head may be running here already "
            "(`mvkt cluster stop` ends the nodes that were started here); otherwise give other "
            "ports with these flags."
        )


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        # As servers do: closed connections of a node that has just stopped may linger.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
