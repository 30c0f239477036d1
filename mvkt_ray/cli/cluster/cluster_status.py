"""`mvkt cluster status`: the jobs and nodes of a cluster, or one job and the study in it."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.cli.cluster.cluster_options import ClusterUrl, TokenFile
from mvkt_ray.cli.options import JsonOutput
from mvkt_ray.display.console import Output, facts, grid, heading
from mvkt_ray.phrasing import duration

if TYPE_CHECKING:
    from mvkt_ray.display.study_state import StudyState
    from mvkt_ray.on_ray.jobs.cluster_view import ClusterView
    from mvkt_ray.on_ray.jobs.jobs_api import Job, Jobs

JOBS_SHOWN = 20


def status_verb(
    output: JsonOutput,
    address: ClusterUrl,
    job: Annotated[
        str | None,
        typer.Argument(metavar="[JOB]", help="Show this job and the progress of its study."),
    ] = None,
    token_file: TokenFile = None,
) -> None:
    """Show the jobs and nodes of a cluster and what keeps it from growing; or one job.

    Example: mvkt cluster status --address http://HEAD:8265
    """
    from mvkt_ray.on_ray.jobs.cluster_view import view_cluster
    from mvkt_ray.on_ray.jobs.jobs_api import open_jobs

    with open_jobs(address, token_file) as jobs:
        if job is not None:
            _answer_job(output, jobs.find(job))
            return
        _answer_cluster(output, jobs, view_cluster(jobs))


def _answer_cluster(output: Output, jobs: "Jobs", view: "ClusterView") -> None:
    all_jobs = jobs.all()
    shown: list[RenderableType] = [heading(f"Cluster at {jobs.url}"), _node_table(view)]
    shown += [Text(problem, "red") for problem in view.problems]
    shown += (
        [heading("Jobs"), _job_table(all_jobs)] if all_jobs else ["No job was submitted to it."]
    )
    output.answer({**asdict(view), "jobs": [asdict(each) for each in all_jobs]}, shown)


def _node_table(view: "ClusterView") -> RenderableType:
    table = grid(["node", "host", "is", "CPUs", "GPUs", "since"], right=["CPUs", "GPUs"])
    for node in view.nodes:
        role = "head" if node.is_head else "node"
        since = duration(max(0.0, time.time() - node.started_at))
        table.add_row(node.node_id[:8], node.host, role, f"{node.cpus:g}", f"{node.gpus:g}", since)
    return table


def _job_table(jobs: "Sequence[Job]") -> RenderableType:
    table = grid(["job", "state", "started", "took", "results"], right=["took"])
    for job in jobs[-JOBS_SHOWN:]:
        table.add_row(job.job_id, job.state.lower(), *_times(job), job.notes.get("out", ""))
    return table


def _times(job: "Job") -> tuple[str, str]:
    if job.started_at is None:
        return "", ""
    started = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.started_at))
    return started, duration(max(0.0, (job.ended_at or time.time()) - job.started_at))


def _answer_job(output: Output, job: "Job") -> None:
    started, took = _times(job)
    rows: dict[str, object] = {
        "job": job.job_id,
        "state": job.state.lower() + ("" if job.exit_code is None else f", exit {job.exit_code}"),
        "started": f"{started}, {took}" if started else "not yet",
        "command": job.command.removeprefix("exec "),
    }
    if job.message and job.state in ("PENDING", "FAILED"):
        rows["message"] = job.message
    value: dict[str, Any] = asdict(job)
    shown: list[RenderableType] = [facts(rows)]
    out = job.notes.get("out")
    state = _study_state(out)
    if state is not None:
        value["study"], shown = state[0], [*shown, state[1]]
    elif out is not None:
        look = shlex.join(["mvkt", "status", out])
        shown.append(f"Progress of its study: {look}, where its folder can be read.")
    output.answer(value, shown)


def _study_state(out: str | None) -> "tuple[dict[str, Any], RenderableType] | None":
    """Look at the study of a job, when its folder can be read from here."""
    from mvkt_ray.display.live_table import condition_table
    from mvkt_ray.display.state_reader import state_of
    from mvkt_ray.display.study_state import state_as_value
    from mvkt_ray.errors import MvktError
    from mvkt_ray.search.ledger.ledger_database import is_driven
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.search.study_opening import open_study
    from mvkt_ray.storage.location import Location

    if out is None:
        return None
    try:
        folder = StudyFolder(Location.parse(out))
        config, study = open_study(folder)
        study.close()
        is_alive = is_driven(folder)
    except MvktError:
        return None
    state: StudyState = replace(state_of(study, config.trial_epochs), is_driven=is_alive)
    return state_as_value(config.name, state), condition_table(state)
