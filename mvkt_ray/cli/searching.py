"""Shows a search to the verbs `search` and `demo`: what it would do, and what came out."""

from typing import TYPE_CHECKING

import typer

from mvkt_ray.cli.failures import EXIT_FAILED
from mvkt_ray.cli.reporting import show_report
from mvkt_ray.display.console import Output
from mvkt_ray.display.plan_tables import Outlook, plan_as_value, plan_tables

if TYPE_CHECKING:
    from mvkt_ray.interface.made_report import MadeReport
    from mvkt_ray.interface.search_run import SearchCall


def answer_search(output: Output, call: "SearchCall") -> "MadeReport":
    """Run a search, and show its report.

    Returns:
        The report.

    Raises:
        typer.Exit: With 1 when trials were asked for and none was completed.
    """
    from mvkt_ray.interface.search_run import search_study

    done = search_study(output, call)
    show_report(output, done.report)
    if done.why_stopped:
        # With --quiet, too: without it nobody could tell a study that was stopped from a whole one.
        output.note(done.why_stopped)
    if done.found_nothing:
        raise typer.Exit(EXIT_FAILED)
    return done.report


def show_plan(output: Output, call: "SearchCall") -> None:
    """Check everything that can be checked before a search, and say what it would do."""
    from mvkt_ray.interface.sessions.choose_runner import open_runner
    from mvkt_ray.interface.sessions.own_files import expect_writable
    from mvkt_ray.search.disk.disk_need import expect_room, predict_disk_need
    from mvkt_ray.search.pipeline import check_runner
    from mvkt_ray.search.search_plan import plan_search
    from mvkt_ray.search.spending.prediction import predict, read_trials

    config, request = call.config, call.request
    if request.folder.root.is_local:
        # A store is asked by writing to it.
        expect_writable(request.folder)
    with output.waiting("checking the study"):
        plan = plan_search(config, request)
    trials = () if plan.begun is None else read_trials(plan.folder, config.name)
    with open_runner(output, call.runner) as runner:
        check_runner(plan, runner)
        where, nodes = runner.describe(), runner.node_kinds()
    one_at_a_time = call.runner.in_process
    forecast = predict(plan.config, trials, plan.similar, nodes=nodes, one_at_a_time=one_at_a_time)
    n_ended = sum(record.state.is_finished for record in trials)
    need = predict_disk_need(plan, n_ended=n_ended, nodes=nodes, one_at_a_time=one_at_a_time)
    expect_room(plan.folder.root, need)
    outlook = Outlook(where=where, forecast=forecast, disk_need=need)
    output.answer(plan_as_value(plan, outlook), plan_tables(plan, outlook))
