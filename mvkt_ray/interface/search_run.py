"""Runs a search: checks its arguments, executes its plan in a session, and makes its report.

Reads: recordings or shards. Writes: the study's folder.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import checked_study, read_study
from mvkt_ray.display.console import Output
from mvkt_ray.display.plan_tables import prediction_text
from mvkt_ray.display.waiting_lines import FOR_LEDGER, showing_waits
from mvkt_ray.errors import ConfigError
from mvkt_ray.interface.arguments import (
    RunnerChoice,
    parse_time_budget,
    read_ledger,
    read_limits,
    with_folds,
    with_prices,
)
from mvkt_ray.interface.made_report import MadeReport, make_report
from mvkt_ray.interface.sessions.driver_session import driver_session
from mvkt_ray.interface.sessions.own_files import expect_writable, own_files
from mvkt_ray.interface.sessions.trackers import tracking
from mvkt_ray.phrasing import duration
from mvkt_ray.search.disk.disk_need import expect_room, predict_disk_need
from mvkt_ray.search.ledger.postgres.server_connection import Patience
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.opened_search import open_search
from mvkt_ray.search.pipeline import run_search
from mvkt_ray.search.runner import AskTell
from mvkt_ray.search.search_plan import SearchPlan, SearchRequest, plan_search
from mvkt_ray.search.spending.prediction import predict
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchCall:
    """Checked request for a search."""

    config: StudyConfig
    request: SearchRequest
    runner: RunnerChoice
    trackers: tuple[str, ...] = ()
    """`mlflow=URI` and so on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """Outcome of a search."""

    report: MadeReport
    why_stopped: str
    """A sentence on the limit that stopped the search; empty without one."""

    @property
    def found_nothing(self) -> bool:
        """Whether trials were requested and none was completed, except because of a limit."""
        asked = bool(self.report.material.config.search.n_trials) and not self.why_stopped
        return asked and not self.report.facts.cost.trials.get("complete")


def search_call(
    study: str | Path | StudyConfig | None,
    *,
    out: str | Path,
    data: str | Path | None = None,
    teacher: str | Path | None = None,
    ledger: str | None = None,
    folds: str | None = None,
    max_trials: int | None = None,
    time_budget: str | None = None,
    max_gpu_hours: float | None = None,
    max_cost: float | None = None,
    prices: str | Path | None = None,
    trackers: Sequence[str] | None = None,
    address: str | None = None,
    in_process: bool = False,
    resume: bool = False,
    like: str | Path | None = None,
) -> SearchCall:
    """Check the arguments of a search, which `calls.search` documents.

    Raises:
        ConfigError: An argument, or the study, is wrong.
    """
    started = time.monotonic()
    runner = RunnerChoice(address, in_process)
    request = SearchRequest(
        folder=StudyFolder(Location.parse(out)),
        data=None if data is None else Location.parse(data),
        teacher=None if teacher is None else Location.parse(teacher),
        resume=resume,
        limits=read_limits(max_gpu_hours, max_cost),
        similar=None if like is None else StudyFolder(Location.parse(like)),
        ledger=read_ledger(ledger),
        time_budget_s=parse_time_budget(time_budget),
        started=started,
    )
    config = with_folds(with_prices(_study_of(study, request), prices), folds)
    if max_trials is not None:
        if max_trials < 1:
            raise ConfigError(f"--max-trials must be at least 1, got {max_trials}.")
        config = dataclasses.replace(
            config, search=dataclasses.replace(config.search, n_trials=max_trials)
        )
    return SearchCall(config=config, request=request, runner=runner, trackers=tuple(trackers or ()))


def search_study(output: Output, call: SearchCall) -> Searched:
    """Run missing stages and trials, as far as the limits allow, and make the report."""
    folder = call.request.folder
    # Before starting Ray, which takes seconds, and before writing logs into a folder in use.
    expect_writable(folder)
    with output.waiting("checking the study"):
        plan = plan_search(call.config, call.request)
    with tracking(output, call.trackers, call.config, folder) as follow:
        study = run_trials(output, plan, call.runner, follow)
        report = make_report(output, folder)
    return Searched(report=report, why_stopped=_why_stopped(study, folder))


def run_trials(
    output: Output,
    plan: SearchPlan,
    choice: RunnerChoice,
    follow: Callable[[Study], AskTell] = lambda study: study,
) -> Study:
    """Execute a plan in a session of its own, and show the progress.

    Args:
        output: Output of the verb.
        plan: Plan of the search.
        choice: Selection of the runner.
        follow: Function that wraps the study, for example to notify trackers.
    """
    config, folder = plan.config, plan.folder
    with (
        showing_waits(output.note, FOR_LEDGER),
        open_search(plan, Patience(say=output.note)) as opened,
        driver_session(
            output,
            own_files(output, folder.logs, folder.ray),
            config,
            choice,
            name=config.name,
            n_epochs=config.trial_epochs,
        ) as session,
    ):
        nodes = session.runner.node_kinds()
        n_ended = sum(record.state.is_finished for record in opened.trials)
        alone = choice.in_process
        need = predict_disk_need(plan, n_ended=n_ended, nodes=nodes, one_at_a_time=alone)
        expect_room(folder.root, need)
        forecast = predict(config, opened.trials, plan.similar, nodes=nodes, one_at_a_time=alone)
        if forecast is not None:
            output.say(f"predicted: {prediction_text(forecast)}")
        study = run_search(opened, session.runner, session.view, follow=follow)
        log_note = session.log_note
    output.say(f"done in {duration(time.monotonic() - plan.request.started)}{log_note}")
    return study


def _study_of(study: str | Path | StudyConfig | None, request: SearchRequest) -> StudyConfig:
    if isinstance(study, StudyConfig):
        return checked_study(study)
    if study is not None:
        return read_study(study)
    if not request.resume:
        raise ConfigError(
            "STUDY.yaml is missing: give a study file, such as those in search_spaces/. It may "
            "be left out only with --resume, which reads it from the study's folder."
        )
    request.folder.expect_study()
    return request.folder.read_config()


def _why_stopped(study: Study, folder: StudyFolder) -> str:
    if not study.stopped_by:
        return ""
    ended = sum(record.state.is_finished for record in study.trials())
    n_running = len(study.trials()) - ended
    return (
        f"Stopped: {study.stopped_by}. {ended} of {study.n_trials} trials have ended; {n_running} "
        "were stopped after an epoch, with checkpoints. Go on with a higher limit: "
        f"{folder.resume_line}"
    )
