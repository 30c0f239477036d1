"""Weights & Biases: a group is the study; its trials are runs, and one more run has its files.

Writes: to the server that the user is logged in to; with `WANDB_MODE=offline` to the folder of the
study's logs only, for `wandb sync`.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import wandb

from mvkt_ray.records import EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.tracking.tracker import (
    TrackedStudy,
    end_values,
    epoch_values,
    trial_name,
    trial_parameters,
)


class InWandb:
    """Tracks every trial as a run of its own, several at a time."""

    def __init__(self, project: str) -> None:
        """Take the name of a project, `PROJECT` or `ENTITY/PROJECT`."""
        entity, _, name = project.rpartition("/")
        self._project, self._entity = name, entity or None
        self._runs: dict[int, Any] = {}

    def start_study(self, study: TrackedStudy) -> None:
        """Note which study it is; its own run is made in the end."""
        self._study = study

    def start_trial(self, trial: Trial) -> None:
        """Begin the trial's run, or go on with it."""
        self._runs[trial.number] = self._begin(
            trial_name(trial), str(trial.number), "trial", trial_parameters(trial)
        )

    def log_epoch(self, trial: Trial, metrics: EpochMetrics) -> None:
        """Log an epoch as a step."""
        self._runs[trial.number].log(epoch_values(metrics), step=metrics.epoch)

    def end_trial(self, trial: Trial, result: TrialResult) -> None:
        """Log how it ended in the run's summary, and end it."""
        run = self._runs.pop(trial.number)
        run.summary.update({**end_values(result), "state": result.state.value})
        if result.reason:
            run.summary["reason"] = result.reason
        run.finish(exit_code=int(result.state in (TrialState.FAILED, TrialState.DIVERGED)))

    def end_study(self, files: Mapping[str, bytes]) -> None:
        """Keep the files as an artifact; trials that were stopped end without a state."""
        for run in self._runs.values():
            run.finish()
        run = self._begin(self._study.name, "study", "study", {})
        artifact = wandb.Artifact(self._study.name, type="study")
        for name, content in files.items():
            with artifact.new_file(name, mode="wb") as stream:
                stream.write(content)
        run.log_artifact(artifact)
        run.finish()

    def _begin(self, name: str, key: str, kind: str, config: Mapping[str, Any]) -> Any:
        # The same trial of the same folder has the same id, by which a later start goes on.
        identity = hashlib.sha256(f"{self._study.where}#{key}".encode()).hexdigest()[:16]
        return wandb.init(
            entity=self._entity,
            project=self._project,
            group=self._study.name,
            name=name,
            id=identity,
            job_type=kind,
            config=dict(config),
            dir=self._study.scratch,
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", disable_git=True),
        )
