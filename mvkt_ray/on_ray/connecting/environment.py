"""Environment, token and temporary directory of a Ray instance that belongs to one command."""

import contextlib
import logging
import os
import secrets
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from ray._private import worker as ray_worker
from ray._raylet import (
    AuthenticationTokenLoader,  # pyright: ignore[reportAttributeAccessIssue]
    Config,  # pyright: ignore[reportAttributeAccessIssue]
)

from mvkt_ray.storage.scratch_folder import scratch_folder

PREFIX = "mvkt-ray-"

LONGEST_DIRECTORY = 40
"""Characters. Ray's sockets lie 62 characters deeper, and Linux allows 107 in all."""

QUIET = {
    # Reported hourly to a server of Ray's makers otherwise.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Off, together with verbose=0, is the only setting in which Tune prints nothing.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # A trial that fails is in the ledger with its reason.
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Ctrl-C must reach us as KeyboardInterrupt, not end Tune's loop as if all were done.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune's state is never restored (the ledger is), so it need not be kept fresh.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_SLOW_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "3600",
}
"""Read by the driver."""

WORKERS = {
    # Paths that users gave are relative to where they are, not to a trial's folder.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # At Ray's default of 2 s a report waits up to that long for the controller.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # A process more for each start, which tells ranks that their node is taken back. They are not
    # asked to write more than the checkpoint of each epoch.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # Ray's default is to start a task that ran out of memory again for ever.
    "RAY_task_oom_retries": "3",
}
"""Read by workers and by the driver."""

SHARED_MACHINES = {
    # Added to the raylet's by each worker. Ray's default, 15, lets everything else on the machine
    # go first: beside one busy program per core a search gets almost nothing.
    "RAY_worker_niceness": "0",
}
"""Read by workers on machines that do other things, too. In a container of its own a worker
competes with Ray's processes alone, which better go first there."""


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Generator[None]:
    """Set environment variables, and restore them afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def own_directory() -> Generator[Path]:
    """Make a temporary directory for a Ray instance, and remove it afterwards."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) + len(PREFIX) + 8 > LONGEST_DIRECTORY:
        base = Path("/tmp")
    with scratch_folder(PREFIX, base) as directory:
        yield directory


@contextlib.contextmanager
def own_token(directory: Path) -> Generator[None]:
    """Let only processes that can read a file in `directory` talk to the instance.

    Ray listens on all network interfaces, even of an instance that nobody else is to use. Left to
    itself it would write a token to the user's home, readable by everybody.
    """
    path = directory / "token"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
    values = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}
    with token_environment(values):
        yield


@contextlib.contextmanager
def token_environment(values: Mapping[str, str]) -> Generator[None]:
    """Set variables that say which token to show, and let Ray read them, here and afterwards."""
    try:
        with environment(values):
            read_token_again()
            yield
    finally:
        read_token_again()


@contextlib.contextmanager
def quiet_ray() -> Generator[None]:
    """Route Ray's messages through the root logger only, so that they reach the program's logs.

    Otherwise it writes to the terminal by handlers of its own, and tells of dead workers by plain
    prints to standard output, `log_to_driver` or not.
    """
    logger = logging.getLogger("ray")
    handlers, propagate = logger.handlers[:], logger.propagate
    logger.handlers.clear()
    logger.propagate = True
    prints = ray_worker.print_worker_logs
    ray_worker.print_worker_logs = _log_lines
    try:
        yield
    finally:
        ray_worker.print_worker_logs = prints
        logger.handlers[:] = handlers
        logger.propagate = propagate


def _log_lines(data: Mapping[str, Any], *_: object) -> None:
    for line in data["lines"]:
        logging.getLogger(__name__).info("%s: %s", data["pid"], line)


def read_token_again() -> None:
    """Let Ray look at mode and token in the environment again, which it does once per process."""
    # The mode goes first: a thread of an instance that is just shutting down may look for the
    # token, and ends the process when it finds none.
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
