"""Node groups of a cluster, whatever file describes them."""

from dataclasses import dataclass

from mvkt_ray.slots import Node

RAYS_OWN = "ray.io/"
"""Begins the labels that Ray gives to nodes when they start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeGroup:
    """Nodes of one kind: how many there may be, and what one of them costs."""

    node: Node
    min_nodes: int = 0
    max_nodes: int = 1
    is_head: bool = False
    instance: str = ""
    """The cloud's name of the machine."""
    price_per_hour: float | None = None
    machine_cpus: float | None = None
    """Of the machine, where Ray may use fewer."""

    @property
    def name(self) -> str:
        """Of the group, in the cluster's file."""
        return self.node.group
