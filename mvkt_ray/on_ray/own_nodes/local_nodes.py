"""Nodes of clusters on this machine: started by `ray start`, recorded, and ended by process number.

Ray's own `ray stop` ends all Ray processes of a machine. Here each node has its own directory, and
its processes have its name in their environment, so that one of two nodes on a machine can be ended
without the other.

Writes: `mvkt-node-*/node.json` in the temporary directory, beside Ray's own files.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from mvkt_ray import __version__
from mvkt_ray.errors import ClusterError, MvktError
from mvkt_ray.on_ray.capacity.reservations import SAFE_LABEL
from mvkt_ray.on_ray.connecting.environment import LONGEST_DIRECTORY, SHARED_MACHINES, WORKERS
from mvkt_ray.on_ray.connecting.tokens import MODE, PATH, VALUE
from mvkt_ray.on_ray.own_nodes.node_request import NodeRequest
from mvkt_ray.phrasing import shortly

PREFIX = "mvkt-node-"
MARK = "MVKT_RAY_NODE"
"""Environment variable with the node's name, which every process of the node inherits."""

VERSION_LABEL = "mvkt-ray/version"

PATIENT_RAY = "mvkt_ray.on_ray.own_nodes.patient_ray"

STARTS_WITHIN_S = 900.0
"""Limit for `ray start`, which may take several minutes on a busy machine."""

ENDS_WITHIN_S = 20.0
"""Limit for processes of a node after SIGTERM; then they are killed."""

CONTROL_SERVICE = "gcs_server"
CONTROL_ENDS_WITHIN_S = 3.0
"""Short: the service has nothing to save, and may wait for processes that have ended."""

ESSENTIAL = frozenset({CONTROL_SERVICE, "raylet"})
"""Names of the processes without which a node does not work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalNode:
    """The record of a node on this machine, the content of `node.json`."""

    name: str
    directory: str
    is_head: bool
    address: str
    """`host:port` of the head of its cluster."""
    dashboard: str | None
    """`http://host:port`; None: not a head."""
    token: str
    """Path of the token file."""
    started_at: float
    """Seconds since 1970."""

    def processes(self) -> list[psutil.Process]:
        """Return the node's living processes, including workers and entry points of jobs."""
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            # Children are included, since some of Ray's processes overwrite their environment
            # with their title.
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == self.name:
                    family = (process, *process.children(recursive=True))
                    found |= {each.pid: each for each in family}
        found.pop(os.getpid(), None)
        return list(found.values())


def start_node(request: NodeRequest) -> LocalNode:
    """Start a node and wait until `ray start` succeeds; the node outlives this process.

    Raises:
        ClusterError: Ray does not start; its processes and files are removed.
    """
    try:
        return _start_in(Path(tempfile.mkdtemp(prefix=PREFIX, dir=_base())), request)
    except MvktError:
        raise
    except Exception as error:
        raise ClusterError(
            f"Ray does not start on this machine: {shortly(error)} Its folder is created below "
            "TMPDIR, or /tmp, which must exist, be writable and have free space."
        ) from error


def _start_in(directory: Path, request: NodeRequest) -> LocalNode:
    node = LocalNode(
        name=directory.name,
        directory=str(directory),
        is_head=request.is_head,
        address=request.address,
        dashboard=f"http://{request.node_ip}:{request.dashboard_port}" if request.is_head else None,
        token=str(request.token),
        started_at=time.time(),
    )
    log = directory / "start.log"
    try:
        # First, so that `mvkt cluster stop` finds the processes after a kill at any later instant.
        (directory / "node.json").write_text(json.dumps(asdict(node), indent=2))
        # A file, not a pipe, which the node's processes would keep open.
        with log.open("w") as stream:
            done = subprocess.run(
                _ray_start(request, directory),
                env=_environment(request, node.name),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                timeout=STARTS_WITHIN_S,
            )
        if done.returncode:
            raise ClusterError(
                f"Ray does not start on this machine: {_reason(log.read_text())} Its log was "
                f"written by `ray start` with exit code {done.returncode}."
            )
    except subprocess.TimeoutExpired:
        last_line = _reason(log.read_text())
        stop_node(node)
        raise ClusterError(
            f"Ray does not start on this machine: `ray start` has not ended within "
            f"{STARTS_WITHIN_S / 60:.0f} min; the last line of its log: {last_line} Try again when "
            "the machine is less busy, and check that it reaches the head of the cluster."
        ) from None
    except BaseException:
        stop_node(node)
        raise
    return node


def local_nodes() -> Iterator[LocalNode]:
    """Yield the nodes that this user has started on this machine and not stopped."""
    for path in sorted(_base().glob(f"{PREFIX}*/node.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            if path.stat().st_uid == os.getuid():
                yield LocalNode(**json.loads(path.read_text()))


def stop_node(node: LocalNode) -> int:
    """End the processes of a node, and remove its files; return the number of processes."""
    processes = node.processes()
    # The head's control service last: the other processes sign off there, or would wait for it.
    last = [process for process in processes if _name(process) == CONTROL_SERVICE]
    _end([process for process in processes if process not in last], ENDS_WITHIN_S)
    # Then the control service, and processes that were forked meanwhile.
    _end(node.processes(), CONTROL_ENDS_WITHIN_S)
    shutil.rmtree(node.directory, ignore_errors=True)
    return len(processes)


def _end(processes: list[psutil.Process], patience_s: float) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, left = psutil.wait_procs(processes, timeout=patience_s)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=ENDS_WITHIN_S)


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return process.name()
    return ""


def wait_for_end(node: LocalNode) -> str:
    """Wait until one of the node's `ESSENTIAL` processes ends, and return its name."""
    names = {each: _name(each) for each in node.processes()}
    names = {each: name for each, name in names.items() if name in ESSENTIAL}
    while names:
        ended, _ = psutil.wait_procs(list(names), timeout=1)
        if ended:
            return names[ended[0]]
    return "raylet"


def _ray_start(request: NodeRequest, directory: Path) -> Sequence[str]:
    labels = {VERSION_LABEL: __version__, **request.labels}
    if request.is_head:
        labels = {SAFE_LABEL: "true", **labels}
    flags: dict[str, Any] = {
        **request.listening(),
        "--node-ip-address": request.node_ip,
        "--min-worker-port": request.worker_ports[0],
        "--max-worker-port": request.worker_ports[1],
        "--temp-dir": directory,
        "--labels": ",".join(f"{name}={value}" for name, value in labels.items()),
        "--resources": json.dumps(dict(request.resources)),
    }
    if request.is_head:
        flags["--dashboard-host"] = request.dashboard_host
    else:
        flags["--address"] = request.join
    for flag, number in {"--num-cpus": request.cpus, "--num-gpus": request.gpus}.items():
        if number is not None:
            flags[flag] = number
    head = ["--head", "--include-dashboard=true"] if request.is_head else []
    words = [str(word) for pair in flags.items() for word in pair]
    return [sys.executable, "-m", PATIENT_RAY, "start", *head, *words]


def _environment(request: NodeRequest, name: str) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if key not in (VALUE, "RAY_ADDRESS")}
    return {
        **ours,
        **WORKERS,
        **SHARED_MACHINES,
        MODE: "token",
        PATH: str(request.token.absolute()),
        MARK: name,
        "RAY_USAGE_STATS_ENABLED": "0",
        # See CLIENT_FLAKE in cluster.py.
        "GRPC_ENABLE_FORK_SUPPORT": "0",
        # Jobs start `mvkt`, which is beside this Python, but may not be on the shell's PATH.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), ours.get("PATH", os.defpath)]),
    }


def _base() -> Path:
    base = Path(tempfile.gettempdir())
    return base if len(str(base)) + len(PREFIX) + 9 <= LONGEST_DIRECTORY else Path("/tmp")


def _reason(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "it is empty."
