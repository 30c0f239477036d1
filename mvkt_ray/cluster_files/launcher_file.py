"""Files of Ray's cluster launcher, read as node groups."""

from collections.abc import Mapping
from typing import Any

from mvkt_ray.cluster_files.instances import InstanceType
from mvkt_ray.cluster_files.node_groups import NodeGroup
from mvkt_ray.errors import ConfigError
from mvkt_ray.slots import Node, accelerator_in

LOCAL_TYPE = "local.cluster.node"
"""Ray's name of the only node type of a cluster of existing machines."""


def is_launcher_file(value: Mapping[str, Any]) -> bool:
    """Whether a mapping has the keys of a file for Ray's cluster launcher."""
    return "provider" in value and "cluster_name" in value


def launcher_groups(
    value: Mapping[str, Any], machines: Mapping[str, InstanceType], origin: str
) -> list[NodeGroup]:
    """Return the groups of a launcher file that Ray has validated.

    Args:
        value: the file.
        machines: known of the cloud, by name: for prices, and for groups that name no resources.
        origin: the file, for messages.

    Raises:
        ConfigError: The size of a group is not known, or the image is missing.
    """
    if value["provider"]["type"] == "local":
        return _local_groups(value, origin)
    _check_image(value, origin)
    prices = _node_types(value)
    total = value.get("max_workers", 2)
    return [
        _group(name, row, name == value["head_node_type"], total, machines, prices, origin)
        for name, row in value["available_node_types"].items()
    ]


def _check_image(value: Mapping[str, Any], origin: str) -> None:
    docker = value.get("docker") or {}
    if not docker.get("image") and not (docker.get("head_image") and docker.get("worker_image")):
        raise ConfigError(
            f"{origin}: docker.image is missing, so that nodes would start without mvkt-ray. Give "
            "the image that was built from the project's Dockerfile."
        )


def _group(
    name: str,
    row: Mapping[str, Any],
    is_head: bool,
    total: int,
    machines: Mapping[str, InstanceType],
    prices: Mapping[str, Any],
    origin: str,
) -> NodeGroup:
    config = row.get("node_config") or {}
    arm = config.get("azure_arm_parameters") or {}
    instance = str(config.get("InstanceType") or config.get("machineType") or arm.get("vmSize", ""))
    machine = machines.get(instance.rsplit("/", 1)[-1])
    resources = row.get("resources") or {}
    if "CPU" not in resources and machine is None:
        raise ConfigError(
            f"{origin}: available_node_types.{name}.resources names no CPU, and the size of "
            f"{instance or 'its machine'} is not in the table of machines. Write resources: "
            "{CPU: ..., GPU: ...}, from which the autoscaler plans before a node has started."
        )
    own = machine.node if machine else None
    sized = own if own and "CPU" not in resources else None
    node = Node(
        group=name,
        cpus=sized.cpus if sized else resources.get("CPU", 0),
        gpus=sized.gpus if sized else resources.get("GPU", 0),
        accelerator_type=accelerator_in(resources) or (own.accelerator_type if own else None),
        memory_gib=own.memory_gib if own else None,
        labels=row.get("labels") or {},
    )
    return NodeGroup(
        node=node,
        min_nodes=1 if is_head else row.get("min_workers", 0),
        max_nodes=1 if is_head else min(total, row.get("max_workers", total)),
        is_head=is_head,
        instance=instance,
        price_per_hour=_price(prices, name, machine),
        machine_cpus=own.cpus if own else None,
    )


def _price(prices: Mapping[str, Any], name: str, machine: InstanceType | None) -> float | None:
    if name in prices:
        return prices[name].get("price_per_hour")
    return machine.price_per_hour if machine else None


def _node_types(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return (value.get("metadata") or {}).get("node_types") or {}


def _local_groups(value: Mapping[str, Any], origin: str) -> list[NodeGroup]:
    known = _node_types(value).get(LOCAL_TYPE)
    if not known or "cpus" not in known:
        raise ConfigError(
            f"{origin}: the file does not state the resources of the machines. Write them as "
            "metadata: {node_types: {{LOCAL_TYPE}: {cpus: ..., gpus: ...}}}; Ray does not "
            "read it."
        )
    ips = value["provider"].get("worker_ips") or []
    return [
        NodeGroup(
            node=Node(
                group=LOCAL_TYPE,
                cpus=known["cpus"],
                gpus=known.get("gpus", 0),
                accelerator_type=known.get("accelerator_type"),
                memory_gib=known.get("memory_gib"),
            ),
            min_nodes=1 + len(ips),
            max_nodes=1 + len(ips),
            price_per_hour=known.get("price_per_hour"),
        )
    ]
