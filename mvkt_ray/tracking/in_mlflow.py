"""MLflow: an experiment with a parent run for the study, and child runs for its trials.

Writes: to the tracking server or store of the URI that the user gave.
"""

import hashlib
from collections.abc import Mapping

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from mlflow.utils.time import get_current_time_millis

from mvkt_ray.records import EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.storage.scratch_folder import scratch_folder
from mvkt_ray.tracking.tracker import (
    TrackedStudy,
    end_values,
    epoch_values,
    trial_name,
    trial_parameters,
)

_IDENTITY = "mvkt.identity"
"""Tag that identifies a run."""
_STUDY = "mvkt.study"
_TRIAL = "mvkt.trial"
_STATE = "mvkt.state"
_REASON = "mvkt.reason"


class InMlflow:
    """Tracks with MLflow's client alone, without MLflow's global state."""

    def __init__(self, uri: str) -> None:
        """Connect to the URI of a server or a store."""
        self._client = MlflowClient(tracking_uri=uri)
        self._runs: dict[int, str] = {}
        """Ids of the trials' runs, by number."""

    def start_study(self, study: TrackedStudy) -> None:
        """Find or create the study's experiment and parent run."""
        found = self._client.get_experiment_by_name(study.name)
        self._experiment = (
            found.experiment_id if found else self._client.create_experiment(study.name)
        )
        self._where = study.where
        self._parent = self._find_or_create(study.name, study.where, {_STUDY: study.where})

    def start_trial(self, trial: Trial) -> None:
        """Find or create the trial's run."""
        which = f"{self._where}#{trial.number}"
        tags = {_TRIAL: which, MLFLOW_PARENT_RUN_ID: self._parent}
        run = self._find_or_create(trial_name(trial), which, tags)
        self._client.update_run(run, status="RUNNING")
        self._runs[trial.number] = run
        parameters = [Param(name, str(value)) for name, value in trial_parameters(trial).items()]
        self._client.log_batch(run, params=parameters)

    def log_epoch(self, trial: Trial, metrics: EpochMetrics) -> None:
        """Log an epoch as a step."""
        self._log(trial, epoch_values(metrics), metrics.epoch)

    def end_trial(self, trial: Trial, result: TrialResult) -> None:
        """Log the trial's end, and end its run."""
        self._log(trial, end_values(result), result.epochs)
        run = self._runs.pop(trial.number)
        self._client.set_tag(run, _STATE, result.state.value)
        if result.reason:
            self._client.set_tag(run, _REASON, result.reason)
        failed = result.state in (TrialState.FAILED, TrialState.DIVERGED)
        self._client.set_terminated(run, "FAILED" if failed else None)

    def end_study(self, files: Mapping[str, bytes]) -> None:
        """Store the files with the parent run, and end it; runs of stopped trials are killed."""
        for run in self._runs.values():
            self._client.set_terminated(run, "KILLED")
        with scratch_folder("mvkt-mlflow-") as folder:
            for name, content in files.items():
                path = folder / name
                path.write_bytes(content)
                self._client.log_artifact(self._parent, str(path))
        self._client.set_terminated(self._parent)

    def _find_or_create(self, name: str, which: str, tags: dict[str, str]) -> str:
        # A hash, as a path may contain a filter's quotation marks, or exceed a tag's length.
        identity = hashlib.sha256(which.encode()).hexdigest()
        found = self._client.search_runs([self._experiment], f"tags.`{_IDENTITY}` = '{identity}'")
        if found:
            return found[0].info.run_id
        tags = {**tags, _IDENTITY: identity}
        return self._client.create_run(self._experiment, run_name=name, tags=tags).info.run_id

    def _log(self, trial: Trial, values: Mapping[str, float], step: int) -> None:
        now = get_current_time_millis()
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._runs[trial.number], metrics=metrics)
