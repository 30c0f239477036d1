"""Runs of a driver outside the cluster (`ray://`): Tune and Train on the head, the study here.

Ray Client supports neither Train nor Tune with our callbacks. So a task without CPUs runs them on
the head node, and sends its calls of the study to this process through a mailbox. This process
remains the ledger's only writer, and the ledger needs no storage shared with the cluster.
"""

from collections.abc import Callable
from typing import Any

import ray

from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.on_ray.capacity.concurrency import Concurrency
from mvkt_ray.on_ray.connecting.environment import QUIET, WORKERS, environment, quiet_ray
from mvkt_ray.on_ray.mailbox import ask, on_this_node, open_mailbox, serve
from mvkt_ray.on_ray.many_workers import train_teacher_on_ranks
from mvkt_ray.on_ray.running_trials import TrialsRun
from mvkt_ray.on_ray.tuner import run_trials
from mvkt_ray.on_ray.unwrap import unwrapped
from mvkt_ray.on_ray.worker import RunTrial, TrainTeacher
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult, Usage
from mvkt_ray.storage.location import Location
from mvkt_ray.training.students.trial_inputs import TrialInputs
from mvkt_ray.training.teacher import TeacherJob


class RemoteStudy:
    """Forwards ask, report and tell through a mailbox to the driver's process."""

    def __init__(self, mailbox: Any, config: StudyConfig) -> None:
        self._mailbox = mailbox
        self.config = config

    def ask(self) -> Trial | None:
        """Return a trial to run; None: there is none now."""
        return ask(self._mailbox, ("ask",))

    def report(self, number: int, metrics: EpochMetrics, usage: Usage) -> Decision:
        """Return the decision to continue or prune a trial after an epoch."""
        return ask(self._mailbox, ("report", number, metrics, usage))

    def tell(self, result: TrialResult, usage: Usage) -> None:
        """Record the result of a trial."""
        ask(self._mailbox, ("tell", result, usage))


def run_trials_on_head(run: TrialsRun) -> None:
    """Run trials as `run_trials` does, on the head node; the study is called in this thread."""

    def reply(question: tuple[Any, ...]) -> Any:
        name, *arguments = question
        answers = {"ask": run.study.ask, "report": run.study.report, "tell": run.study.tell}
        answer = answers[name](*arguments)
        run.on_change()
        return answer

    _drive(
        _run_trials,
        (run.study.config, run.inputs, run.concurrency, str(run.storage), run.run_trial),
        reply,
    )


def train_teacher_on_head(
    job: TeacherJob,
    out: str,
    on_epoch: Callable[[EpochMetrics], None],
    workers: WorkersConfig,
    *,
    storage: str,
    train_teacher: TrainTeacher,
) -> tuple[list[str], float]:
    """Train a teacher as `train_teacher_on_ranks` does, on the head node."""
    return _drive(_train_teacher, (job, out, workers, storage, train_teacher), on_epoch)


def _drive(function: Callable[..., Any], arguments: tuple[Any, ...], reply: Any) -> Any:
    mailbox = open_mailbox()
    task: Any = ray.remote(function)
    running = task.options(num_cpus=0, max_retries=0, scheduling_strategy=on_this_node()).remote(
        mailbox, *arguments
    )
    try:
        serve(mailbox, reply, is_over=lambda: bool(ray.wait([running], timeout=0)[0]))
    except BaseException:
        ray.cancel(running, force=True)
        raise
    try:
        return ray.get(running)
    except Exception as error:
        raise unwrapped(error) from error


def _run_trials(
    mailbox: Any,
    config: StudyConfig,
    inputs: TrialInputs,
    concurrency: Concurrency,
    storage: str,
    run_trial: RunTrial,
) -> None:
    run = TrialsRun(
        study=RemoteStudy(mailbox, config),
        inputs=inputs,
        concurrency=concurrency,
        storage=Location(storage),
        run_trial=run_trial,
        on_change=lambda: None,
    )
    with environment({**QUIET, **WORKERS}), quiet_ray():
        run_trials(run)


def _train_teacher(
    mailbox: Any,
    job: TeacherJob,
    out: str,
    workers: WorkersConfig,
    storage: str,
    train_teacher: TrainTeacher,
) -> tuple[list[str], float]:
    with environment({**QUIET, **WORKERS}), quiet_ray():
        return train_teacher_on_ranks(
            job,
            out,
            lambda metrics: ask(mailbox, metrics),
            workers,
            storage=storage,
            train_teacher=train_teacher,
        )
