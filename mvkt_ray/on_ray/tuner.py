"""The Tune run over a study's trials: a searcher and a scheduler that only speak to the study.

Tune starts, places and watches the trials; what is tried, what is pruned, what is run again and
what has ended is the study's to say, and in its ledger at once. Nothing of Tune's is ever restored:
after a driver's death a new run over the same ledger goes on.

A trial that the study prunes is told so in the answer to its report, and ends itself, so that its
result is the same as in-process. A process that dies is an errored trial to Tune (`max_failures`
is 0), a retriable failure to the study, and comes back from the study under the same number.
"""

import contextlib
import functools
import json
import logging
import os
import shutil
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ray import tune

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.on_ray.capacity.reservations import of_driver, of_worker
from mvkt_ray.on_ray.connecting.environment import environment
from mvkt_ray.on_ray.many_workers import tune_many_worker_trial
from mvkt_ray.on_ray.ray_corrections import (
    memory_kills_are_deaths,
    starting_trials_keep_their_process,
)
from mvkt_ray.on_ray.running_trials import RunningTrials, TrialsRun
from mvkt_ray.on_ray.tune_hooks import StudyCallback, StudyScheduler, StudySearcher
from mvkt_ray.on_ray.unwrap import unwrapped
from mvkt_ray.on_ray.worker import RunTrial, tune_one_worker_trial
from mvkt_ray.records import Trial, trial_folder_name
from mvkt_ray.storage.location import Location
from mvkt_ray.training.students.trial_inputs import TrialInputs

MOST_PENDING_TRIALS = 100_000
"""Trials that may wait for their process at once: as many as are dealt. At Tune's default they
start one after the other, and an autoscaler sees that one only."""

_OBITUARISTS = ("ray.tune.tune", "ray.tune.analysis.experiment_analysis")


def run_trials(run: TrialsRun) -> None:
    """Run what the study deals until it deals nothing more and all trials have ended.

    Raises:
        MachineError: The machine failed under a trial, or Ray itself went down; nothing that was
            running has ended.
    """
    study = RunningTrials(run)
    scheduler = StudyScheduler(study)
    with (
        _tune_folder(run.storage) as folder,
        memory_kills_are_deaths(),
        starting_trials_keep_their_process(),
        _no_obituaries(),
    ):
        tuner = tune.Tuner(
            _trainable(run, folder),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=StudySearcher(study),
                scheduler=scheduler,
                reuse_actors=any(
                    kind.max_workers == 1
                    for kind in (run.resources.trial, *run.resources.students.values())
                ),
                trial_dirname_creator=_folder_name,
            ),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
                callbacks=[StudyCallback(study)],
            ),
        )
        with environment({"TUNE_MAX_PENDING_TRIALS_PG": str(MOST_PENDING_TRIALS)}):
            try:
                tuner.fit()
            except Exception as error:
                # Tune wraps what our callbacks raise into texts. It keeps its own cause.
                if study.failure is not None:
                    raise study.failure  # noqa: B904
                raise unwrapped(error) from error
            except BaseException:
                # Tune cleans up after an Exception only.
                scheduler.kill_trials()
                raise


def _trainable(run: TrialsRun, folder: Path) -> Any:
    """Return a trainable that does as its trial's network needs: in one process, or on ranks."""
    trainable = tune.with_parameters(
        _tune_trial,
        inputs=run.inputs,
        run_trial=run.run_trial,
        resources=run.resources,
        storage=str(folder / "train"),
    )
    return tune.with_resources(
        trainable, functools.partial(_reserved, resources=run.resources, driver=of_driver())
    )


def _tune_trial(
    config: dict[str, Any],
    *,
    inputs: TrialInputs,
    run_trial: RunTrial,
    resources: ResourcesConfig,
    storage: str,
) -> None:
    workers = _workers_of(config, resources)
    if workers.max_workers == 1:
        tune_one_worker_trial(config, inputs=inputs, run_trial=run_trial)
        return
    tune_many_worker_trial(
        config, inputs=inputs, run_trial=run_trial, workers=workers, storage=storage
    )


def _reserved(
    config: dict[str, Any], *, resources: ResourcesConfig, driver: dict[str, Any]
) -> tune.PlacementGroupFactory:
    workers = _workers_of(config, resources)
    if workers.max_workers == 1:
        return tune.PlacementGroupFactory([of_worker(workers)])
    return tune.PlacementGroupFactory(**driver)


def _workers_of(config: dict[str, Any], resources: ResourcesConfig) -> WorkersConfig:
    trial = Trial.from_json(json.loads(config["trial"]))
    return resources.of_trial(trial.hyperparameters)


def _folder_name(trial: Any) -> str:
    return f"{trial_folder_name(trial.config['number'])}-{trial.trial_id}"


@contextlib.contextmanager
def _no_obituaries() -> Generator[None]:
    """Keep Tune from listing, at its end, every trial that failed or has no table of Tune's."""
    loggers = [logging.getLogger(name) for name in _OBITUARISTS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _tune_folder(storage: Location) -> Generator[Path]:
    """Make a folder for one run, and remove it afterwards: nothing in it is read again."""
    started = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = storage.local_path / f"tune-{started}-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()
