"""From Ray's wrappings of an error back to the error itself."""

from ray.exceptions import RayError, RayTaskError

from mvkt_ray.errors import MvktError, WorkerLostError


def unwrapped(error: BaseException) -> BaseException:
    """Return what the code in a worker raised, or what became of the worker.

    An error of mvkt-ray comes back as itself. A process, or a node, that is gone is a
    WorkerLostError. Anything else is a defect and keeps its remote traceback as a note.
    """
    if isinstance(error, RayTaskError):
        return with_note(error.cause, str(error))
    if isinstance(error, RayError):
        return lost(error)
    return error


def lost(error: BaseException) -> WorkerLostError:
    """Say that a process is gone, in our words and with Ray's reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return WorkerLostError(
        f"A process or its node is gone ({reason}). A machine that is short of memory, or a node "
        "that was taken away, are the usual causes."
    )


def with_note(error: BaseException, remote_traceback: str) -> BaseException:
    """Return the error, with its remote traceback unless it is one that we raise on purpose."""
    if not isinstance(error, MvktError):
        error.add_note(remote_traceback)
    return error
