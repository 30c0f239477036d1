"""What the nodes of a cluster are, by which their prices are found."""

from typing import Any

import ray

from mvkt_ray.records import NodeKind

# `ray up` and KubeRay name each node's group by it.
_GROUP = "ray.io/node-group"
_ACCELERATOR = "ray.io/accelerator-type"
_ACCELERATOR_RESOURCE = "accelerator_type:"


class NodeKinds:
    """The kinds of a cluster's nodes, by Ray's ids; those that have left stay known."""

    def __init__(self) -> None:
        self._known: dict[str, NodeKind] = {}

    def of(self, node_id: str) -> NodeKind | None:
        """Return what a node is; None for one that was never seen alive."""
        if node_id not in self._known:
            self._known |= {node["NodeID"]: kind_of(node) for node in ray.nodes() if node["Alive"]}
        return self._known.get(node_id)


def kinds_now() -> tuple[NodeKind, ...]:
    """Return the kinds of the nodes that are alive."""
    return tuple(kind_of(node) for node in ray.nodes() if node["Alive"])


def kind_of(node: dict[str, Any]) -> NodeKind:
    """Read the kind of a node from its row of `ray.nodes()`."""
    labels, resources = node["Labels"], node["Resources"]
    accelerators = [
        name.removeprefix(_ACCELERATOR_RESOURCE)
        for name in resources
        if name.startswith(_ACCELERATOR_RESOURCE)
    ]
    return NodeKind(
        group=labels.get(_GROUP, ""),
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        accelerator_type=labels.get(_ACCELERATOR) or next(iter(accelerators), None),
    )
