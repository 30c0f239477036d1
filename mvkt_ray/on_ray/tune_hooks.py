"""Searcher, scheduler and callback of Tune that only speak to the study."""

import contextlib
import functools
import json
import os
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.exceptions import RayActorError
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.running_trials import RunningTrials
from mvkt_ray.on_ray.waiting import awaited
from mvkt_ray.on_ray.worker import tell
from mvkt_ray.records import Decision, Trial


class StudySearcher(Searcher):
    """Asks the study for trials."""

    def __init__(self, study: RunningTrials) -> None:
        super().__init__()
        self._study = study

    def suggest(self, trial_id: str) -> Any:
        """Return the parameters of the next trial, None if there is none now, or `FINISHED`."""
        trial = self._study.ask(trial_id)
        if isinstance(trial, Trial):
            return {"number": trial.number, "trial": json.dumps(trial.to_json())}
        return trial

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Release the trial; its result has been recorded by the scheduler."""
        self._study.forget(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Write the file that Tune expects, empty: the state is in the ledger."""
        Path(checkpoint_path).touch()


class StudyScheduler(FIFOScheduler):
    """Forwards reports of trials to the study, before other callbacks run."""

    def __init__(self, study: RunningTrials) -> None:
        super().__init__()
        self._study = study
        self._controller: Any = None

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Forward a report, and send a decision to stop to the process of the trial."""
        decision = self._study.report(trial.trial_id, result)
        if decision is None:
            return self.STOP
        if decision is not Decision.CONTINUE:
            # Tasks of one actor run in the order they were sent, so the trial is told before it
            # may go on.
            say = functools.partial(tell, decision=decision)
            actor = trial.temporary_state.ray_actor
            # If the process has died meanwhile, Tune reports the trial as lost next.
            with contextlib.suppress(RayActorError):
                awaited(actor.execute.remote(say), f"the process of trial {trial.config['number']}")
        return self.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Record that the process of a trial has died."""
        self._study.tell_lost(trial.trial_id, _error_of(trial), trial.last_result or {})

    def kill_trials(self) -> None:
        """End the processes of all trials at once, and give back what they reserve."""
        if self._controller is not None:
            self._controller._tune_controller._actor_manager.cleanup()

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Return the pending trial with the lowest number."""
        self._controller = tune_controller
        pending = (t for t in tune_controller.get_live_trials() if t.status == t.PENDING)
        return min(pending, key=lambda trial: trial.config["number"], default=None)


class StudyCallback(tune.Callback):
    """Records starts of trials, and checks at every step of Tune's loop that Ray is alive."""

    def __init__(self, study: RunningTrials) -> None:
        self._study = study

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record that the process of a trial has started."""
        self._study.start(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Raise if Ray has stopped or makes no progress."""
        self._study.check_alive()


def _error_of(trial: Any) -> BaseException:
    """Read the error that ended a trial, from the file that Tune has just written."""
    name = trial.run_metadata.pickled_error_filename
    if name is None:
        return ClusterError(f"Tune ended the trial: {trial.get_error()}")
    with open(os.path.join(trial.local_path, name), "rb") as stream:
        return cloudpickle.load(stream)
