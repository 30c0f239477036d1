"""Choose machines and numbers of nodes, so that a cluster gives what a study needs.

Ingest and whatever needs no GPU shares one group of CPU nodes; what needs GPUs shares one group
where one kind of machine can hold it all, and has a group for each need where none can.
"""

from collections.abc import Mapping, Sequence

from mvkt_ray.cluster_files.instances import InstanceType
from mvkt_ray.cluster_files.needs import Need
from mvkt_ray.cluster_files.node_groups import GROUP_LABEL, NodeGroup
from mvkt_ray.errors import ConfigError

CPU_GROUP = "cpu"
GPU_GROUP = "gpu"


def plan_groups(
    needs: Sequence[Need], offers: Sequence[InstanceType], origin: str
) -> tuple[NodeGroup, ...]:
    """Choose the groups of workers: the cheapest that hold every need all at once.

    Args:
        needs: of the study.
        offers: machines that may be used; those with GPUs are for needs with GPUs only.
        origin: the platform, for messages.

    Raises:
        ConfigError: No machine holds a single worker of a need, or none has its GPU.
    """
    on_cpus = [need for need in needs if not need.is_on_gpus]
    groups = [_group(_name_of(on_cpus), on_cpus, [o for o in offers if not o.gpus], origin)]
    on_gpus = [need for need in needs if need.is_on_gpus]
    with_gpus = [offer for offer in offers if offer.gpus]
    if on_gpus and _fitting(on_gpus, with_gpus):
        groups.append(_group(GPU_GROUP, on_gpus, with_gpus, origin))
    else:
        groups.extend(
            _group(f"{GPU_GROUP}-{need.name}", [need], with_gpus, origin) for need in on_gpus
        )
    return tuple(groups)


def _name_of(on_cpus: Sequence[Need]) -> str:
    """Name the CPU group; the study may ask that ingest runs on a group of a certain name."""
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
    return [
        offer
        for offer in offers
        if all(_one_node(offer).places(need.workers) >= 1 for need in needs)
    ]


def _nodes_of(
    offer: InstanceType, name: str, needs: Sequence[Need], labels: Mapping[str, str]
) -> NodeGroup:
    one = _one_node(offer)
    n_nodes = max(need.nodes(one.places(need.workers)) for need in needs)
    return NodeGroup(
        name=name,
        cpus=offer.cpus,
        gpus=offer.gpus,
        accelerator_type=offer.accelerator_type,
        memory_gib=offer.memory_gib,
        max_nodes=n_nodes,
        labels=labels,
        instance=offer.name,
        price_per_hour=offer.price_per_hour,
        machine_cpus=offer.cpus,
    )


def _one_node(offer: InstanceType) -> NodeGroup:
    return NodeGroup(
        name=offer.name,
        cpus=offer.cpus,
        gpus=offer.gpus,
        accelerator_type=offer.accelerator_type,
        memory_gib=offer.memory_gib,
    )


def _cost(group: NodeGroup) -> tuple[float, float, float]:
    """Order groups by the price of all nodes, then by size; few large nodes before many small."""
    price = group.price_per_hour or 0.0
    return (round(price * group.max_nodes, 3), group.max_nodes, group.cpus)


def _why_not(needs: Sequence[Need], offers: Sequence[InstanceType], origin: str) -> str:
    need = next((need for need in needs if not _fitting([need], offers)), needs[0])
    wanted = need.workers.accelerator_type
    types = sorted({offer.accelerator_type for offer in offers if offer.accelerator_type})
    if wanted is not None and wanted not in types:
        return (
            f"resources.{need.name}.accelerator_type is {wanted!r}, which no machine of {origin} "
            f"has; there are {', '.join(types) or 'no GPUs at all'}. Change accelerator_type, or "
            "give another table of machines with --instances."
        )
    largest = max(offers, key=lambda offer: (offer.gpus, offer.cpus), default=None)
    most = f"the largest has {largest.cpus:g} CPUs and {largest.gpus:g} GPUs" if largest else "none"
    return (
        f"resources.{need.name} asks for {need}, and no machine of {origin} holds one such worker "
        f"({most}). Lower cpus_per_worker or gpus_per_worker in the study file, or allow larger "
        "machines."
    )
