"""Jobs on a cluster that is spoken to over HTTP: sent, listed, stopped (Ray's Jobs API)."""

import contextlib
import re
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ray
import requests
from ray.dashboard.modules.job.common import JobStatus
from ray.dashboard.modules.job.pydantic_models import JobDetails
from ray.exceptions import AuthenticationError

from mvkt_ray import __version__
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.connecting.address import refusal
from mvkt_ray.on_ray.connecting.environment import environment, quiet_ray
from mvkt_ray.on_ray.connecting.tokens import current_token, find_token, using_token
from mvkt_ray.on_ray.jobs.dashboard_client import (
    ANSWERS_WITHIN_S,
    DashboardClient,
    dashboard_url,
    reach_dashboard,
    shortly,
)
from mvkt_ray.on_ray.own_nodes.local_nodes import VERSION_LABEL
from mvkt_ray.on_ray.own_nodes.versions import check_same

JOB_ID = r"[A-Za-z0-9_.-]+"
"""It is a part of a path."""

POLL_S = 0.5

STOP = {
    # As Ctrl-C does it: the search ends cleanly, and can be resumed.
    "RAY_JOB_STOP_SIGNAL": "SIGINT",
    # Ray's default is to kill after 3 s, which is too short for a commit to an object store.
    "RAY_JOB_STOP_WAIT_TIME_S": "120",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """A command that is to run beside the head of a cluster."""

    job_id: str
    entrypoint: str
    folder: Path
    """Its files travel with it, and are its working directory."""
    variables: Mapping[str, str]
    requirements: Path | None
    """Packages to install for it on every node; None: what the nodes have."""
    notes: Mapping[str, str]
    """Kept with the job, to be found again when it is looked up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """State of a job on a cluster."""

    job_id: str
    state: str
    """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
    message: str
    command: str
    exit_code: int | None
    started_at: float | None
    """Seconds since 1970, by the clock of the head."""
    ended_at: float | None
    notes: Mapping[str, str]

    @classmethod
    def from_details(cls, details: JobDetails) -> "Job":
        """Take over what Ray tells."""
        return cls(
            job_id=details.submission_id or details.job_id or "",
            state=details.status.value,
            message=details.message or "",
            command=details.entrypoint,
            exit_code=details.driver_exit_code,
            started_at=_seconds(details.start_time),
            ended_at=_seconds(details.end_time),
            notes=details.metadata or {},
        )

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended."""
        return JobStatus(self.state).is_terminal()


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


class Jobs:
    """The jobs of one cluster; open it with `open_jobs`."""

    def __init__(self, client: DashboardClient) -> None:
        """Take over a client that has reached its cluster."""
        self._client = client

    @property
    def url(self) -> str:
        """Where requests go, without a slash at the end."""
        return self._client.url

    def submit(self, request: JobRequest) -> None:
        """Send a job; it starts on the head and takes no CPU there.

        Raises:
            ClusterError: The cluster does not take it.
        """
        runtime_env: dict[str, Any] = {
            "working_dir": str(request.folder),
            "env_vars": {**STOP, **request.variables},
        }
        if request.requirements is not None:
            runtime_env["pip"] = str(request.requirements)
        with self._explained():
            self._client.submit_job(
                entrypoint=request.entrypoint,
                submission_id=request.job_id,
                runtime_env=runtime_env,
                metadata=dict(request.notes),
            )

    def all(self) -> list[Job]:
        """Return every job that was sent to the cluster, the newest last."""
        with self._explained():
            details = self._client.list_jobs()
        # Drivers that connected by themselves are listed too.
        found = [Job.from_details(each) for each in details if each.submission_id]
        return sorted(found, key=lambda job: job.started_at or 0.0)

    def find(self, job_id: str) -> Job:
        """Return one job.

        Raises:
            ClusterError: There is none of this name; the message names those that there are.
        """
        if not re.fullmatch(JOB_ID, job_id):
            raise self.unknown(job_id)
        with self._explained(job_id):
            return Job.from_details(self._client.get_job_info(job_id))

    def look(self, job_id: str) -> Job:
        """Return one job, as `find` does; what Ray raises where the cluster is gone is its own.

        Raises:
            ClusterError: There is none of this name any more, or our token is refused.
        """
        try:
            return Job.from_details(self._client.get_job_info(job_id))
        except AuthenticationError:
            raise ClusterError(
                f"The cluster at {self.url} does not accept our token any more: it was probably "
                "restarted, and has lost the job. Resume the study with `mvkt cluster submit ... "
                "--resume`."
            ) from None
        except RuntimeError as error:
            if "404" not in str(error):
                raise
            raise self.unknown(job_id) from None

    def tail(self, job_id: str) -> AsyncGenerator[str]:
        """Return the log of a job as it comes, from its beginning; raises as `look`."""
        return cast(AsyncGenerator[str], self._client.tail_job_logs(job_id))

    def log(self, job_id: str) -> str:
        """Return the log of a job as it is now; raises as `look`."""
        return self._client.get_job_logs(job_id)

    def stop(self, job_id: str) -> bool:
        """Ask a job to end as Ctrl-C would; return whether it was running.

        Raises:
            ClusterError: There is none of this name.
        """
        self.find(job_id)
        with self._explained(job_id):
            return self._client.stop_job(job_id)

    def ask(self, endpoint: str) -> Any:
        """Ask the dashboard for JSON, for example `/api/cluster_status`."""
        with self._explained():
            return self._client.get(endpoint)

    def unknown(self, job_id: str) -> ClusterError:
        """Say that there is no job of a name, and which ones there are."""
        known = [job.job_id for job in self.all()][-5:]
        return ClusterError(
            f"The cluster at {self.url} knows no job {job_id!r}; "
            + (f"the newest are {', '.join(known)}" if known else "no job was submitted to it")
            + ". See `mvkt cluster status`. A restarted head has lost its jobs: resume their "
            "studies with `mvkt cluster submit ... --resume`."
        )

    @contextlib.contextmanager
    def _explained(self, job_id: str | None = None) -> Generator[None]:
        try:
            yield
        except AuthenticationError:
            raise ClusterError(f"--address {self.url}: {refusal(current_token())}") from None
        except requests.RequestException as error:
            raise ClusterError(
                f"The cluster at {self.url} does not answer any more ({shortly(error)}). Its jobs "
                "go on; try again when it is reachable."
            ) from None
        except RuntimeError as error:
            if job_id is not None and "404" in str(error):
                raise self.unknown(job_id) from None
            raise ClusterError(
                f"The cluster at {self.url} refuses the request: {shortly(error)}"
            ) from None


def wait_until_it_ended(jobs: Jobs, job_id: str) -> Job:
    """Wait for a job that was told to stop; it has as long as `STOP` says.

    Raises:
        ClusterError: It does not end, or the cluster cannot be reached any more.
    """
    patience_s = float(STOP["RAY_JOB_STOP_WAIT_TIME_S"]) + ANSWERS_WITHIN_S
    deadline = time.monotonic() + patience_s
    while not (job := jobs.find(job_id)).has_ended:
        if time.monotonic() > deadline:
            raise ClusterError(
                f"The job {job_id} has not ended within {patience_s:g} s. See `mvkt cluster "
                "status`."
            )
        time.sleep(POLL_S)
    return job


@contextlib.contextmanager
def open_jobs(address: str, token_file: Path | None) -> Generator[Jobs]:
    """Reach the Jobs API of a cluster, and see that it lets us in and has our versions.

    Args:
        address: `http://host:port` or `https://host:port` of the dashboard.
        token_file: holds the token; None: as `find_token` finds it.

    Raises:
        ClusterError: Nothing answers, it is no dashboard of Ray, it refuses our token, or it runs
            other versions.
        ConfigError: The token file cannot be read.
    """
    url = dashboard_url(address)
    # Ray would ask this variable, or RAY_ADDRESS, before the address that it is given.
    api = environment({"RAY_API_SERVER_ADDRESS": url})
    with using_token(find_token(token_file)), api, quiet_ray():
        jobs = Jobs(reach_dashboard(url))
        _check_version(jobs)
        yield jobs


def _check_version(jobs: Jobs) -> None:
    theirs, ours = {"Ray": jobs._client.server_version}, {"Ray": ray.__version__}
    for node in jobs.ask("/api/v0/nodes?detail=1")["data"]["result"]["result"]:
        if node["is_head_node"] and VERSION_LABEL in (node["labels"] or {}):
            theirs["mvkt-ray"], ours["mvkt-ray"] = node["labels"][VERSION_LABEL], __version__
    check_same(jobs.url, theirs, ours)
