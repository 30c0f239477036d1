"""Node groups of a cluster, independent of the file's format."""

from dataclasses import dataclass

from mvkt_ray.slots import Node

RAYS_OWN = "ray.io/"
"""Prefix of the labels that Ray sets on nodes when they start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeGroup:
    """Nodes of one kind, their least and largest number, and the price of one."""

    node: Node
    min_nodes: int = 0
    max_nodes: int = 1
    is_head: bool = False
    instance: str = ""
    """The cloud's name of the machine."""
    price_per_hour: float | None = None
    machine_cpus: float | None = None
    """CPUs of the machine, of which Ray may use fewer."""

    @property
    def name(self) -> str:
        """Name of the group in the cluster's file."""
        return self.node.group
