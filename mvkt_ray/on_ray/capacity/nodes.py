"""How many models of a kind the nodes of a cluster can train at the same time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import ray

from mvkt_ray.config.resources import WorkersConfig

ACCELERATOR = "accelerator_type:"
"""Ray's resource that a node has one of for the type of its GPUs."""

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeResources:
    """What one node offers."""

    node_id: str
    host: str
    cpus: float
    gpus: float
    accelerator_type: str | None = None
    """Ray's name of its GPUs."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(
        cls,
        resources: Mapping[str, float],
        *,
        node_id: str = "",
        host: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> "NodeResources":
        """Read what Ray says of a node."""
        types = [name for name in resources if name.startswith(ACCELERATOR)]
        return cls(
            node_id=node_id,
            host=host,
            cpus=resources.get("CPU", 0.0),
            gpus=resources.get("GPU", 0.0),
            accelerator_type=types[0].removeprefix(ACCELERATOR) if types else None,
            labels=labels or {},
        )

    def places(self, workers: WorkersConfig) -> int:
        """Count the workers that fit; each is on one node, and a fraction on one GPU."""
        if workers.accelerator_type not in (None, self.accelerator_type):
            return 0
        places = math.floor(self.cpus / workers.cpus_per_worker + _ROUNDING)
        share = workers.gpus_per_worker
        if share >= 1:
            places = min(places, math.floor(self.gpus / share + _ROUNDING))
        elif share > 0:
            whole, part = divmod(self.gpus, 1)
            on_gpus = int(whole) * math.floor(1 / share + _ROUNDING)
            places = min(places, on_gpus + math.floor(part / share + _ROUNDING))
        return places


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterResources:
    """What all living nodes offer."""

    nodes: tuple[NodeResources, ...]

    @classmethod
    def now(cls) -> "ClusterResources":
        """Ask Ray."""
        found = [
            NodeResources.of(
                node["Resources"],
                node_id=node["NodeID"],
                host=node["NodeManagerHostname"],
                labels=node["Labels"],
            )
            for node in ray.nodes()
            if node["Alive"]
        ]
        return cls(nodes=tuple(found))

    @property
    def cpus(self) -> float:
        """Of all nodes together."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """Of all nodes together."""
        return sum(node.gpus for node in self.nodes)

    def holds(self, workers: WorkersConfig) -> int:
        """Count the models of this kind that can train at the same time; see `models`."""
        return models(sum(node.places(workers) for node in self.nodes), workers)

    def with_labels(self, labels: Mapping[str, str]) -> "ClusterResources":
        """Return the nodes that have all of these labels."""
        nodes = [node for node in self.nodes if labels.items() <= node.labels.items()]
        return ClusterResources(nodes=tuple(nodes))

    def __str__(self) -> str:
        nodes = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        largest = max(self.nodes, key=lambda node: (node.gpus, node.cpus), default=None)
        text = f"{nodes} with {self.cpus:g} CPUs and {self.gpus:g} GPUs in all"
        types = sorted({node.accelerator_type for node in self.nodes if node.accelerator_type})
        if types:
            text += f" (of type {', '.join(types)})"
        if largest is None or len(self.nodes) == 1:
            return text
        return f"{text}, the largest with {largest.cpus:g} CPUs and {largest.gpus:g} GPUs"


def models(places: int, workers: WorkersConfig) -> int:
    """Count the models that train at the same time on so many workers' places.

    The workers of a model may be on several nodes. Elastic models take as many workers as they
    may, first come, first served; the last of them takes what is left, if that is enough. The
    process that drives the workers of a trial reserves no CPU and no GPU, so takes none from them.
    """
    full, left = divmod(places, workers.max_workers)
    return full + (workers.is_elastic and left >= workers.min_workers)
