"""`mvkt cluster stop`: end a job cleanly, or what `mvkt cluster start` has started here."""

from pathlib import Path
from typing import Annotated

import typer

from mvkt_ray.cli.cluster.cluster_options import TokenFile
from mvkt_ray.cli.options import VerbOutput
from mvkt_ray.config.ports import DASHBOARD_PORT
from mvkt_ray.display.console import Output
from mvkt_ray.errors import ConfigError


def stop_verb(
    output: VerbOutput,
    job: Annotated[
        str | None,
        typer.Argument(metavar="[JOB]", help="Job to stop; none: the nodes started here."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help=f"Dashboard of the job's head, http://HOST:{DASHBOARD_PORT}."
        ),
    ] = None,
    token_file: TokenFile = None,
) -> None:
    """Stop a job as Ctrl-C would; or end the nodes that `mvkt cluster start` has started here.

    A stopped search keeps its state; --resume continues it. Stopping a head stops its jobs, too.
    Other Ray instances on this machine are left alone.
    """
    if (job is None) != (address is None):
        raise ConfigError(
            "To stop a job, give both its name and the --address of its cluster. To stop the "
            "nodes that were started on this machine, give neither."
        )
    if job is not None and address is not None:
        _stop_job(output, job, address, token_file)
    else:
        _stop_nodes(output)


def _stop_job(output: Output, job_id: str, address: str, token_file: Path | None) -> None:
    from mvkt_ray.cli.cluster.follow import how_it_ended
    from mvkt_ray.on_ray.jobs.jobs_api import open_jobs, wait_until_it_ended

    with open_jobs(address, token_file) as jobs:
        was_running = jobs.stop(job_id)
        with output.waiting(f"waiting for {job_id} to save its state"):
            job = wait_until_it_ended(jobs, job_id)
    if not was_running:
        output.say("the job had ended already")
    output.answer({"job": job_id, "state": job.state}, [how_it_ended(job)])


def _stop_nodes(output: Output) -> None:
    from mvkt_ray.on_ray.own_nodes.local_nodes import local_nodes, stop_node

    stopped: dict[str, int] = {}
    # Nodes first: they say goodbye to their head.
    for node in sorted(local_nodes(), key=lambda node: node.is_head):
        kind = "head" if node.is_head else "node"
        with output.waiting(f"stopping the {kind} of the cluster at {node.address}"):
            stopped[node.name] = stop_node(node)
    what = f"{len(stopped)} stopped" if stopped else "nothing was started here"
    output.answer({"stopped": stopped}, [what])
