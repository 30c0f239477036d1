"""The log of a job as it grows, over connections that break: a laptop sleeps, a network goes away.

The cluster sends the log from its beginning to whoever connects. What was shown before a break is
counted and left out, so that every line is shown once.
"""

import asyncio
import io
import socket
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from ray.dashboard.modules.job.pydantic_models import JobDetails

from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.jobs.jobs_api import Job, Jobs
from mvkt_ray.phrasing import shortly

QUIET_S = 10.0
"""After so long without a line the cluster is asked whether it is still there."""

ANSWERS_WITHIN_S = 10.0

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 20.0
"""Between attempts to connect again."""

PATIENCE_S = 12 * 3600.0
"""For a cluster that does not answer, by a clock that stands still while this machine sleeps."""

KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Seconds, seconds and times: a connection that was forgotten on the way is noticed after the
first, and as many of the second as the third says."""


class JobLog:
    """Shows the log of a job, once."""

    def __init__(
        self,
        jobs: Jobs,
        job_id: str,
        show: Callable[[str], None],
        say: Callable[[str], None],
        *,
        from_line: int = 1,
    ) -> None:
        """Say whose log is shown how.

        Args:
            jobs: Of the cluster.
            job_id: The job.
            show: Gets the log, piece by piece.
            say: Gets what happens to the connection, a line each.
            from_line: The first line to show; the first of the log is 1.
        """
        self._jobs = jobs
        self._job_id = job_id
        self._show = show
        self._say = say
        self._left_out = from_line - 1
        self._n_lines = 0
        self._n_characters = 0
        self._pause_s = FIRST_PAUSE_S

    @property
    def next_line(self) -> int:
        """Number of the first line that was not shown completely."""
        return self._n_lines + 1

    def follow(self) -> Job:
        """Show what there is and what comes, until the job has ended, whatever the network does.

        Raises:
            ClusterError: The cluster does not know the job.
            KeyboardInterrupt: Ctrl-C; the job goes on.
        """
        return asyncio.run(self._follow())

    def show_now(self) -> Job:
        """Show what there is.

        Raises:
            ClusterError: The cluster does not know the job.
        """
        job = self._jobs.find(self._job_id)
        self._take(0, self._jobs.ask(self._path("/logs"))["logs"])
        return job

    async def _follow(self) -> Job:
        lost_at: float | None = None
        while True:
            try:
                async with self._session() as session:
                    job = await self._status(session)
                    if lost_at is not None:
                        self._say(f"connected to {self._jobs.url} again")
                        lost_at = None
                    return await self._until_it_ends(session, job)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if lost_at is None:
                    lost_at = time.monotonic()
                    self._say(
                        f"lost the connection to {self._jobs.url} ({shortly(error)}); the job "
                        "goes on, and is followed again as soon as that is possible"
                    )
                elif time.monotonic() - lost_at > PATIENCE_S:
                    raise ClusterError(
                        f"The cluster at {self._jobs.url} has not answered for "
                        f"{PATIENCE_S / 3600:g} hours ({shortly(error)}). If it still runs, so "
                        "does the job: `mvkt cluster logs` follows it again."
                    ) from None
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    async def _until_it_ends(self, session: aiohttp.ClientSession, job: Job) -> Job:
        # The dashboard answers no goodbye.
        closing = aiohttp.ClientWSTimeout(ws_close=1.0)  # pyright: ignore[reportCallIssue]
        async with session.ws_connect(self._path("/logs/tail"), timeout=closing) as stream:
            position = 0
            receiving = asyncio.ensure_future(stream.receive())
            while not job.has_ended:
                done, _ = await asyncio.wait({receiving}, timeout=QUIET_S)
                if not done:
                    job = await self._status(session)
                    continue
                message = receiving.result()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    job = await self._status(session)
                    break
                self._take(position, message.data)
                position += len(message.data)
                receiving = asyncio.ensure_future(stream.receive())
            receiving.cancel()
        if not job.has_ended:
            raise aiohttp.ClientError("the cluster closed it")
        async with session.get(self._path("/logs")) as response:
            response.raise_for_status()
            self._take(0, (await response.json())["logs"])
        return job

    async def _status(self, session: aiohttp.ClientSession) -> Job:
        async with session.get(self._path("")) as response:
            if response.status == 404:
                raise self._jobs.unknown(self._job_id)
            if response.status in (401, 403):
                raise ClusterError(
                    f"The cluster at {self._jobs.url} does not accept our token any more: it was "
                    "probably started anew, and knows nothing of the job."
                )
            response.raise_for_status()
            return Job.from_details(JobDetails(**await response.json()))

    def _path(self, rest: str) -> str:
        return f"/api/jobs/{self._job_id}{rest}"

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            self._jobs.url,
            headers=self._jobs.headers,
            connector=aiohttp.TCPConnector(socket_factory=_watched_socket),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=ANSWERS_WITHIN_S, sock_read=ANSWERS_WITHIN_S
            ),
        )

    def _take(self, position: int, text: str) -> None:
        """Show what is new of a piece that begins at a position of the log, in characters."""
        new = text[max(0, self._n_characters - position) :]
        self._pause_s = FIRST_PAUSE_S
        self._n_characters = max(self._n_characters, position + len(text))
        for line in io.StringIO(new, newline="\n"):
            if self._n_lines >= self._left_out:
                self._show(line)
            self._n_lines += line.endswith("\n")


def _watched_socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        # Not every system has all of them.
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
