"""Measures the resources that one attempt at a training holds, and for how long."""

import time
from collections.abc import Callable, Sequence

from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.records import Reservation, TrialState, Usage
from mvkt_ray.slots import Node


class Meter:
    """Counts the worker seconds of one attempt at a training since its start on the cluster."""

    def __init__(
        self,
        workers: WorkersConfig,
        kind_of: Callable[[str], Node | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to measure.

        Args:
            workers: The reservation of each worker.
            kind_of: Returns the resources of a node by its id; None: not known.
            clock: Returns the time, in seconds.
        """
        self._workers = workers
        self._kind_of = kind_of
        self._clock = clock
        self._updated_at = clock()
        self._nodes: Sequence[str] = ()
        self._used = Usage()

    def update(self, nodes: Sequence[str]) -> Usage:
        """Count the time since the last call as used, and return the usage so far.

        Args:
            nodes: The node of each worker. Where workers came or went since the last call, the
                present ones are counted for the whole time.
        """
        self._nodes = nodes
        self._used = self._used.plus(Usage(kept=self._since_update()))
        return self._used

    def end(self, nodes: Sequence[str], state: TrialState) -> Usage:
        """Record the end of an attempt that reported its own state."""
        self._nodes = nodes or self._nodes
        return self.record_lost() if state is TrialState.FAILED else self.update(self._nodes)

    def record_lost(self) -> Usage:
        """Count the time since the last call as lost, and return the usage so far."""
        self._used = self._used.plus(Usage(lost=self._since_update()))
        return self._used

    def _since_update(self) -> tuple[Reservation, ...]:
        now = self._clock()
        seconds, self._updated_at = now - self._updated_at, now
        kinds = [self._kind_of(node) for node in self._nodes]
        return tuple(
            Reservation(
                node=kind,
                cpus=self._workers.cpus,
                gpus=self._workers.gpus_per_worker,
                worker_s=seconds,
            )
            for kind in kinds or [None] * self._workers.min_workers
        )
