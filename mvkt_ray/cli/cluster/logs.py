"""`mvkt cluster logs`: what a job has said, and what it says from now on."""

from typing import Annotated

import typer

from mvkt_ray.cli.cluster.cluster_options import ClusterUrl, JobName, TokenFile
from mvkt_ray.cli.cluster.follow import follow, say_aside, show
from mvkt_ray.display.console import Output


def logs_verb(
    job: JobName,
    address: ClusterUrl,
    token_file: TokenFile = None,
    follow_log: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Follow the log until the job ends; Ctrl-C detaches."),
    ] = False,
    from_line: Annotated[
        int, typer.Option(metavar="N", min=1, help="First line to show; the log's first is 1.")
    ] = 1,
) -> None:
    """Show the log of a job; with --follow until it ends, reconnecting when the network fails.

    Exits with the job's exit code if the job was followed to its end.
    """
    from mvkt_ray.on_ray.jobs.job_logs import JobLog
    from mvkt_ray.on_ray.jobs.jobs_api import open_jobs

    with open_jobs(address, token_file) as jobs:
        if follow_log:
            follow(Output.open(), jobs, job, token_file, from_line=from_line)
        else:
            JobLog(jobs, job, show, say_aside, from_line=from_line).show_now()
