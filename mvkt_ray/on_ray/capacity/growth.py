"""Possible growth of a cluster: the node groups that its autoscaler can extend.

Ray has no interface for the limits of its autoscaler: with Ray 2.60 only Anyscale fills the cluster
configuration in the GCS. But the autoscaler of `ray up` reads a file on the head node, whose name
is on the command line of its process. On Kubernetes that process is in another container. There the
study's node types (`resources.cost.node_types`) are used, if Ray's label of a node names one.
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
"""Ray's resource that only the head node has, in the amount 1."""

READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class NodesToCome:
    """A node group that an autoscaler may extend."""

    name: str
    """Name of the group."""
    node: Node
    max_nodes: int | None
    """Most nodes of the group; None: unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """All node groups of a cluster's autoscaler; empty without an autoscaler."""

    groups: tuple[NodesToCome, ...] = ()
    max_nodes: int | None = None
    """Most nodes of all groups together, without the head node."""

    def holds(self, workers: WorkersConfig) -> int | None:
        """Return the number of models that all possible nodes can train at the same time.

        None: at least one, with an unknown number of nodes.
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
    """Return the node groups of the head's autoscaler; without its file, the study's node types."""
    read = ray.remote(num_cpus=0, resources={HEAD: 0.001})(_autoscaler_config)
    running = read.remote()
    try:
        config = ray.get(running, timeout=READ_TIMEOUT_S)
    except GetTimeoutError:
        ray.cancel(running, force=True)
        config = None
    return growth_of_autoscaler(config) if config else growth_of_study(cost)


def growth_of_autoscaler(config: dict[str, Any]) -> Growth:
    """Return the node groups of a cluster launcher's file.

    Without the label of the group: Ray sets it on running nodes, and its autoscaler starts no nodes
    for work that selects it.
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
    """Return the study's node types as groups, if the cluster has a node of one of them."""
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
    """Return the configuration of this cluster's autoscaler, if found; runs on the head node."""
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
