"""Weights & Biases: a group for the study, a run per trial, and one more run for the files.

Writes: to the server of the user's login; with `WANDB_MODE=offline` only to the folder of the
study's logs, for `wandb sync`.
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
    """Tracks each trial as a run of its own, several concurrently."""

    def __init__(self, project: str) -> None:
        """Set the project, `PROJECT` or `ENTITY/PROJECT`."""
        entity, _, name = project.rpartition("/")
        self._project, self._entity = name, entity or None
        self._runs: dict[int, Any] = {}

    def start_study(self, study: TrackedStudy) -> None:
        """Set the study; its own run is created by `end_study`."""
        self._study = study

    def start_trial(self, trial: Trial) -> None:
        """Begin or resume the trial's run."""
        self._runs[trial.number] = self._begin(
            trial_name(trial), str(trial.number), "trial", trial_parameters(trial)
        )

    def log_epoch(self, trial: Trial, metrics: EpochMetrics) -> None:
        """Log an epoch as a step."""
        self._runs[trial.number].log(epoch_values(metrics), step=metrics.epoch)

    def end_trial(self, trial: Trial, result: TrialResult) -> None:
        """Log the trial's end in the run's summary, and end the run."""
        run = self._runs.pop(trial.number)
        run.summary.update({**end_values(result), "state": result.state.value})
        if result.reason:
            run.summary["reason"] = result.reason
        run.finish(exit_code=int(result.state in (TrialState.FAILED, TrialState.DIVERGED)))

    def end_study(self, files: Mapping[str, bytes]) -> None:
        """Store the files as an artifact; runs of stopped trials end without a state."""
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
        # The id depends on folder and trial only, so that a resumed study resumes its runs.
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
