"""Connecting to Ray: starts an own instance on this machine, or attaches to a cluster."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil
import ray
from ray._private import worker as ray_worker

from mvkt_ray.errors import ClusterError, MvktError
from mvkt_ray.on_ray.connecting.address import CLIENT, admitted
from mvkt_ray.on_ray.connecting.environment import (
    QUIET,
    SHARED_MACHINES,
    WORKERS,
    environment,
    own_directory,
    own_token,
    quiet_ray,
)
from mvkt_ray.on_ray.ray_corrections import (
    importing_as_here,
    nodes_may_start_slowly,
    own_sigterm,
)
from mvkt_ray.phrasing import shortly

_LOG = logging.getLogger(__name__)

CLIENT_FLAKE = "Starting Ray client server failed"
"""The head forks a process for each client; with gRPC's fork support, its default, one in four hung
with Ray 2.60. `GRPC_ENABLE_FORK_SUPPORT=0` on the head avoids that; mostly a second attempt works.
"""

CLIENT_ATTEMPTS = 3

LEFT_WITHIN_S = 120.0
"""Limit for disconnecting, which takes 2 s; Ray kills its processes that do not end within 1 s."""

ENDS_WITHIN_S = 10.0
"""Limit for killed processes to end."""


@contextlib.contextmanager
def connected(address: str | None, *, n_cpus: int | None = None) -> Generator[None]:
    """Connect to Ray for the block.

    Args:
        address: None starts an own instance on this machine, with its own token and temporary
            directory, and stops it at the end. `auto`, `host:port` and `ray://host:port` attach to
            a cluster and leave it running.
        n_cpus: CPUs of an own instance; None: the cores that this process may use.

    Raises:
        ClusterError: There is no such cluster, it refuses the connection, it has other versions,
            or Ray does not start.
    """
    if ray.is_initialized():
        raise ClusterError(
            "This process is connected to Ray already. Close that connection (`ray.shutdown()`) "
            "before opening another."
        )
    with contextlib.ExitStack() as stack:
        with _explaining(address):
            stack.enter_context(environment({**QUIET, **WORKERS}))
            stack.enter_context(quiet_ray())
            if address is None:
                stack.enter_context(environment(SHARED_MACHINES))
                directory = stack.enter_context(own_directory())
                stack.enter_context(own_token(directory))
                stack.callback(_disconnect, directory)
                with own_sigterm(), nodes_may_start_slowly():
                    _start(directory, n_cpus)
            else:
                found = stack.enter_context(admitted(address))
                stack.callback(_disconnect, None)
                with own_sigterm():
                    _attach(found)
        yield


@contextlib.contextmanager
def _explaining(address: str | None) -> Generator[None]:
    """Convert any error of starting or reaching Ray into a `ClusterError` of one paragraph.

    Ray raises RuntimeErrors, ConnectionErrors and bare Exceptions.
    """
    try:
        yield
    except MvktError:
        raise
    except Exception as error:
        if address is None:
            raise ClusterError(
                f"Ray cannot start on this machine: {shortly(error)} Ray needs free space below "
                "TMPDIR, or /tmp, and shared memory (/dev/shm). Try again on a machine that is "
                "less busy, run without Ray by --in-process, or give the --address of a cluster."
            ) from error
        raise ClusterError(
            f"--address {address}: {shortly(error)} Check that the cluster is running and "
            f"reachable, has the same Python and ray=={ray.__version__}, and that "
            "RAY_AUTH_TOKEN_PATH names its token if it requires one. Without --address, mvkt "
            "starts its own Ray on this machine."
        ) from error


def _disconnect(directory: Path | None) -> None:
    """Disconnect from Ray, and stop the own instance, if there is one.

    If Ray waits for a process of the own instance for more than `LEFT_WITHIN_S`, all its processes
    are killed, which ends the wait. From a cluster that does not answer, Ray disconnects after a
    minute (`RAY_gcs_rpc_server_reconnect_timeout_s`).

    Args:
        directory: Directory of the own instance; None: a cluster, which stays running.
    """

    def give_up() -> None:
        _LOG.warning("waiting for Ray to disconnect this process, since %.0f s", LEFT_WITHIN_S)
        if directory is not None:
            _end_processes(directory)

    timer = threading.Timer(LEFT_WITHIN_S, give_up)
    timer.daemon = True
    timer.start()
    try:
        with own_sigterm():
            ray.shutdown()
    finally:
        timer.cancel()


def _start(directory: Path, n_cpus: int | None) -> None:
    try:
        # "local" never attaches to another instance on this machine.
        ray.init(
            "local",
            num_cpus=n_cpus,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
            job_config=importing_as_here(),
            _temp_dir=str(directory),
        )
    except BaseException:
        _end_processes(directory)
        raise


def _end_processes(directory: Path) -> None:
    """Kill all processes of an own instance, which Ray leaves behind when its start fails."""
    left: list[psutil.Process] = []
    # Not `process_iter`, whose cache refuses to kill a process with a reused number.
    for number in psutil.pids():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(number)
            if any(str(directory) in word for word in _words(process)):
                left.append(process)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=ENDS_WITHIN_S)


def _words(process: psutil.Process) -> list[str]:
    """Return a process's command line; wait for it if this process has just started the other."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while not (words := process.cmdline()) and process.ppid() == os.getpid():
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return words


def _attach(address: str) -> None:
    # Through Ray Client, workers use the paths of its server on the head node.
    is_far = address.startswith(CLIENT)
    paths: dict[str, Any] = {} if is_far else {"job_config": importing_as_here()}
    for attempts_left in reversed(range(CLIENT_ATTEMPTS)):
        try:
            ray.init(
                address,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
                **paths,
            )
            return
        except Exception as error:
            if not attempts_left or CLIENT_FLAKE not in str(error):
                raise
            ray.shutdown()


def own_ray_runs() -> bool:
    """Whether all processes of the own instance are alive.

    Checked while waiting: after the raylet's death Ray 2.60 may block for minutes.
    """
    node = ray_worker._global_node
    return node is None or node.remaining_processes_alive()
