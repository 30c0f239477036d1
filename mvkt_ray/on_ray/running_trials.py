"""Trials that a Tune run has under way, and their reports to the study."""

import contextlib
import json
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any

from ray.tune.search import Searcher

from mvkt_ray.config.resources import ResourcesConfig
from mvkt_ray.errors import MachineError
from mvkt_ray.machine_faults import GOES_ON, machine_fault
from mvkt_ray.on_ray.capacity.concurrency import Concurrency
from mvkt_ray.on_ray.capacity.nodes import ClusterResources, KnownNodes
from mvkt_ray.on_ray.unwrap import unwrapped
from mvkt_ray.on_ray.waiting import NODES_COME_WITHIN_S, RESULTS_COME_WITHIN_S, Waiting
from mvkt_ray.on_ray.worker import FAULT, NODES, RunTrial
from mvkt_ray.phrasing import listing, number_ranges
from mvkt_ray.records import NOTHING_USED, Decision, EpochMetrics, Trial, TrialResult, Usage
from mvkt_ray.search.runner import AskTell
from mvkt_ray.search.spending.metering import Meter
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import failed_result
from mvkt_ray.training.students.trial_inputs import TrialInputs


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


class RunningTrials:
    """Maps Tune's ids of trials to the study's numbers, and forwards their reports to the study."""

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
