"""Computes the cost of trainings: reservations times the prices of their nodes.

A training pays for the share of its node that it withholds from others: the larger of its shares of
CPUs and of GPUs. Without a known type and price of the node no cost is guessed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from mvkt_ray.config.resources import CostConfig, NodeTypeConfig
from mvkt_ray.records import Reservation
from mvkt_ray.slots import Node

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """An amount spent."""

    gpu_s: float = 0.0
    """GPU seconds; a fraction of a GPU counts as such."""
    money: float = 0.0
    """In the currency of the prices, for nodes with a known price."""
    unpriced_s: float = 0.0
    """Worker seconds on nodes without a known price."""

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            gpu_s=self.gpu_s + other.gpu_s,
            money=self.money + other.money,
            unpriced_s=self.unpriced_s + other.unpriced_s,
        )

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(
            gpu_s=self.gpu_s - other.gpu_s,
            money=self.money - other.money,
            unpriced_s=self.unpriced_s - other.unpriced_s,
        )


class PriceList:
    """The prices of a study's node types."""

    def __init__(self, cost: CostConfig) -> None:
        """Take the prices of a study file."""
        self.currency = cost.currency
        self._types = cost.node_types

    @property
    def is_empty(self) -> bool:
        """Whether there is no price at all."""
        return not self._types

    def type_of(self, node: Node | None) -> str | None:
        """Return the name of a node's type; None if it is unknown.

        By the name of the node's group, else by its shape, if exactly one type has it.
        """
        if node is None:
            return None
        if node.group in self._types:
            return node.group
        alike = [name for name, each in self._types.items() if _has_shape(node, each)]
        return alike[0] if len(alike) == 1 else None

    def per_worker_hour(self, node: Node | None, cpus: float, gpus: float) -> float | None:
        """Return the price of a worker per hour; None where the node has no price."""
        name = self.type_of(node)
        if name is None:
            return None
        node_type = self._types[name]
        of_gpus = gpus / node_type.gpus if node_type.gpus else 0.0
        # A worker that reserves more than the type has (a wrong price list) pays for one node.
        share = min(1.0, max(cpus / node_type.cpus, of_gpus))
        return share * node_type.price_per_hour

    def spent(self, reservations: Iterable[Reservation]) -> Spent:
        """Sum the costs of reservations."""
        gpu_s = money = unpriced_s = 0.0
        for each in reservations:
            gpu_s += each.gpus * each.worker_s
            price = self.per_worker_hour(each.node, each.cpus, each.gpus)
            if price is None:
                unpriced_s += each.worker_s
            else:
                money += price * each.worker_s / SECONDS_PER_HOUR
        return Spent(gpu_s=gpu_s, money=money, unpriced_s=unpriced_s)

    def unpriced(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Return the kinds of nodes that have no price."""
        return tuple(node for node in nodes if self.type_of(node) is None)


def _has_shape(node: Node, node_type: NodeTypeConfig) -> bool:
    return (
        node.cpus == node_type.cpus
        and node.gpus == node_type.gpus
        and node.accelerator_type == node_type.accelerator_type
    )
