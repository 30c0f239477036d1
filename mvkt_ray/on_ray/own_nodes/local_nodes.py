"""Nodes of clusters on this machine: started by `ray start`, written down, and ended by process id.

Ray's own `ray stop` ends every Ray of a machine, whoever started it. Here each node has a directory
of its own, and its processes carry its name in their environment, so that two nodes on one machine
do not meet and one can be ended without the other.

Writes: `mvkt-node-*/node.json` in the temporary directory, and what Ray writes beside it.
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
"""Environment variable that every process of a node inherits; its value is the node's name."""

VERSION_LABEL = "mvkt-ray/version"

PATIENT_RAY = "mvkt_ray.on_ray.own_nodes.patient_ray"

STARTS_WITHIN_S = 900.0
"""For `ray start`, which itself waits for several minutes on a busy machine."""

ENDS_WITHIN_S = 20.0
"""For processes of a node after SIGTERM; then they are killed."""

CONTROL_SERVICE = "gcs_server"
CONTROL_ENDS_WITHIN_S = 3.0
"""It keeps nothing that must be written, and may wait for those that are gone."""

ESSENTIAL = frozenset({CONTROL_SERVICE, "raylet"})
"""Without these a node is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalNode:
    """A node on this machine, as it is written down."""

    name: str
    directory: str
    is_head: bool
    address: str
    """`host:port` of the head of its cluster."""
    dashboard: str | None
    """`http://host:port`, of a head only."""
    token: str
    """Path of the file."""
    started_at: float

    def processes(self) -> list[psutil.Process]:
        """Find all its living processes, workers and entry points of jobs included."""
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            # Some processes of Ray write their title over their environment: they are children.
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == self.name:
                    family = (process, *process.children(recursive=True))
                    found |= {each.pid: each for each in family}
        found.pop(os.getpid(), None)
        return list(found.values())


def start_node(request: NodeRequest) -> LocalNode:
    """Start a node and wait until Ray says that it runs; its processes outlive this one.

    Raises:
        ClusterError: Ray does not start; nothing of it is left behind.
    """
    try:
        return _start_in(Path(tempfile.mkdtemp(prefix=PREFIX, dir=_base())), request)
    except MvktError:
        raise
    except Exception as error:
        raise ClusterError(
            f"Ray does not start on this machine: {shortly(error)} Its folder is made below "
            "TMPDIR, or /tmp, which must be there, with room, and writable."
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
        # First, so that whatever happens from here on `stop` finds the processes.
        (directory / "node.json").write_text(json.dumps(asdict(node), indent=2))
        # A file rather than a pipe, which processes that stay would keep open.
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
        said = _reason(log.read_text())
        stop_node(node)
        raise ClusterError(
            f"Ray does not start on this machine: `ray start` has not ended within "
            f"{STARTS_WITHIN_S / 60:.0f} min; its log says last: {said} Try again when the machine "
            "is less busy, and see that it reaches the head of the cluster."
        ) from None
    except BaseException:
        stop_node(node)
        raise
    return node


def local_nodes() -> Iterator[LocalNode]:
    """Yield every node that was started on this machine by this user and not stopped."""
    for path in sorted(_base().glob(f"{PREFIX}*/node.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            if path.stat().st_uid == os.getuid():
                yield LocalNode(**json.loads(path.read_text()))


def stop_node(node: LocalNode) -> int:
    """End the processes of a node, and remove its files; return how many processes there were."""
    processes = node.processes()
    # The head's control service goes last: the others say goodbye to it, or wait for it in vain.
    last = [process for process in processes if _name(process) == CONTROL_SERVICE]
    _end([process for process in processes if process not in last], ENDS_WITHIN_S)
    # And what was forked meanwhile.
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
    """Wait until a process ends without which the node is none, and return its name."""
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
        # Jobs start `mvkt`, which is beside this Python whether or not the shell knows it.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), ours.get("PATH", os.defpath)]),
    }


def _base() -> Path:
    base = Path(tempfile.gettempdir())
    return base if len(str(base)) + len(PREFIX) + 9 <= LONGEST_DIRECTORY else Path("/tmp")


def _reason(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing."
