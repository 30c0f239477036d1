"""Versions of a cluster's head, checked before a node joins it."""

import json
from typing import Any

from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
from ray._private.utils import compute_version_info
from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue]

from mvkt_ray import __version__
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.own_nodes.local_nodes import VERSION_LABEL

ANSWERS_WITHIN_S = 10.0


def check_head_versions(address: str) -> None:
    """Raise unless a head has this machine's versions of Ray, Python and, if known, mvkt-ray.

    Args:
        address: `host:port` of a head that answers, see `check_head`.

    Raises:
        ClusterError: The message has the differing versions.
    """
    head = GcsClient(address=address)
    about = head.internal_kv_get(CLUSTER_METADATA_KEY, KV_NAMESPACE_CLUSTER, ANSWERS_WITHIN_S)
    if about is None:
        return
    metadata = json.loads(about)
    theirs = {"Ray": metadata["ray_version"], "Python": metadata["python_version"]}
    ray_version, python_version = compute_version_info()
    ours = {"Ray": ray_version, "Python": python_version}
    nodes: Any = head.get_all_node_info(timeout=ANSWERS_WITHIN_S)
    for node in nodes.values():
        if node.is_head_node and VERSION_LABEL in node.labels:
            theirs["mvkt-ray"], ours["mvkt-ray"] = node.labels[VERSION_LABEL], __version__
    check_same(address, theirs, ours)


def check_same(address: str, theirs: dict[str, str], ours: dict[str, str]) -> None:
    """Raise unless the versions of both sides are equal.

    Raises:
        ClusterError: The message has the differing versions.
    """
    differing = [
        f"{name} {theirs[name]}, here it is {ours[name]}"
        for name in theirs
        if theirs[name] != ours[name]
    ]
    if differing:
        raise ClusterError(
            f"The cluster at {address} has {'; '.join(differing)}. Both sides must have the same: "
            "install the cluster's versions here, or restart the cluster with the versions of this "
            "machine."
        )
