"""From Ray's wrappings of an error back to the error itself."""

from ray.exceptions import RayError, RayTaskError
from ray.train import WorkerGroupError

from mvkt_ray.errors import ClusterError, MvktError, WorkerLostError


def unwrapped(error: BaseException) -> BaseException:
    """Return what the code in a worker raised, or what became of the worker.

    An error of mvkt-ray comes back as itself. A process, or a node, that is gone is a
    WorkerLostError. Anything else is a defect and keeps its remote traceback as a note.
    """
    if isinstance(error, MvktError):
        return error
    if isinstance(error, WorkerGroupError):
        return _of_group(error)
    if isinstance(error, RayTaskError):
        return _with_note(error.cause, str(error))
    if isinstance(error, RayError):
        return WorkerLostError(
            f"A process or its node is gone ({type(error).__name__}: {first_line(error)}). Its "
            "log, and those of Ray, may say why; a machine that is short of memory is the usual "
            "cause."
        )
    return error


def _of_group(error: WorkerGroupError) -> BaseException:
    causes = [_innermost(failure) for failure in error.worker_failures.values()]
    found = [unwrapped(cause) for cause in causes]
    # One rank's own error makes the others fail in their collectives.
    for kind in (MvktError, Exception):
        for cause in found:
            if isinstance(cause, kind) and not isinstance(cause, WorkerLostError):
                return _with_note(cause, str(error))
    return found[0] if found else ClusterError(f"Ray Train failed: {first_line(error)}")


def _innermost(error: BaseException) -> BaseException:
    # Ray Train keeps a worker's exception in `_base_exc`, a task's is in `cause`.
    inner = getattr(error, "_base_exc", None)
    return error if inner is None else _innermost(inner)


def _with_note(error: BaseException, remote_traceback: str) -> BaseException:
    if not isinstance(error, MvktError):
        error.add_note(remote_traceback)
    return error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class where it has none."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
