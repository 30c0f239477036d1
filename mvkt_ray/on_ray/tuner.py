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
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.exceptions import RayActorError
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.errors import ClusterError, MachineError
from mvkt_ray.machine_faults import GOES_ON, machine_fault
from mvkt_ray.on_ray.capacity.concurrency import Concurrency
from mvkt_ray.on_ray.capacity.nodes import ClusterResources, KnownNodes
from mvkt_ray.on_ray.capacity.reservations import of_driver, of_worker
from mvkt_ray.on_ray.connecting.environment import environment
from mvkt_ray.on_ray.many_workers import tune_many_worker_trial
from mvkt_ray.on_ray.ray_corrections import (
    memory_kills_are_deaths,
    starting_trials_keep_their_process,
)
from mvkt_ray.on_ray.unwrap import unwrapped
from mvkt_ray.on_ray.waiting import (
    NODES_COME_WITHIN_S,
    RESULTS_COME_WITHIN_S,
    Waiting,
    awaited,
)
from mvkt_ray.on_ray.worker import (
    FAULT,
    NODES,
    RunTrial,
    tell,
    tune_one_worker_trial,
)
from mvkt_ray.phrasing import listing, number_ranges
from mvkt_ray.records import (
    NOTHING_USED,
    Decision,
    EpochMetrics,
    Trial,
    TrialResult,
    Usage,
    trial_folder_name,
)
from mvkt_ray.search.runner import AskTell
from mvkt_ray.search.spending.metering import Meter
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import failed_result
from mvkt_ray.training.students.trial_inputs import TrialInputs

MOST_PENDING_TRIALS = 100_000
"""Trials that may wait for their process at once: as many as are dealt. At Tune's default they
start one after the other, and an autoscaler sees that one only."""

_OBITUARISTS = ("ray.tune.tune", "ray.tune.analysis.experiment_analysis")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialsRun:
    """Definition of a Tune run: its study, runner and listeners."""

    study: AskTell
    inputs: TrialInputs
    concurrency: Concurrency
    storage: Location
    """Folder for Ray's own files, which all nodes see."""
    run_trial: RunTrial
    on_change: Callable[[], None]
    still_alive: Callable[[], bool] = lambda: True
    """Whether the Ray instance that this process started is alive."""

    @property
    def resources(self) -> ResourcesConfig:
        """Resources that the teacher and each trial reserve."""
        return self.study.config.resources


def run_trials(run: TrialsRun) -> None:
    """Run what the study deals until it deals nothing more and all trials have ended.

    Raises:
        MachineError: The machine failed under a trial, or Ray itself went down; nothing that was
            running has ended.
    """
    study = _StudyForTune(run)
    scheduler = _StudyScheduler(study)
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
                search_alg=_StudySearcher(study),
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
                callbacks=[_Watch(study)],
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


class _StudyForTune:
    """Between Tune, which knows trials by its ids, and the study, which knows their numbers."""

    def __init__(self, run: TrialsRun) -> None:
        self._run = run
        self._running: dict[str, Trial] = {}
        self._nodes = KnownNodes()
        self._meters: dict[str, Meter] = {}
        self._may_have_more = True
        self._for_nodes = Waiting(self._pending, NODES_COME_WITHIN_S)
        self._for_reports = Waiting(self._unheard_of, RESULTS_COME_WITHIN_S)
        self.failure: Exception | None = None
        """Error that the study or one of its listeners raised; None: none."""

    def ask(self, trial_id: str) -> Trial | str | None:
        """Return a trial, None when there is none now, or `FINISHED`."""
        resources = self._run.resources
        running = [resources.of_trial(each.hyperparameters) for each in self._running.values()]
        if not self._run.concurrency.has_room(running):
            return None
        trial = None
        if self._may_have_more:
            with self._noting_failure():
                trial = self._run.study.ask()
                self._may_have_more = trial is not None
                self._run.on_change()
        if trial is None:
            # One that runs may still fail and have to be dealt again.
            return None if self._running else Searcher.FINISHED
        self._running[trial_id] = trial
        return trial

    def start(self, trial_id: str) -> None:
        """Record that a trial's process has started: from now on it holds its reservation."""
        asked = self._run.resources.of_trial(self._running[trial_id].hyperparameters)
        self._meters[trial_id] = Meter(asked, self._nodes.of)
        self._for_reports.moved()

    def report(self, trial_id: str, result: dict[str, Any]) -> Decision | None:
        """Forward a trial's report to the study, and return its decision; None after the last."""
        trial = self._running[trial_id]
        self._for_reports.moved()
        with self._noting_failure():
            meter, nodes = self._meters[trial_id], json.loads(result[NODES])
            if FAULT in result:
                # The trial is left as by an interruption, and so are those that run beside it.
                raise MachineError(result[FAULT])
            if "result" in result:
                ended = TrialResult.from_json(json.loads(result["result"]))
                self._record_end(ended, meter.end(nodes, ended.state))
                decision = None
            else:
                metrics = EpochMetrics.from_json(json.loads(result["metrics"]))
                decision = self._run.study.report(trial.number, metrics, meter.update(nodes))
                self._run.on_change()
        return decision

    def tell_lost(self, trial_id: str, error: BaseException, last: dict[str, Any]) -> None:
        """Record in the study that a trial's process ended without a result."""
        trial = self._running[trial_id]
        metrics = json.loads(last["metrics"]) if "metrics" in last else {"epoch": 0}
        cause = unwrapped(error)
        with self._noting_failure():
            fault = machine_fault(cause, in_trial=True)
            if fault is not None:
                raise fault
        result = replace(
            failed_result(trial, cause),
            epochs=metrics["epoch"],
            wall_s=last.get("wall_s", 0.0),
            cpu_s=last.get("cpu_s", 0.0),
            node=last.get("hostname", ""),
        )
        meter = self._meters.get(trial_id)
        with self._noting_failure():
            self._record_end(result, meter.record_lost() if meter else NOTHING_USED)

    def forget(self, trial_id: str) -> None:
        """Note that Tune is done with a trial."""
        self._running.pop(trial_id, None)
        self._meters.pop(trial_id, None)

    def _record_end(self, result: TrialResult, usage: Usage) -> None:
        self._run.study.tell(result, usage)
        self._may_have_more = True
        self._run.on_change()

    def check_alive(self) -> None:
        """Raise if Ray is gone or makes no progress: Tune would wait for ever."""
        with self._noting_failure():
            if self._meters:
                self._for_nodes.moved()
                self._for_reports.look()
            elif self._running:
                self._for_nodes.look()
            if not self._run.still_alive():
                raise MachineError(
                    "The machine fails: Ray has stopped on it while trials were running. See the "
                    "system's log; a full disk below TMPDIR and a lack of memory are the usual "
                    f"causes. {GOES_ON}"
                )

    def _pending(self) -> str:
        kinds = {
            self._run.resources.of_trial(trial.hyperparameters) for trial in self._running.values()
        }
        asked = listing(
            sorted(
                f"{kind.min_workers} x {kind.cpus:g} CPUs and {kind.gpus_per_worker:g} GPUs"
                for kind in kinds
            )
        )
        return (
            f"nodes: of {len(self._running)} trials none has begun, each needs {asked}, and Ray "
            f"has {ClusterResources.now()}"
        )

    def _unheard_of(self) -> str:
        begun = [self._running[each] for each in self._meters]
        pending = [self._running[each] for each in self._running.keys() - self._meters.keys()]
        resources = self._run.resources
        what = f"an epoch of trials {_numbers(begun)}, which have begun"
        if any(resources.of_trial(each.hyperparameters).max_workers > 1 for each in begun):
            what = f"an epoch of trials {_numbers(begun)}, whose workers may wait for each other"
        if pending:
            what += f", while trials {_numbers(pending)} wait for a slot"
        return f"{what}, and Ray has {ClusterResources.now()}"

    @contextlib.contextmanager
    def _noting_failure(self) -> Generator[None]:
        try:
            yield
        except Exception as error:
            self.failure = error
            raise

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles searcher and scheduler for a restore that never happens; a study cannot be.
        return {}


def _numbers(trials: Iterable[Trial]) -> str:
    return number_ranges(trial.number for trial in trials)


class _StudySearcher(Searcher):
    """Asks the study for trials."""

    def __init__(self, study: _StudyForTune) -> None:
        super().__init__()
        self._study = study

    def suggest(self, trial_id: str) -> Any:
        trial = self._study.ask(trial_id)
        if isinstance(trial, Trial):
            return {"number": trial.number, "trial": json.dumps(trial.to_json())}
        return trial

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._study.forget(trial_id)

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()


class _StudyScheduler(FIFOScheduler):
    """Forwards reports of trials to the study, before other callbacks run."""

    def __init__(self, study: _StudyForTune) -> None:
        super().__init__()
        self._study = study
        self._controller: Any = None

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision = self._study.report(trial.trial_id, result)
        if decision is None:
            return self.STOP
        if decision is not Decision.CONTINUE:
            # Tasks of one actor run in the order they were sent, so the trial is told before it
            # may go on.
            say = functools.partial(tell, decision=decision)
            actor = trial.temporary_state.ray_actor
            # One that has died meanwhile is lost, which Tune is about to say; the study remembers.
            with contextlib.suppress(RayActorError):
                awaited(actor.execute.remote(say), f"the process of trial {trial.config['number']}")
        return self.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._study.tell_lost(trial.trial_id, _error_of(trial), trial.last_result or {})

    def kill_trials(self) -> None:
        """End the processes of all trials at once, and give back what they reserve."""
        if self._controller is not None:
            self._controller._tune_controller._actor_manager.cleanup()

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        self._controller = tune_controller
        pending = (t for t in tune_controller.get_live_trials() if t.status == t.PENDING)
        return min(pending, key=lambda trial: trial.config["number"], default=None)


class _Watch(tune.Callback):
    """Notes when trials start and, at every step of Tune's loop, whether Ray is still there."""

    def __init__(self, study: _StudyForTune) -> None:
        self._study = study

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._study.start(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._study.check_alive()


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


def _error_of(trial: Any) -> BaseException:
    """Read what Tune has just written of a trial's end; the file is this process's own."""
    name = trial.run_metadata.pickled_error_filename
    if name is None:
        return ClusterError(f"Tune ended the trial: {trial.get_error()}")
    with open(os.path.join(trial.local_path, name), "rb") as stream:
        return cloudpickle.load(stream)


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
