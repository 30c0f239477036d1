"""Following the log of a job over connections that break, such as when a laptop sleeps.

Each connection gets the log from its beginning. The characters that were shown before a break are
counted and skipped, so that every line is shown once. Ray's `tail_job_logs`, which is used for one
connection, ends when that breaks, and waits for ever if a router drops it silently.
"""

import asyncio
import io
import time
from collections.abc import Callable

import aiohttp
import requests

from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.jobs.jobs_api import Job, Jobs
from mvkt_ray.phrasing import shortly

QUIET_S = 10.0
"""Time without a line after which the job's state is queried."""

MOST_QUIET_S = 60.0
"""Time without a line after which a new connection is made, in case this one was dropped silently.
"""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 20.0
"""Pauses between attempts to connect again."""

PATIENCE_S = 12 * 3600.0
"""Limit for a cluster that does not answer, by a clock that stops while this machine sleeps."""

_LOST = (requests.RequestException, aiohttp.ClientError, RuntimeError, OSError)
"""Errors of Ray's client if the cluster, or the network to it, is gone."""


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
        """Prepare to show a log; nothing is sent yet.

        Args:
            jobs: Jobs of the cluster.
            job_id: Id of the job.
            show: Called with the log, piece by piece.
            say: Called with a line on each break and reconnection.
            from_line: First line to show, from 1.
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
        """Number of the first line that was not shown completely, from 1."""
        return self._n_lines + 1

    def follow(self) -> Job:
        """Show the log until the job has ended, reconnecting when the connection breaks.

        Raises:
            ClusterError: The cluster has no such job, or did not answer for `PATIENCE_S`.
            KeyboardInterrupt: Ctrl-C; the job continues.
        """
        return asyncio.run(self._follow())

    def show_now(self) -> Job:
        """Show the present log, and return the job.

        Raises:
            ClusterError: The cluster has no such job, or does not answer.
        """
        job = self._jobs.find(self._job_id)
        self._take(0, self._jobs.log(self._job_id))
        return job

    async def _follow(self) -> Job:
        lost_at: float | None = None
        while True:
            try:
                job = self._jobs.look(self._job_id)
                if lost_at is not None:
                    self._say(f"connected to {self._jobs.url} again")
                    lost_at = None
                while not job.has_ended:
                    job = await self._tail(job)
                self._take(0, self._jobs.log(self._job_id))
                return job
            except ClusterError:
                raise
            except _LOST as error:
                if lost_at is None:
                    lost_at = time.monotonic()
                    self._say(
                        f"lost the connection to {self._jobs.url} ({shortly(error)}); the job "
                        "continues; reconnecting"
                    )
                elif time.monotonic() - lost_at > PATIENCE_S:
                    raise ClusterError(
                        f"The cluster at {self._jobs.url} has not answered for "
                        f"{PATIENCE_S / 3600:g} hours ({shortly(error)}). If the cluster still "
                        "runs, so does the job: `mvkt cluster logs` follows it again."
                    ) from None
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    async def _tail(self, job: Job) -> Job:
        """Show the log over one connection until that or the job ends; return the job's state."""
        log = self._jobs.tail(self._job_id)
        position, quiet_since = 0, time.monotonic()
        piece = asyncio.ensure_future(anext(log, None))
        try:
            while not job.has_ended and time.monotonic() - quiet_since < MOST_QUIET_S:
                done, _ = await asyncio.wait({piece}, timeout=QUIET_S)
                if not done:
                    job = self._jobs.look(self._job_id)
                    continue
                text = piece.result()
                if text is None:
                    job = self._jobs.look(self._job_id)
                    if not job.has_ended:
                        raise aiohttp.ClientError("the cluster closed it")
                    break
                self._take(position, text)
                position, quiet_since = position + len(text), time.monotonic()
                piece = asyncio.ensure_future(anext(log, None))
        finally:
            piece.cancel()
            await asyncio.gather(piece, return_exceptions=True)
            await log.aclose()
        return job

    def _take(self, position: int, text: str) -> None:
        """Show the new part of a piece at a position of the log; positions are in characters."""
        new = text[max(0, self._n_characters - position) :]
        self._pause_s = FIRST_PAUSE_S
        self._n_characters = max(self._n_characters, position + len(text))
        for line in io.StringIO(new, newline="\n"):
            if self._n_lines >= self._left_out:
                self._show(line)
            self._n_lines += line.endswith("\n")
