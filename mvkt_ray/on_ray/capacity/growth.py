"""What a cluster may become: the groups of nodes that its autoscaler can add to.

Ray tells nobody what its autoscaler may start (the cluster configuration in the GCS is filled by
Anyscale only, with Ray 2.60). But the autoscaler of `ray up` reads it from a file on the head node,
whose name is on the command line of its process. On Kubernetes that process is in another
container: there the node types of the study count (`resources.cost.node_types`), where the
cluster's nodes say by Ray's label that they are of such a group.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError

from mvkt_ray.config.resources import CostConfig, WorkersConfig
from mvkt_ray.on_ray.capacity.nodes import ACCELERATOR, ClusterResources, NodeResources, models

HEAD = "node:__internal_head__"
"""A resource that the head node alone has one of."""

NODE_GROUP = "ray.io/node-group"
"""Ray's label of the group of nodes that a node belongs to."""

READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeGroup:
    """Nodes of one kind, which come and go."""

    name: str
    node: NodeResources
    max_nodes: int | None
    """None: nobody says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """All groups of a cluster's autoscaler; none where there is no autoscaler."""

    groups: tuple[NodeGroup, ...] = ()
    max_nodes: int | None = None
    """Of all groups together, the head node left out."""

    def holds(self, workers: WorkersConfig) -> int | None:
        """Count the models that the groups' nodes can train when all have come.

        None: at least one, and nobody says how many nodes may come.
        """
        fitting = [group for group in self.groups if group.node.places(workers) > 0]
        if any(group.max_nodes is None for group in fitting):
            return None
        left = self.max_nodes
        places = 0
        for group in sorted(fitting, key=lambda group: -group.node.places(workers)):
            n_nodes = group.max_nodes or 0
            if left is not None:
                n_nodes = min(n_nodes, left)
                left -= n_nodes
            places += n_nodes * group.node.places(workers)
        return models(places, workers)

    def __str__(self) -> str:
        return ", ".join(
            f"{'any number of' if group.max_nodes is None else group.max_nodes} {group.name} with "
            f"{group.node.cpus:g} CPUs and {group.node.gpus:g} GPUs"
            + (f" of type {group.node.accelerator_type}" if group.node.accelerator_type else "")
            for group in self.groups
        )


def read_growth(cost: CostConfig) -> Growth:
    """Ask the head node what its autoscaler may start; else believe the study's node types."""
    read = ray.remote(num_cpus=0, resources={HEAD: 0.001})(_autoscaler_config)
    running = read.remote()
    try:
        config = ray.get(running, timeout=READ_TIMEOUT_S)
    except GetTimeoutError:
        ray.cancel(running, force=True)
        config = None
    return growth_of_autoscaler(config) if config else growth_of_study(cost)


def growth_of_autoscaler(config: dict[str, Any]) -> Growth:
    """Read the groups of a cluster launcher's file."""
    default = config.get("max_workers")
    groups = [
        NodeGroup(
            name=name,
            node=NodeResources.of(group.get("resources") or {}, labels=group.get("labels")),
            max_nodes=group.get("max_workers", default),
        )
        for name, group in config["available_node_types"].items()
        if name != config.get("head_node_type")
    ]
    return Growth(groups=tuple(groups), max_nodes=default)


def growth_of_study(cost: CostConfig) -> Growth:
    """Take the node types of the study for groups, if the cluster has a node of one of them."""
    present = {node.labels.get(NODE_GROUP) for node in ClusterResources.now().nodes}
    if not present & set(cost.node_types):
        return Growth()
    groups = [
        NodeGroup(
            name=name,
            node=NodeResources.of(
                {"CPU": kind.cpus, "GPU": kind.gpus}
                | ({ACCELERATOR + kind.accelerator_type: 1.0} if kind.accelerator_type else {}),
                labels={NODE_GROUP: name},
            ),
            max_nodes=None,
        )
        for name, kind in cost.node_types.items()
    ]
    return Growth(groups=tuple(groups))


def _autoscaler_config() -> dict[str, Any] | None:
    """Return what the autoscaler of this cluster is configured with; runs on the head node."""
    import psutil
    import yaml

    own = f"--gcs-address={ray.get_runtime_context().gcs_address}"
    option = "--autoscaling-config="
    for process in psutil.process_iter(["cmdline"]):
        words: list[str] = process.info["cmdline"] or []
        files = [word.removeprefix(option) for word in words if word.startswith(option)]
        if own not in words or not files:
            continue
        try:
            config = yaml.safe_load(Path(files[0]).expanduser().read_text(encoding="utf-8"))
        except OSError:
            return None
        kept = ("available_node_types", "head_node_type", "max_workers")
        return {key: config[key] for key in kept if key in config}
    return None
