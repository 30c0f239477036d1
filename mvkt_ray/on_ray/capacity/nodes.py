"""The nodes of a cluster, as reported by Ray, and their resources."""

from collections.abc import Mapping
from dataclasses import dataclass

import ray

from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.slots import GROUP_LABEL, NO_LABELS, Node, accelerator_in, models_on


@dataclass(frozen=True, kw_only=True, slots=True)
class LivingNode:
    """A living node."""

    node_id: str
    """Ray's id."""
    host: str
    offer: Node
    """Its resources and labels."""


def living_nodes() -> tuple[LivingNode, ...]:
    """Return the nodes that are alive."""
    return tuple(
        LivingNode(
            node_id=row["NodeID"],
            host=row["NodeManagerHostname"],
            offer=read_node(row["Resources"], row["Labels"]),
        )
        for row in ray.nodes()
        if row["Alive"]
    )


def read_node(resources: Mapping[str, float], labels: Mapping[str, str] = NO_LABELS) -> Node:
    """Return a node from Ray's description; memory is left out, as no worker reserves any."""
    return Node(
        group=labels.get(GROUP_LABEL, ""),
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        accelerator_type=accelerator_in(resources),
        labels=labels,
    )


class KnownNodes:
    """Resources of a cluster's nodes by Ray's ids, including nodes that have been lost."""

    def __init__(self) -> None:
        self._known: dict[str, Node] = {}

    def of(self, node_id: str) -> Node | None:
        """Return a node's resources; None for one that was never seen alive."""
        if node_id not in self._known:
            self._known |= {node.node_id: node.offer for node in living_nodes()}
        return self._known.get(node_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterResources:
    """Resources of all living nodes."""

    nodes: tuple[Node, ...]

    @classmethod
    def now(cls) -> "ClusterResources":
        """Return the present resources."""
        return cls(nodes=tuple(node.offer for node in living_nodes()))

    @property
    def cpus(self) -> float:
        """Of all nodes together."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """Of all nodes together."""
        return sum(node.gpus for node in self.nodes)

    def holds(self, workers: WorkersConfig, labels: Mapping[str, str] = NO_LABELS) -> int:
        """Return the number of models that can train at the same time.

        Args:
            workers: Workers of each model.
            labels: Labels that the nodes must have.
        """
        return models_on(self.nodes, workers, labels)

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
