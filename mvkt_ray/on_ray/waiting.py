"""Waiting for a cluster: no wait is for ever, and one that lasts says what it is for.

A cluster whose autoscaler gets no node, or whose nodes are taken, keeps work pending and says
nothing. Whoever waits looks here now and then; what moves starts the wait anew.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import ray

from mvkt_ray.errors import ClusterError
from mvkt_ray.phrasing import TERMINAL

LOG = logging.getLogger(__name__)
"""Its warnings are for whoever sits before the command; see `display`."""

NODES_COME_WITHIN_S = 3600.0
"""When nothing runs: clouds that have such machines at all give one within minutes."""

RESULTS_COME_WITHIN_S = 24 * 3600.0
"""For what runs: the longest epoch, or piece of an ingest, that one may wait for."""

ANSWERS_COME_WITHIN_S = 3600.0
"""From a process that has nothing else to do, or from a driver, which may wait for its ledger."""

LOOKS_EVERY_S = 10.0
"""While nothing comes: whether it has lasted."""

SAYS_AFTER_S = 120.0
"""Then after twice as long, and so on: a few lines of a night."""


class Waiting:
    """One wait, from the last that moved."""

    def __init__(
        self,
        what: Callable[[], str],
        limit_s: float,
        *,
        says_after_s: float = SAYS_AFTER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to wait.

        Args:
            what: Says what for, in words that follow "waiting for".
            limit_s: How long nothing may move.
            says_after_s: How long it waits in silence.
            clock: Seconds.
        """
        self._what, self._limit_s, self._says_after_s = what, limit_s, says_after_s
        self._clock = clock
        self.moved()

    def moved(self) -> None:
        """Begin anew: something has come."""
        self._since, self._says_at = self._clock(), self._says_after_s

    def look(self) -> None:
        """Say what is waited for, when it lasts.

        Raises:
            ClusterError: Nothing has moved for too long.
        """
        waited = self._clock() - self._since
        if waited >= self._limit_s:
            raise ClusterError(
                f"The cluster has made no progress for {TERMINAL.rounded_duration(waited)}: "
                f"waiting for {self._what()}. Check its nodes with `mvkt cluster status` or `ray "
                "status`; finished work is kept, and the same command with --resume continues."
            )
        if waited >= self._says_at:
            self._says_at = 2 * waited
            LOG.warning(
                "waiting for %s since %s; giving up after %s",
                self._what(),
                TERMINAL.rounded_duration(waited),
                TERMINAL.rounded_duration(self._limit_s),
            )


def awaited(answer: Any, what: str, limit_s: float = ANSWERS_COME_WITHIN_S) -> Any:
    """Return what Ray answers, once it does.

    Args:
        answer: Ray's reference to it.
        what: Follows "waiting for".
        limit_s: How long it may take.

    Raises:
        ClusterError: It has not come within the limit.
    """
    wait = Waiting(lambda: what, limit_s)
    while not ray.wait([answer], timeout=LOOKS_EVERY_S)[0]:
        wait.look()
    return ray.get(answer)
