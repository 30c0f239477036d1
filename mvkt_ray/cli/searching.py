"""Runs a search for the verbs `search` and `demo`: runner, logs, live table, and the answer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from mvkt_ray.cli.choose_runner import open_runner
from mvkt_ray.cli.display.console import Output, duration
from mvkt_ray.cli.display.live_table import watch
from mvkt_ray.cli.display.report_summary import answer_with_report
from mvkt_ray.cli.failures import EXIT_FAILED
from mvkt_ray.cli.log_files import logging_to
from mvkt_ray.cli.own_files import expect_writable, own_files

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.search.runner import AskTell
    from mvkt_ray.search.spending.budget import Limits
    from mvkt_ray.search.study import Study
    from mvkt_ray.storage.location import Location


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRequest:
    """Where a search runs, on what, and how long."""

    out: str
    data: str | None = None
    teacher: str | None = None
    address: str | None = None
    in_process: bool = False
    resume: bool = False
    time_budget_s: float | None = None
    limits: "Limits"
    trackers: Sequence[str] = ()
    """`mlflow=URI` and so on."""
    like: str | None = None
    """Folder of a study that this one is like, for a prediction."""


def search(output: Output, config: "StudyConfig", request: SearchRequest) -> None:
    """Run every missing stage and all trials, or those that the limits allow; then report.

    Raises:
        typer.Exit: With 1 when trials were asked for and none was completed.
    """
    from mvkt_ray.cli.search_plan import check_before_start
    from mvkt_ray.cli.trackers import tracking

    started = time.monotonic()
    folder = _folder(request)
    # Before Ray starts, which takes seconds, and before logs are written into a folder in use.
    expect_writable(folder)
    folder.claim(resume=request.resume)
    check_before_start(config, folder, _location(request.data))
    request.limits.check(config.resources)
    with tracking(request.trackers, config, folder) as follow:
        study = _run(output, config, request, folder, started, follow)
        report = answer_with_report(output, folder)
    if study.stopped_by:
        # With --quiet, too: without it nobody could tell a study that was stopped from a whole one.
        typer.echo(_why_stopped(study, folder), err=True)
    elif config.search.n_trials and not report["cost"]["trials"].get("complete"):
        raise typer.Exit(EXIT_FAILED)


def _run(
    output: Output,
    config: "StudyConfig",
    request: SearchRequest,
    folder: "StudyFolder",
    started: float,
    follow: "Callable[[Study], AskTell]",
) -> "Study":
    from mvkt_ray.cli.prediction import predict, prediction_text
    from mvkt_ray.search.pipeline import run_search

    with (
        own_files(output, folder) as own,
        logging_to(own.logs) as log,
        open_runner(
            output,
            address=request.address,
            in_process=request.in_process,
            work=own.ray,
            logs=own.logs,
        ) as runner,
        watch(
            output,
            name=config.name,
            where=runner.describe(),
            n_epochs=config.student.epochs,
            teacher_epochs=config.teacher.epochs,
        ) as view,
    ):
        left_s = None
        if request.time_budget_s is not None:
            left_s = request.time_budget_s - (time.monotonic() - started)
        outlook = predict(config, folder, runner, like=request.like, in_process=request.in_process)
        if outlook is not None:
            output.say(f"predicted: {prediction_text(outlook)}")
        study = run_search(
            config,
            folder,
            runner,
            view,
            data=_location(request.data),
            teacher=_location(request.teacher),
            resume=request.resume,
            deadline_s=left_s,
            limits=request.limits,
            follow=follow,
        )
        log_note = own.note_of(log)
    output.say(f"done in {duration(time.monotonic() - started)}{log_note}")
    return study


def show_plan(output: Output, config: "StudyConfig", request: SearchRequest) -> None:
    """Check everything that can be checked before a search, and say what it would do."""
    from mvkt_ray.cli.prediction import predict, prediction_as_value, prediction_text
    from mvkt_ray.cli.search_plan import plan_as_value, plan_search, plan_tables

    folder = _folder(request)
    folder.claim(resume=request.resume)
    request.limits.check(config.resources)
    plan = plan_search(
        config, folder, data=_location(request.data), teacher=_location(request.teacher)
    )
    with open_runner(output, address=request.address, in_process=request.in_process) as runner:
        runner.check(config.resources)
        request.limits.check_nodes(runner.node_kinds(), config.resources)
        where = runner.describe()
        outlook = predict(config, folder, runner, like=request.like, in_process=request.in_process)
    value = plan_as_value(config, where, plan) | {"prediction": prediction_as_value(outlook)}
    output.answer(value, plan_tables(config, where, plan, prediction_text(outlook)))


def _why_stopped(study: "Study", folder: "StudyFolder") -> str:
    ended = sum(record.state.is_finished for record in study.trials())
    n_running = len(study.trials()) - ended
    return (
        f"Stopped: {study.stopped_by}. {ended} of {study.n_trials} trials have ended; {n_running} "
        f"were stopped after their epoch and keep their checkpoints. Go on with a higher limit: "
        f"mvkt search --resume --out {folder.root}"
    )


def _folder(request: SearchRequest) -> "StudyFolder":
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.storage.location import Location

    return StudyFolder(Location.parse(request.out))


def _location(text: str | None) -> "Location | None":
    from mvkt_ray.storage.location import Location

    return None if text is None else Location.parse(text)
