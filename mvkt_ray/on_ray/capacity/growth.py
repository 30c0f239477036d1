"""Possible growth of a cluster: the node groups that its autoscaler can extend.

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
from mvkt_ray.on_ray.capacity.nodes import ClusterResources, read_node
from mvkt_ray.slots import Node, models_in

HEAD = "node:__internal_head__"
"""A resource that the head node alone has one of."""

READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class NodesToCome:
    """Nodes of one kind, of which an autoscaler may start more."""

    name: str
    """Name of their group."""
    node: Node
    max_nodes: int | None
    """None: it is not known how many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """All groups of a cluster's autoscaler; none where there is no autoscaler."""

    groups: tuple[NodesToCome, ...] = ()
    max_nodes: int | None = None
    """Most nodes of all groups together, without the head node."""

    def holds(self, workers: WorkersConfig) -> int | None:
        """Count the models that the groups' nodes can train when all have come.

        None: at least one, and nobody says how many nodes may come.
        """
        fitting = [group for group in self.groups if group.node.slots(workers) > 0]
        if any(group.max_nodes is None for group in fitting):
            return None
        left = self.max_nodes
        n_slots = 0
        for group in sorted(fitting, key=lambda group: -group.node.slots(workers)):
            n_nodes = group.max_nodes or 0
            if left is not None:
                n_nodes = min(n_nodes, left)
                left -= n_nodes
            n_slots += n_nodes * group.node.slots(workers)
        return models_in(n_slots, workers)

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
    """Read the groups of a cluster launcher's file.

    Ray labels a node with the name of its group when it runs, and its autoscaler starts none for
    that label: nodes to come are without it.
    """
    default = config.get("max_workers")
    groups = [
        NodesToCome(
            name=name,
            node=read_node(group.get("resources") or {}, group.get("labels") or {}),
            max_nodes=group.get("max_workers", default),
        )
        for name, group in config["available_node_types"].items()
        if name != config.get("head_node_type")
    ]
    return Growth(groups=tuple(groups), max_nodes=default)


def growth_of_study(cost: CostConfig) -> Growth:
    """Take the node types of the study for groups, if the cluster has a node of one of them."""
    present = {node.group for node in ClusterResources.now().nodes}
    if not present & set(cost.node_types):
        return Growth()
    groups = [
        NodesToCome(
            name=name,
            node=Node(
                group=name,
                cpus=kind.cpus,
                gpus=kind.gpus,
                accelerator_type=kind.accelerator_type,
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
