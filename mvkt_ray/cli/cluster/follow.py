"""Following a job from the command line: its log here, its exit code ours, Ctrl-C detaches."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from mvkt_ray.cli.failures import EXIT_FAILED, EXIT_INTERRUPTED
from mvkt_ray.display.console import Output
from mvkt_ray.phrasing import duration

if TYPE_CHECKING:
    from mvkt_ray.on_ray.jobs.jobs_api import Job, Jobs

NOT_FOUND_BY_SHELL = 127


def follow(
    output: Output, jobs: "Jobs", job_id: str, token_file: Path | None, *, from_line: int = 1
) -> None:
    """Show the log of a job until it ends.

    Raises:
        typer.Exit: With the job's exit code when it is one of ours, 1 when it failed otherwise or
            was stopped, 130 after Ctrl-C.
    """
    from mvkt_ray.on_ray.jobs.job_logs import JobLog

    log = JobLog(jobs, job_id, show, say_aside, from_line=from_line)
    try:
        job = log.follow()
    except KeyboardInterrupt:
        token = f" --token-file {shlex.quote(str(token_file))}" if token_file else ""
        where = f"{job_id} --address {jobs.url}{token}"
        say_aside(f"\ndetached; {job_id} is still running. Follow it again, or stop it, with:")
        say_aside(f"  mvkt cluster logs {where} --follow --from-line {log.next_line}")
        say_aside(f"  mvkt cluster stop {where}")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    output.say(Text(how_it_ended(job)))
    if job.state != "SUCCEEDED":
        raise typer.Exit(job.exit_code if job.exit_code in (1, 2, 130) else EXIT_FAILED)


def show(text: str) -> None:
    """Write a piece of a log as it is."""
    sys.stdout.write(text)
    sys.stdout.flush()


def say_aside(text: str) -> None:
    """Write a line that is no part of the log."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def how_it_ended(job: "Job") -> str:
    """Return a line that states how a job ended, and what to do if it failed."""
    took = ""
    if job.started_at is not None and job.ended_at is not None:
        took = f" after {duration(job.ended_at - job.started_at)}"
    if job.state == "SUCCEEDED":
        return f"{job.job_id} is done{took}"
    if job.state == "STOPPED":
        return (
            f"{job.job_id} was stopped{took}; resume its study with the same `mvkt cluster "
            "submit` command and --resume"
        )
    if job.exit_code == NOT_FOUND_BY_SHELL:
        return (
            f"{job.job_id} failed: the command `mvkt` is not installed on the head. Install "
            "mvkt-ray there, or use an image that has it, such as the project's Dockerfile "
            "builds."
        )
    reason = f" with exit code {job.exit_code}" if job.exit_code is not None else ""
    return f"{job.job_id} failed{reason}{took}" + ("" if reason else f": {job.message}")
