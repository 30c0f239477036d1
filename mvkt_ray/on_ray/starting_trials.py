"""A narrow correction of Tune: a trial whose own process is starting is left to it.

With reused actors Ray 2.60 gives a process that becomes free to any trial that waits, also to one
whose own process is being started, which it then ends. Where trials end more often than a process
takes to start, a node that has come would never finish starting one. So such a trial is passed
over: the free process is for the next. A trial whose process still waits for a place is not.
"""

import contextlib
from collections.abc import Generator
from typing import Any

from ray.tune.execution.tune_controller import TuneController


@contextlib.contextmanager
def starting_trials_keep_their_process() -> Generator[None]:
    """Let Tune, while this is entered, end no process that is starting for a trial."""
    original = TuneController._maybe_reuse_cached_actor

    def maybe_reuse(controller: TuneController, trial: Any) -> bool:
        own = controller._trial_to_actor.get(trial)
        places = controller._actor_manager._live_actors_to_ray_actors_resources
        if trial not in controller._resetting_trials and own is not None and own in places:
            return False
        return original(controller, trial)

    TuneController._maybe_reuse_cached_actor = maybe_reuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        TuneController._maybe_reuse_cached_actor = original  # type: ignore[method-assign]
