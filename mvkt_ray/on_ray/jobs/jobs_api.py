"""Jobs on a cluster by Ray's Jobs API over HTTP: submit, list, look up, stop."""

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
"""Pattern of a job's id, which is a part of a URL's path."""

POLL_S = 0.5

STOP = {
    # As by Ctrl-C: the search ends cleanly, and can be resumed.
    "RAY_JOB_STOP_SIGNAL": "SIGINT",
    # Ray's default is to kill after 3 s, which is too short for a commit to an object store.
    "RAY_JOB_STOP_WAIT_TIME_S": "120",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """A command to run on the head of a cluster."""

    job_id: str
    entrypoint: str
    folder: Path
    """Uploaded with the job, as its working directory."""
    variables: Mapping[str, str]
    requirements: Path | None
    """File of packages to install for the job on every node; None: none are installed."""
    notes: Mapping[str, str]
    """Metadata of the job, returned with it."""


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
        """Convert Ray's description of a job."""
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
        """URL of the dashboard, without a slash at the end."""
        return self._client.url

    def submit(self, request: JobRequest) -> None:
        """Submit a job, which starts on the head and reserves no CPU there.

        Raises:
            ClusterError: The cluster refuses the job, or does not answer.
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
        """Return all submitted jobs, the newest last.

        Raises:
            ClusterError: The cluster does not answer.
        """
        with self._explained():
            details = self._client.list_jobs()
        # Ray lists drivers that connected directly, too; they have no submission id.
        found = [Job.from_details(each) for each in details if each.submission_id]
        return sorted(found, key=lambda job: job.started_at or 0.0)

    def find(self, job_id: str) -> Job:
        """Return one job.

        Raises:
            ClusterError: There is no such job; the message has the newest ones.
        """
        if not re.fullmatch(JOB_ID, job_id):
            raise self.unknown(job_id)
        with self._explained(job_id):
            return Job.from_details(self._client.get_job_info(job_id))

    def look(self, job_id: str) -> Job:
        """Return one job as `find` does, but pass on Ray's errors of a lost connection.

        Raises:
            ClusterError: There is no such job any more, or the token is refused.
        """
        try:
            return Job.from_details(self._client.get_job_info(job_id))
        except AuthenticationError:
            raise ClusterError(
                f"The cluster at {self.url} no longer accepts the token: it was probably "
                "restarted, and has lost the job. Resume the study with `mvkt cluster submit ... "
                "--resume`."
            ) from None
        except RuntimeError as error:
            if "404" not in str(error):
                raise
            raise self.unknown(job_id) from None

    def tail(self, job_id: str) -> AsyncGenerator[str]:
        """Yield the log of a job from its beginning, as it grows; raises as `look`."""
        return cast(AsyncGenerator[str], self._client.tail_job_logs(job_id))

    def log(self, job_id: str) -> str:
        """Return the present log of a job; raises as `look`."""
        return self._client.get_job_logs(job_id)

    def stop(self, job_id: str) -> bool:
        """Send a job the signal of Ctrl-C; return whether it was running.

        Raises:
            ClusterError: There is no such job.
        """
        self.find(job_id)
        with self._explained(job_id):
            return self._client.stop_job(job_id)

    def ask(self, endpoint: str) -> Any:
        """Return the JSON at an endpoint of the dashboard, such as `/api/cluster_status`.

        Raises:
            ClusterError: The cluster refuses the request, or does not answer.
        """
        with self._explained():
            return self._client.get(endpoint)

    def unknown(self, job_id: str) -> ClusterError:
        """Return the error for an unknown job, with the newest jobs."""
        known = [job.job_id for job in self.all()][-5:]
        return ClusterError(
            f"The cluster at {self.url} has no job {job_id!r}; "
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
                f"The cluster at {self.url} no longer answers ({shortly(error)}). Its jobs "
                "continue; try again when it is reachable."
            ) from None
        except RuntimeError as error:
            if job_id is not None and "404" in str(error):
                raise self.unknown(job_id) from None
            raise ClusterError(
                f"The cluster at {self.url} refuses the request: {shortly(error)}"
            ) from None


def wait_until_it_ended(jobs: Jobs, job_id: str) -> Job:
    """Wait for the end of a job after `Jobs.stop`, for at most the wait in `STOP` and an answer.

    Raises:
        ClusterError: The job does not end in time, or the cluster does not answer.
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
    """Yield the Jobs API of a cluster, after a check of the token and of the versions.

    Args:
        address: `http://host:port` or `https://host:port` of the dashboard.
        token_file: File with the token; None: as `find_token`.

    Raises:
        ClusterError: Nothing answers, the server is not a Ray dashboard, it refuses the token, or
            it has other versions.
        ConfigError: The token file cannot be read.
    """
    url = dashboard_url(address)
    # For Ray this variable, and RAY_ADDRESS, take precedence over the given address.
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
