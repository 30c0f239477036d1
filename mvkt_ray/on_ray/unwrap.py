"""Conversion of Ray's wrapped errors to the original error, or to an error of our own."""

import re
from pathlib import Path

from ray._private import worker as ray_worker
from ray.exceptions import (
    ObjectStoreFullError,
    OutOfDiskError,
    RayActorError,
    RayError,
    RaySystemError,
    RayTaskError,
)

from mvkt_ray.errors import MachineError, MvktError, PreemptedError, WorkerLostError
from mvkt_ray.machine_faults import GOES_ON
from mvkt_ray.phrasing import one_line

_CANNOT_BEGIN = ("failed to import on the worker", "error raised in its creation task")
"""Phrases in Ray's errors of a worker that failed before it ran any code of a trial."""

_PROCESS = re.compile(r"^\s*pid: (\d+)$", re.MULTILINE)
_ERROR_LINE = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception)\b.*")


def unwrapped(error: BaseException) -> BaseException:
    """Return the error that a worker's code raised, or one for the worker's failure.

    - An error of mvkt-ray is returned as it is.
    - A lost process or node becomes a `WorkerLostError`.
    - A process that could not start, such as for a missing package or a full disk, becomes a
      `MachineError`.
    - Any other error is a defect, and keeps its remote traceback as a note.
    """
    if isinstance(error, RayTaskError):
        if isinstance(error.cause, RaySystemError) or _could_not_begin(error.cause):
            return _machine_error(str(error))
        return with_note(error.cause, str(error))
    if isinstance(error, RaySystemError | OutOfDiskError | ObjectStoreFullError) or (
        isinstance(error, RayError) and _could_not_begin(error)
    ):
        return _machine_error(str(error))
    if isinstance(error, RayError):
        return lost(error)
    return error


def lost(error: BaseException) -> WorkerLostError:
    """Return the error for a lost process, with Ray's reason and the process's last output."""
    cause = getattr(error, "health_check_failure", error)
    if isinstance(cause, RayActorError) and cause.preempted:
        return PreemptedError("The node of a process was preempted, as announced to Ray.")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    last_output = _last_output(str(error))
    if last_output:
        return WorkerLostError(
            f"A process or its node is gone ({reason}). Its last output: {last_output}"
        )
    return WorkerLostError(
        f"A process or its node is gone ({reason}). Lack of memory and preemption of the node are "
        "the usual causes."
    )


def with_note(error: BaseException, remote_traceback: str) -> BaseException:
    """Return the error; unless it is an `MvktError`, add its remote traceback as a note."""
    if not isinstance(error, MvktError):
        error.add_note(remote_traceback)
    return error


def _could_not_begin(error: BaseException) -> bool:
    return any(words in str(error) for words in _CANNOT_BEGIN)


def _machine_error(text: str) -> MachineError:
    """Return the error of a worker that cannot start, with the last error line of a traceback."""
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if _ERROR_LINE.match(line)]
    root = found[-1] if found else one_line(Exception(text))
    return MachineError(
        f"The machine fails: a Ray worker cannot start: {root}. Install the packages of this "
        f"process on every node. {GOES_ON}"
    )


def _last_output(text: str) -> str:
    """Return the error at the end of the log of a lost process on this node; empty: none."""
    process, node = _PROCESS.search(text), ray_worker._global_node
    if process is None or node is None:
        return ""
    for path in Path(node.get_logs_dir_path()).glob(f"worker-*-{process.group(1)}.err"):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        if lines and _ERROR_LINE.match(lines[-1].strip()):
            return one_line(Exception(lines[-1]))
    return ""
