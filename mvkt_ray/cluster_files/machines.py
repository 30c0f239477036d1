"""The node groups of a cluster: machines of a cloud, pods, or existing machines."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mvkt_ray.cluster_files.instances import InstanceType, read_instances
from mvkt_ray.cluster_files.needs import Need
from mvkt_ray.cluster_files.node_groups import NodeGroup
from mvkt_ray.cluster_files.settings import Value
from mvkt_ray.cluster_files.sizing import plan_groups
from mvkt_ray.errors import ConfigError
from mvkt_ray.slots import GIB_FOR_RAY, GIB_PER_WORKER, Node, gpu_slots

HEAD = "head"

HEAD_CPUS = 4.0
HEAD_MEMORY_GIB = 16.0
"""Memory of the driver, Ray's own processes, and the drivers of models with several workers."""


def rented_groups(
    needs: Sequence[Need], table_file: Path, settings: Mapping[str, Value], platform: str
) -> list[NodeGroup]:
    """Return groups of a cloud's machines; the head is the first group.

    Raises:
        ConfigError: A machine that `settings` name is not in the table, or none is large enough.
    """
    table = read_instances(table_file, platform)
    offers = list(table.values())
    for key, has_gpus in (("cpu_instance", False), ("gpu_instance", True)):
        if name := str(settings[key]):
            chosen = _instance(table, key, name, platform)
            if bool(chosen.node.gpus) != has_gpus:
                raise ConfigError(
                    f"--set {key}={name!r} has {chosen.node.gpus:g} GPUs; give a machine "
                    f"{'with' if has_gpus else 'without'} GPUs."
                )
            offers = [offer for offer in offers if bool(offer.node.gpus) != has_gpus] + [chosen]
    workers = plan_groups(needs, offers, platform)
    return [_head(table, str(settings["head_instance"]), platform), *_limited(workers, settings)]


def pod_groups(
    needs: Sequence[Need], settings: Mapping[str, Value], platform: str
) -> list[NodeGroup]:
    """Return groups of pods sized for the study; the head is the first group.

    Raises:
        ConfigError: `settings` make the pods smaller than one worker.
    """
    head = NodeGroup(
        node=Node(group=HEAD, cpus=0, memory_gib=HEAD_MEMORY_GIB),
        is_head=True,
        machine_cpus=HEAD_CPUS,
    )
    workers = plan_groups(needs, _pods(needs, settings), platform)
    return [head, *_limited(workers, settings)]


def own_groups(settings: Mapping[str, Value]) -> list[NodeGroup]:
    """Return groups of existing machines; the head, the first group, runs workers, too.

    Raises:
        ConfigError: There is to be no machine.
    """
    cpus, gpus, memory = (
        settings[key] for key in ("cpus_per_node", "gpus_per_node", "memory_gib_per_node")
    )
    assert isinstance(cpus, int)
    assert isinstance(gpus, int)
    node = Node(
        group="node",
        cpus=cpus,
        gpus=gpus,
        accelerator_type=str(settings["gpu"]) or None,
        memory_gib=memory if isinstance(memory, int) else None,
    )
    head = NodeGroup(node=replace(node, group=HEAD), is_head=True, machine_cpus=cpus)
    n_workers = _n_beside_the_head(settings)
    return [head, NodeGroup(node=node, max_nodes=n_workers, machine_cpus=cpus)]


def _n_beside_the_head(settings: Mapping[str, Value]) -> int:
    ips, nodes = settings.get("worker_ips"), settings.get("nodes")
    if isinstance(ips, list):
        return len(ips)
    assert isinstance(nodes, int)
    if nodes < 1:
        raise ConfigError("--set nodes=0: a cluster needs at least one node; set it to 1 or more.")
    return nodes - 1


def _limited(groups: Sequence[NodeGroup], settings: Mapping[str, Value]) -> list[NodeGroup]:
    limits = {True: settings["max_gpu_nodes"], False: settings["max_cpu_nodes"]}
    found: list[NodeGroup] = []
    for group in groups:
        limit = limits[group.node.gpus > 0]
        most = limit if isinstance(limit, int) else group.max_nodes
        kept = settings["min_cpu_nodes"]
        least = kept if isinstance(kept, int) and not group.node.gpus else 0
        if least > most and isinstance(limit, int):
            raise ConfigError(
                f"--set min_cpu_nodes={least} is above max_cpu_nodes={most}: raise max_cpu_nodes "
                "or lower min_cpu_nodes."
            )
        found.append(replace(group, min_nodes=least, max_nodes=max(least, most)))
    return found


def _instance(
    table: Mapping[str, InstanceType], key: str, name: str, platform: str
) -> InstanceType:
    if name not in table:
        raise ConfigError(
            f"--set {key}={name!r} is not in the table of machines; for {platform} it has "
            f"{', '.join(table) or 'none'}. Choose one, or give another table with --instances."
        )
    return table[name]


def _head(table: Mapping[str, InstanceType], name: str, platform: str) -> NodeGroup:
    if name:
        chosen = _instance(table, "head_instance", name, platform)
    else:
        enough = [
            offer
            for offer in table.values()
            if offer.node.cpus >= HEAD_CPUS and (offer.node.memory_gib or 0) >= HEAD_MEMORY_GIB
        ]
        if not enough:
            raise ConfigError(
                f"No machine of the table can be the head on {platform}: it needs {HEAD_CPUS:g} "
                f"CPUs and {HEAD_MEMORY_GIB:g} GiB. Add one, or name one by --set head_instance."
            )
        chosen = min(enough, key=lambda offer: (offer.price_per_hour or 0, offer.node.cpus))
    return NodeGroup(
        node=Node(group=HEAD, cpus=0, memory_gib=chosen.node.memory_gib),
        is_head=True,
        instance=chosen.name,
        price_per_hour=chosen.price_per_hour,
        machine_cpus=chosen.node.cpus,
    )


def _pods(needs: Sequence[Need], settings: Mapping[str, Value]) -> list[InstanceType]:
    """Return a pod without GPUs, and one for each required GPU type."""
    on_cpus = [need for need in needs if not need.is_on_gpus]
    least = max(math.ceil(need.workers.cpus) for need in on_cpus)
    wanted = settings["cpus_per_pod"]
    cpus = max(least, wanted if isinstance(wanted, int) else 0)
    most = max(Node(cpus=cpus).slots(need.workers) for need in on_cpus)
    offers = [InstanceType(name="", node=Node(cpus=cpus, memory_gib=_memory_gib(most)))]
    on_gpus = [need for need in needs if need.is_on_gpus]
    types = {need.workers.accelerator_type for need in on_gpus}
    # A need that names no type runs on whatever GPUs the others ask for.
    for accelerator in sorted(types - {None}, key=str) or types:
        alike = [n for n in on_gpus if n.workers.accelerator_type in (None, accelerator)]
        offers.append(_gpu_pod(alike, accelerator, settings["gpus_per_pod"]))
    return offers


def _gpu_pod(needs: Sequence[Need], accelerator: str | None, wanted: Value) -> InstanceType:
    """Return a pod with enough CPUs and memory to use all its GPUs."""
    least = max(math.ceil(need.workers.gpus_per_worker) for need in needs)
    n_gpus = wanted if isinstance(wanted, int) else least
    slots = {need.name: max(1, gpu_slots(n_gpus, need.workers.gpus_per_worker)) for need in needs}
    node = Node(
        cpus=max(math.ceil(slots[need.name] * need.workers.cpus) for need in needs),
        memory_gib=_memory_gib(max(slots.values())),
        gpus=n_gpus,
        accelerator_type=accelerator,
    )
    return InstanceType(name="", node=node)


def _memory_gib(n_workers: int) -> float:
    return GIB_FOR_RAY + GIB_PER_WORKER * n_workers
