"""A narrow correction of Tune: a trial killed by Ray's memory monitor must not end the search.

Ray 2.60 gives such a task an `OutOfMemoryError`, which is neither a `RayActorError` nor a
`RayTaskError`, and Tune raises RuntimeError on everything else, whatever `max_failures` says. To
Tune, a process that was killed is a process that died. A test fails when Ray mends this; then this
file may go.
"""

import contextlib
from collections.abc import Generator
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError


@contextlib.contextmanager
def memory_kills_are_deaths() -> Generator[None]:
    """Let Tune, while this is entered, take a trial out of memory for one whose process died."""
    original = RayActorManager._actor_task_failed

    def task_failed(
        manager: RayActorManager, tracked_actor_task: Any, exception: Exception
    ) -> None:
        original(manager, tracked_actor_task, as_death(exception))

    RayActorManager._actor_task_failed = task_failed  # type: ignore[method-assign]
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = original  # type: ignore[method-assign]


def as_death(exception: Exception) -> Exception:
    """Turn the errors that Tune does not expect of an actor that is gone into the one it does."""
    if not isinstance(exception, (OutOfMemoryError, NodeDiedError)):
        return exception
    return RayActorError(error_msg=f"{type(exception).__name__}: {exception}")
