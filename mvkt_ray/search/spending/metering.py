"""What an attempt at a training holds of its nodes, and for how long."""

import time
from collections.abc import Callable, Sequence

from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.records import Reservation, TrialState, Usage
from mvkt_ray.slots import Node


class Meter:
    """What one attempt at a training has held since it was started on the cluster."""

    def __init__(
        self,
        workers: WorkersConfig,
        kind_of: Callable[[str], Node | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to measure.

        Args:
            workers: What each worker reserves.
            kind_of: Says what a node is.
            clock: In seconds.
        """
        self._workers = workers
        self._kind_of = kind_of
        self._clock = clock
        self._heard_at = clock()
        self._nodes: Sequence[str] = ()
        self._used = Usage()

    def hear(self, nodes: Sequence[str]) -> Usage:
        """Count what was held until now.

        Args:
            nodes: The node of each worker, since the last time. Where workers came and went, they
                are counted as those that are there now.
        """
        self._nodes = nodes
        self._used = self._used.plus(Usage(kept=self._since_heard()))
        return self._used

    def end(self, nodes: Sequence[str], state: TrialState) -> Usage:
        """Record the end of an attempt that reported its own state."""
        self._nodes = nodes or self._nodes
        return self.lose() if state is TrialState.FAILED else self.hear(self._nodes)

    def lose(self) -> Usage:
        """Count what was held until now as lost after the last report."""
        self._used = self._used.plus(Usage(lost=self._since_heard()))
        return self._used

    def _since_heard(self) -> tuple[Reservation, ...]:
        now = self._clock()
        seconds, self._heard_at = now - self._heard_at, now
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
