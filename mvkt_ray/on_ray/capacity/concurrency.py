"""Checks that a study fits a cluster, now or after scaling up, and limits concurrent trials."""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from mvkt_ray.config.resources import IngestResourcesConfig, ResourcesConfig, WorkersConfig
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.capacity.growth import Growth
from mvkt_ray.on_ray.capacity.nodes import ClusterResources
from mvkt_ray.slots import models_on

REFRESH_AFTER_S = 1.0
"""Interval in which the cluster's nodes are read."""

AHEAD = 8
"""Least number of waiting trials in a cluster whose growth is unlimited or unknown; else as many as
run. An autoscaler starts nodes for waiting trials."""


def check_plan(
    resources: ResourcesConfig, cluster: ClusterResources, growth: Growth | None = None
) -> None:
    """Raise unless the teacher, at least one trial, and a task of an ingest fit the cluster.

    Args:
        resources: Requested resources.
        cluster: Present nodes.
        growth: Nodes that the autoscaler can add.

    Raises:
        ClusterError: The message has the requested and the present resources.
    """
    growth = growth or Growth()
    for name, workers in resources.models().items():
        if cluster.holds(workers) == 0 and growth.holds(workers) == 0:
            raise ClusterError(_does_not_fit(f"resources.{name}", workers, cluster, growth))
    _check_ingest(resources.ingest, cluster, growth)


def _does_not_fit(
    name: str, workers: WorkersConfig, cluster: ClusterResources, growth: Growth
) -> str:
    n = workers.min_workers
    kind = f" of type {workers.accelerator_type}" if workers.accelerator_type else ""
    least = "at least " if workers.is_elastic else ""
    return (
        f"{name} asks for {least}{n} workers with {workers.cpus:g} CPUs and "
        f"{workers.gpus_per_worker:g} GPUs{kind} each ({n * workers.cpus:g} CPUs and "
        f"{n * workers.gpus_per_worker:g} GPUs in all), but Ray has {_there_is(cluster, growth)}. "
        f"Lower {name}.workers, cpus_per_worker or gpus_per_worker"
        f"{', or change accelerator_type,' if kind else ''} in the study file, or give the "
        "--address of a cluster that has them."
    )


def _there_is(cluster: ClusterResources, growth: Growth) -> str:
    return f"{cluster}, and its autoscaler may add {growth}" if growth.groups else str(cluster)


def _check_ingest(ingest: IngestResourcesConfig, cluster: ClusterResources, growth: Growth) -> None:
    nodes = [*cluster.nodes, *(group.node for group in growth.groups)]
    if models_on(nodes, ingest.task, ingest.node_labels) > 0:
        return
    labels = "".join(f", {key}: {value}" for key, value in ingest.node_labels.items())
    raise ClusterError(
        f"resources.ingest needs nodes with {ingest.cpus_per_task:g} CPUs{labels}, but Ray has "
        f"{_there_is(cluster, growth)}. Lower resources.ingest.cpus_per_task, change "
        "resources.ingest.node_labels, or give the --address of a cluster that has such nodes."
    )


@dataclass(kw_only=True, slots=True)
class Concurrency:
    """Limit of concurrent trials, evaluated before each start, as nodes are added and lost.

    With an autoscaler more trials may start than fit now, up to the number that fits when all nodes
    have been added: the autoscaler starts nodes for waiting trials.
    """

    max_concurrent_trials: int | None
    growth: Growth
    _nodes: ClusterResources = field(default=ClusterResources(nodes=()), init=False)
    _refreshed_at_s: float = field(default=-math.inf, init=False)

    def has_room(self, running: Sequence[WorkersConfig]) -> bool:
        """Return whether one more trial may start.

        Args:
            running: Workers of each trial that has started and not ended; trials with different
                workers take shares of the cluster.
        """
        if time.monotonic() - self._refreshed_at_s > REFRESH_AFTER_S:
            self._nodes = ClusterResources.now()
            self._refreshed_at_s = time.monotonic()
        most = self.max_concurrent_trials
        if most is not None and len(running) >= most:
            return False
        taken = (Fraction(n, self.limit(kind, self._nodes)) for kind, n in Counter(running).items())
        return sum(taken) < 1

    def limit(self, kind: WorkersConfig, nodes: ClusterResources) -> int:
        """Return the limit for trials with these workers, on present and possible nodes.

        At least 1: a started trial waits for a node when the last one is lost.
        """
        now, later = nodes.holds(kind), self.growth.holds(kind)
        if later is None:
            later = now + max(now, self.max_concurrent_trials or AHEAD)
        return max(now, later, 1)
