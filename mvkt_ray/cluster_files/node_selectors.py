"""Node selectors for the pods of a group in a Kubernetes cluster."""

from collections.abc import Mapping

from mvkt_ray.cluster_files.node_groups import NodeGroup
from mvkt_ray.cluster_files.settings import Value
from mvkt_ray.errors import ConfigError


def node_selectors(group: NodeGroup, settings: Mapping[str, Value]) -> list[tuple[str, str]]:
    """Return the labels, key and value, of the nodes for a group's pods.

    Raises:
        ConfigError: A label is not KEY=VALUE, or no label selects the group's GPU type.
    """
    accelerator_type = group.node.accelerator_type
    found = [_pair("spot_node_selector", text) for text in _texts(settings, "spot_node_selector")]
    if not group.node.gpus:
        return found
    has_type = False
    for text in _texts(settings, "gpu_node_selector"):
        accelerator, colon, rest = text.partition(":")
        if colon and accelerator != accelerator_type:
            continue
        found.append(_pair("gpu_node_selector", rest if colon else text))
        has_type = True
    if accelerator_type and not has_type:
        raise ConfigError(
            f"The study asks for GPUs of type {accelerator_type!r}, and Kubernetes needs a label "
            f"to find nodes that have them: --set gpu_node_selector={accelerator_type}:KEY=VALUE "
            "with a label of yours, for example L4:cloud.google.com/gke-accelerator=nvidia-l4."
        )
    return found


def _texts(settings: Mapping[str, Value], key: str) -> list[str]:
    value = settings.get(key, [])
    return value if isinstance(value, list) else []


def _pair(setting: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals or not value:
        raise ConfigError(f"--set {setting}={text!r} must be a node's label, KEY=VALUE.")
    return key, value
