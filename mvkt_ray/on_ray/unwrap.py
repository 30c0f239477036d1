"""From Ray's wrappings of an error back to the error itself, and to its root."""

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
"""How Ray says that a worker came to nothing before any code of a trial ran in it."""

_PROCESS = re.compile(r"^\s*pid: (\d+)$", re.MULTILINE)
_ERROR_LINE = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception)\b.*")


def unwrapped(error: BaseException) -> BaseException:
    """Return what the code in a worker raised, or what became of the worker.

    An error of mvkt-ray comes back as itself. A process, or a node, that is gone is a
    WorkerLostError; one that could not begin its work at all, for want of a package or of room for
    Ray's own files, is a MachineError. Anything else is a defect and keeps its remote traceback as
    a note.
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
    """Say that a process is gone, in our words and with Ray's reason, or its own last words."""
    cause = getattr(error, "health_check_failure", error)
    if isinstance(cause, RayActorError) and cause.preempted:
        return PreemptedError("The node of a process was preempted, as announced to Ray.")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    last_words = _last_words(str(error))
    if last_words:
        return WorkerLostError(
            f"A process or its node is gone ({reason}). Its last output: {last_words}"
        )
    return WorkerLostError(
        f"A process or its node is gone ({reason}). Lack of memory and preemption of the node are "
        "the usual causes."
    )


def with_note(error: BaseException, remote_traceback: str) -> BaseException:
    """Return the error, with its remote traceback unless it is one that we raise on purpose."""
    if not isinstance(error, MvktError):
        error.add_note(remote_traceback)
    return error


def _could_not_begin(error: BaseException) -> bool:
    return any(words in str(error) for words in _CANNOT_BEGIN)


def _machine_error(text: str) -> MachineError:
    """Tell the root: the last line of the innermost traceback, or all where there is none."""
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if _ERROR_LINE.match(line)]
    root = found[-1] if found else one_line(Exception(text))
    return MachineError(
        f"The machine fails: a Ray worker cannot start: {root}. Install the packages of this "
        f"process on every node. {GOES_ON}"
    )


def _last_words(text: str) -> str:
    """Return the error on which a process of this node ended, where its log holds one."""
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
