"""Checks that node groups can hold a study's workers, before anything is started or paid for."""

from collections.abc import Sequence

from mvkt_ray.cluster_files.needs import Need, least_needs
from mvkt_ray.cluster_files.node_groups import RAYS_OWN, NodeGroup
from mvkt_ray.config.resources import ResourcesConfig
from mvkt_ray.errors import ClusterError
from mvkt_ray.slots import models_in


def check_fit(resources: ResourcesConfig, groups: Sequence[NodeGroup], origin: str) -> None:
    """Raise unless an ingest task, the teacher and any trial fit the cluster at its largest.

    Args:
        resources: Resources of the study.
        groups: Node groups of the cluster, the head's included.
        origin: The cluster's file in a message.

    Raises:
        ClusterError: The message has the requested and the possible resources.
    """
    for need in least_needs(resources):
        _check_need(need, groups, origin)


def _check_need(need: Need, groups: Sequence[NodeGroup], origin: str) -> None:
    asked = f"resources.{need.name} of the study asks for {need}"
    wanted = need.workers.accelerator_type
    types = sorted({g.node.accelerator_type for g in groups if g.node.accelerator_type})
    if wanted is not None and wanted not in types:
        have = f"its GPUs are {', '.join(types)}" if types else "it names no GPU type"
        raise ClusterError(
            f"{origin}: {asked}, but no group has a GPU of type {wanted!r}; {have}. Give a group "
            f"machines with {wanted}, or change resources.{need.name}.accelerator_type."
        )
    labelled = [group for group in groups if group.node.has_labels(need.labels)]
    if not labelled:
        raise ClusterError(
            f"{origin}: resources.{need.name}.node_labels asks for nodes with "
            f"{dict(need.labels)}, but no group has these labels; the groups are "
            f"{', '.join(group.name for group in groups)}. Label a group, or change node_labels."
        )
    rays_own = [key for key in need.labels if key.startswith(RAYS_OWN)]
    if rays_own and not any(group.min_nodes for group in labelled):
        raise ClusterError(
            f"{origin}: resources.{need.name}.node_labels asks for {', '.join(rays_own)}, a label "
            "that Ray sets only once a node runs: its autoscaler would never start the first "
            f"node of {labelled[0].name} for it. Use a label of your own in node_labels, such as "
            f"pool: {labelled[0].name}, which is written into the cluster's file, or keep a node "
            "(--set min_cpu_nodes=1; min_workers or minReplicas in the file)."
        )
    n_slots = sum(group.node.slots(need.workers, need.labels) * group.max_nodes for group in groups)
    if models_in(n_slots, need.workers) >= 1:
        return
    raise ClusterError(
        f"{origin}: {asked}, but the cluster holds {n_slots} such workers at its largest: "
        f"{'; '.join(_describe(group) for group in groups)}. Give a group larger machines or more "
        f"nodes, or lower resources.{need.name} in the study file."
    )


def _describe(group: NodeGroup) -> str:
    node = group.node
    gpu = f" {node.accelerator_type}" if node.accelerator_type else ""
    memory = "" if node.memory_gib is None else f", {node.memory_gib:g} GiB"
    return (
        f"{group.name} has up to {group.max_nodes} nodes with {node.cpus:g} CPUs and "
        f"{node.gpus:g}{gpu} GPUs{memory}"
    )
