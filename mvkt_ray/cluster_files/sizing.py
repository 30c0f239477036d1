"""Chooses machines and numbers of nodes for a study's needs.

Ingest and all other needs without GPUs share one group of CPU nodes. Needs with GPUs share one
group if one kind of machine can hold them all; else each need has its own group.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mvkt_ray.cluster_files.instances import InstanceType
from mvkt_ray.cluster_files.needs import Need
from mvkt_ray.cluster_files.node_groups import NodeGroup
from mvkt_ray.errors import ConfigError
from mvkt_ray.slots import GROUP_LABEL

CPU_GROUP = "cpu"
GPU_GROUP = "gpu"


def plan_groups(
    needs: Sequence[Need], offers: Sequence[InstanceType], origin: str
) -> tuple[NodeGroup, ...]:
    """Return the cheapest groups of workers that hold all needs at the same time.

    Args:
        needs: Needs of the study.
        offers: Available machines; machines with GPUs are used for needs with GPUs only.
        origin: The platform in messages.

    Raises:
        ConfigError: No machine holds a single worker of a need, or none has its GPU.
    """
    on_cpus = [need for need in needs if not need.is_on_gpus]
    groups = [_group(_name_of(on_cpus), on_cpus, [o for o in offers if not o.node.gpus], origin)]
    on_gpus = [need for need in needs if need.is_on_gpus]
    with_gpus = [offer for offer in offers if offer.node.gpus]
    if on_gpus and _fitting(on_gpus, with_gpus):
        groups.append(_group(GPU_GROUP, on_gpus, with_gpus, origin))
    else:
        groups.extend(
            _group(f"{GPU_GROUP}-{_as_label(need.name)}", [need], with_gpus, origin)
            for need in on_gpus
        )
    return tuple(groups)


def _as_label(name: str) -> str:
    """Return a name in the form of Kubernetes and clouds: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def _name_of(on_cpus: Sequence[Need]) -> str:
    """Return the name of the CPU group: `node_labels` of the study may require one."""
    wanted = [need.labels[GROUP_LABEL] for need in on_cpus if GROUP_LABEL in need.labels]
    return wanted[0] if wanted else CPU_GROUP


def _group(
    name: str, needs: Sequence[Need], offers: Sequence[InstanceType], origin: str
) -> NodeGroup:
    fitting = _fitting(needs, offers)
    if not fitting:
        raise ConfigError(_why_not(needs, offers, origin))
    labels = {key: value for need in needs for key, value in need.labels.items()}
    labels.pop(GROUP_LABEL, None)
    candidates = [_nodes_of(offer, name, needs, labels) for offer in fitting]
    return min(candidates, key=_cost)


def _fitting(needs: Sequence[Need], offers: Sequence[InstanceType]) -> list[InstanceType]:
    return [offer for offer in offers if all(offer.node.slots(need.workers) >= 1 for need in needs)]


def _nodes_of(
    offer: InstanceType, name: str, needs: Sequence[Need], labels: Mapping[str, str]
) -> NodeGroup:
    return NodeGroup(
        node=replace(offer.node, group=name, labels=labels),
        max_nodes=max(need.nodes(offer.node.slots(need.workers)) for need in needs),
        instance=offer.name,
        price_per_hour=offer.price_per_hour,
        machine_cpus=offer.node.cpus,
    )


def _cost(group: NodeGroup) -> tuple[float, float, float]:
    """Order groups by the price of all nodes, then by size; few large nodes before many small."""
    price = group.price_per_hour or 0.0
    return (round(price * group.max_nodes, 3), group.max_nodes, group.node.cpus)


def _why_not(needs: Sequence[Need], offers: Sequence[InstanceType], origin: str) -> str:
    need = next((need for need in needs if not _fitting([need], offers)), needs[0])
    wanted = need.workers.accelerator_type
    types = sorted({o.node.accelerator_type for o in offers if o.node.accelerator_type})
    if wanted is not None and wanted not in types:
        return (
            f"resources.{need.name}.accelerator_type is {wanted!r}, which no machine of {origin} "
            f"has; it has {', '.join(types) or 'no GPUs at all'}. Change accelerator_type, or "
            "give another table of machines with --instances."
        )
    nodes = [offer.node for offer in offers]
    largest = max(nodes, key=lambda node: (node.gpus, node.cpus), default=None)
    most = f"the largest has {largest.cpus:g} CPUs and {largest.gpus:g} GPUs" if largest else "none"
    return (
        f"resources.{need.name} asks for {need}, and no machine of {origin} holds one such worker "
        f"({most}). Lower cpus_per_worker or gpus_per_worker in the study file, or allow larger "
        "machines."
    )
