"""Runs a search for the verbs `search` and `demo`: its plan, the driver's session, the answer."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from mvkt_ray.cli.choose_runner import open_runner
from mvkt_ray.cli.display.console import Output, duration
from mvkt_ray.cli.display.plan_tables import Outlook, plan_as_value, plan_tables, prediction_text
from mvkt_ray.cli.driver_session import driver_session
from mvkt_ray.cli.failures import EXIT_FAILED
from mvkt_ray.cli.own_files import expect_writable, own_files
from mvkt_ray.cli.reporting import answer_with_report

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.search.runner import AskTell
    from mvkt_ray.search.search_plan import SearchPlan, SearchRequest
    from mvkt_ray.search.study import Study


def search(
    output: Output,
    config: "StudyConfig",
    request: "SearchRequest",
    *,
    address: str | None,
    in_process: bool,
    trackers: Sequence[str] = (),
) -> None:
    """Run every missing stage and all trials, or those that the limits allow; then report.

    Args:
        output: Of the verb.
        config: The study.
        request: What else is asked of it.
        address: Of a Ray cluster; None starts one on this machine.
        in_process: Do not use Ray at all.
        trackers: `mlflow=URI` and so on.

    Raises:
        typer.Exit: With 1 when trials were asked for and none was completed.
    """
    from mvkt_ray.cli.trackers import tracking
    from mvkt_ray.search.search_plan import plan_search

    # Before Ray starts, which takes seconds, and before logs are written into a folder in use.
    expect_writable(request.folder)
    with output.waiting("checking the study"):
        plan = plan_search(config, request)
    with tracking(trackers, config, request.folder) as follow:
        study = run_trials(output, plan, follow, address=address, in_process=in_process)
        report = answer_with_report(output, request.folder)
    if study.stopped_by:
        # With --quiet, too: without it nobody could tell a study that was stopped from a whole one.
        output.note(_why_stopped(study, request.folder))
    elif config.search.n_trials and not report["cost"]["trials"].get("complete"):
        raise typer.Exit(EXIT_FAILED)


def show_plan(
    output: Output,
    config: "StudyConfig",
    request: "SearchRequest",
    *,
    address: str | None,
    in_process: bool,
) -> None:
    """Check everything that can be checked before a search, and say what it would do."""
    from mvkt_ray.search.disk.disk_need import expect_room, predict_disk_need
    from mvkt_ray.search.pipeline import check_runner
    from mvkt_ray.search.prediction import predict, read_trials
    from mvkt_ray.search.search_plan import plan_search

    if request.folder.root.is_local:
        # A store is asked by writing to it.
        expect_writable(request.folder)
    with output.waiting("checking the study"):
        plan = plan_search(config, request)
    trials = () if plan.begun is None else read_trials(plan.folder, config.name)
    with open_runner(output, address=address, in_process=in_process) as runner:
        check_runner(plan, runner)
        where, nodes = runner.describe(), runner.node_kinds()
    forecast = predict(plan.config, trials, plan.similar, nodes=nodes, one_at_a_time=in_process)
    n_ended = sum(record.state.is_finished for record in trials)
    need = predict_disk_need(plan, n_ended=n_ended, nodes=nodes, one_at_a_time=in_process)
    expect_room(plan.folder.root, need)
    outlook = Outlook(where=where, forecast=forecast, disk_need=need)
    output.answer(plan_as_value(plan, outlook), plan_tables(plan, outlook))


def run_trials(
    output: Output,
    plan: "SearchPlan",
    follow: "Callable[[Study], AskTell]",
    *,
    address: str | None,
    in_process: bool,
) -> "Study":
    """Carry out a plan in a session of its own, and show how far it is."""
    from mvkt_ray.search.disk.disk_need import expect_room, predict_disk_need
    from mvkt_ray.search.ledger.postgres.server_connection import Patience
    from mvkt_ray.search.opened_search import open_search
    from mvkt_ray.search.pipeline import run_search
    from mvkt_ray.search.prediction import predict

    config, files = plan.config, own_files(output, plan.folder)
    with (
        open_search(plan, Patience(say=output.note)) as opened,
        driver_session(
            output, files, config, name=config.name, address=address, in_process=in_process
        ) as session,
    ):
        nodes = session.runner.node_kinds()
        n_ended = sum(record.state.is_finished for record in opened.trials)
        need = predict_disk_need(plan, n_ended=n_ended, nodes=nodes, one_at_a_time=in_process)
        expect_room(plan.folder.root, need)
        forecast = predict(
            config, opened.trials, plan.similar, nodes=nodes, one_at_a_time=in_process
        )
        if forecast is not None:
            output.say(f"predicted: {prediction_text(forecast)}")
        study = run_search(opened, session.runner, session.view, follow=follow)
        log_note = session.log_note
    output.say(f"done in {duration(time.monotonic() - plan.request.started)}{log_note}")
    return study


def _why_stopped(study: "Study", folder: "StudyFolder") -> str:
    ended = sum(record.state.is_finished for record in study.trials())
    n_running = len(study.trials()) - ended
    return (
        f"Stopped: {study.stopped_by}. {ended} of {study.n_trials} trials have ended; {n_running} "
        f"were stopped after their epoch and keep their checkpoints. Go on with a higher limit: "
        f"{folder.resume_line}"
    )
