"""Environment variables, token and temporary directory of one command's own Ray instance."""

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
"""Characters: the paths of Ray's sockets are 62 characters longer, and Linux allows 107."""

QUIET = {
    # By default Ray reports its usage hourly to its vendor's server.
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
    # Users' paths are relative to their working directory, not to a trial's folder.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # At Ray's default of 2 s a report waits up to that long for the controller.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # It takes a process for each start, to notify ranks of preemption; they write a checkpoint
    # after each epoch anyway.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # By default Ray restarts a task that ran out of memory without a limit.
    "RAY_task_oom_retries": "3",
}
"""Read by workers and by the driver."""

SHARED_MACHINES = {
    # Added to the raylet's niceness. With Ray's default, 15, other processes take precedence:
    # beside one busy program per core a search gets almost no CPU time.
    "RAY_worker_niceness": "0",
}
"""Read by workers on machines with other work. In its own container a worker competes only with
Ray's processes, which should take precedence there."""


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
    """Create a temporary directory for a Ray instance, and remove it afterwards."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) + len(PREFIX) + 8 > LONGEST_DIRECTORY:
        base = Path("/tmp")
    with scratch_folder(PREFIX, base) as directory:
        yield directory


@contextlib.contextmanager
def own_token(directory: Path) -> Generator[None]:
    """Restrict the own instance to processes that can read a token file in `directory`.

    Ray listens on all network interfaces, also for an own instance, and would itself write a token
    to the user's home, readable by all users.
    """
    path = directory / "token"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
    values = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}
    with token_environment(values):
        yield


@contextlib.contextmanager
def token_environment(values: Mapping[str, str]) -> Generator[None]:
    """Set variables of the token for the block; let Ray read them at its begin and end."""
    try:
        with environment(values):
            read_token_again()
            yield
    finally:
        read_token_again()


@contextlib.contextmanager
def quiet_ray() -> Generator[None]:
    """Route Ray's messages through the root logger only, so that they reach the program's logs.

    Otherwise Ray writes to the terminal by its own handlers, and prints messages on dead workers to
    standard output even with `log_to_driver=False`.
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
    """Let Ray read mode and token from the environment again; it reads them once per process."""
    # The mode first: a thread of an instance that is shutting down may read the token, and ends
    # the process if there is none.
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
