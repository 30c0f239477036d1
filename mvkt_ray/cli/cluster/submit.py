"""`mvkt cluster submit`: a search that runs beside the head of a cluster, followed from here."""

import os
import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mvkt_ray.cli.cluster.cluster_options import ClusterUrl, TokenFile
from mvkt_ray.cli.cluster.follow import follow
from mvkt_ray.cli.cluster.search_line import read_search_line
from mvkt_ray.cli.cluster.shipped_files import read_shipped_files
from mvkt_ray.display.console import Output
from mvkt_ray.errors import ConfigError
from mvkt_ray.file_guards import reading
from mvkt_ray.phrasing import names_secret, without_passwords
from mvkt_ray.storage.scratch_folder import scratch_folder


def submit_verb(
    context: typer.Context,
    address: ClusterUrl,
    token_file: TokenFile = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY[=VALUE]",
            help="Environment variable for the job and its workers; without =VALUE, its value "
            "here. Repeatable.",
        ),
    ] = None,
    requirements: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Packages that every node installs for the job."),
    ] = None,
    follow_log: Annotated[
        bool,
        typer.Option(
            "--follow/--detach", help="Follow the log until the job ends, or return at once."
        ),
    ] = True,
) -> None:
    """Send a search to a cluster and follow it; takes the study and all flags of `mvkt search`.

    The study, its base, its task file and the --prices file are sent along; every node must see
    the folders. Ctrl-C only detaches. Exits with the job's exit code.
    Example: mvkt cluster submit STUDY.yaml --address http://HEAD:8265 --data URI --out URI
    """
    from mvkt_ray.on_ray.jobs.jobs_api import JobRequest, open_jobs

    output = Output.open()
    line = read_search_line(context.args)
    variables = _variables(env or [])
    with reading(f"--requirements {requirements}", "Give a list of packages."):
        if requirements is not None and not requirements.is_file():
            raise ConfigError(
                f"--requirements {requirements} is not a file. Give a requirements file that pip "
                "can read."
            )
    files = read_shipped_files(line)
    name = files.study.name if files.study else line.out.rstrip("/").rsplit("/", 1)[-1]
    words = ["mvkt", "search", *line.words, "--address", "auto"]
    with open_jobs(address, token_file) as jobs:
        with scratch_folder("mvkt-submit-") as scratch:
            folder = scratch / "files"
            folder.mkdir()
            files.write(folder)
            request = JobRequest(
                job_id=f"{_slug(name)}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}",
                # In place of the shell, so that a stop reaches the search and nothing else.
                entrypoint=f"exec {shlex.join(words)}",
                folder=folder,
                variables=variables,
                requirements=requirements,
                notes={"study": name, "out": line.out},
            )
            jobs.submit(request)
        output.say(f"submitted {request.job_id} to {jobs.url}")
        if follow_log:
            output.say("Ctrl-C detaches; the job goes on")
            follow(output, jobs, request.job_id, token_file)


def _variables(pairs: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if names_secret(key) or (equals and without_passwords(value) != value):
            raise ConfigError(
                f"--env {key} looks like a secret, and the cluster's dashboard shows the "
                "environment of a job to all its users. Provide it on the nodes instead: by a "
                "Secret, an instance profile, or a file such as ~/.pgpass or ~/.netrc."
            )
        if not equals and key not in os.environ:
            raise ConfigError(
                f"--env {key}: this variable is not set here. Set it, or write --env {key}=VALUE."
            )
        values[key] = value if equals else os.environ[key]
    return values


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "study"
