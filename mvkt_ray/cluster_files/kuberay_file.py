"""Manifests for KubeRay, checked as its operator does, and read as node groups.

The operator has rules beyond the schema of its resources, in
`ray-operator/controllers/ray/utils/validation.go`. A manifest that breaks them would be accepted by
the cluster, and never start, without an error.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mvkt_ray.cluster_files.node_groups import NodeGroup
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.slots import Node, accelerator_in

KINDS = ("RayJob", "RayCluster")

CLUSTER_KEYS = (
    "authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions",
    "headGroupSpec", "headServiceAnnotations", "historyServerOptions", "managedBy",
    "networkPolicy", "rayVersion", "suspend", "tlsOptions", "upgradeStrategy", "workerGroupSpecs",
)  # fmt: skip
GROUP_KEYS = (
    "groupName", "idleTimeoutSeconds", "labels", "maxReplicas", "minReplicas", "numOfHosts",
    "priority", "rayStartParams", "replicas", "resources", "scaleStrategy", "suspend", "template",
)  # fmt: skip

_SIZED_BY_RAY = ("num-cpus", "num-gpus", "memory", "resources")

_LONGEST_NAME = 47
"""Characters of a RayJob's name, to which the operator appends for the resources it creates."""
_NAME = re.compile(rf"[a-z]([a-z0-9-]{{0,{_LONGEST_NAME - 2}}}[a-z0-9])?")

_GIB = {"Ki": 2**-20, "Mi": 2**-10, "Gi": 1.0, "Ti": 2.0**10, "M": 1e6 / 2**30, "G": 1e9 / 2**30}


def ray_documents(documents: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Return KubeRay's resources among the documents of a file."""
    return [doc for doc in documents if isinstance(doc, Mapping) and doc.get("kind") in KINDS]


def kuberay_groups(document: Mapping[str, Any], origin: str) -> list[NodeGroup]:
    """Check a RayJob or RayCluster, and list its groups, the head first.

    Raises:
        ConfigError: The operator would refuse it, or pods would not start or not be counted.
    """
    if document.get("apiVersion") != "ray.io/v1":
        raise ConfigError(
            f"{origin}: apiVersion must be ray.io/v1, got {document.get('apiVersion')!r}."
        )
    name = str((document.get("metadata") or {}).get("name", ""))
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{origin}: metadata.name {name!r} must be at most {_LONGEST_NAME} lower-case letters, "
            "digits and -, starting with a letter."
        )
    spec = _mapping(document, "spec", origin)
    where = "spec"
    if document["kind"] == "RayJob":
        if not spec.get("entrypoint"):
            raise ConfigError(f"{origin}: spec.entrypoint, the job's command, is missing. Add it.")
        spec, where = _mapping(spec, "rayClusterSpec", origin), "spec.rayClusterSpec"
    _check_keys(spec, CLUSTER_KEYS, f"{origin}: {where}")
    _check_token(spec, f"{origin}: {where}")
    groups = [_group(_mapping(spec, "headGroupSpec", origin), f"{origin}: head", is_head=True)]
    for row in spec.get("workerGroupSpecs") or []:
        name = row.get("groupName")
        if not name or name in [group.name for group in groups]:
            raise ConfigError(
                f"{origin}: groupName {name!r} is missing or used twice: each group needs its own."
            )
        _check_keys(row, GROUP_KEYS, f"{origin}: group {name}")
        groups.append(_group(row, f"{origin}: group {name}", is_head=False))
    return groups


def _mapping(owner: Mapping[str, Any], key: str, origin: str) -> Mapping[str, Any]:
    value = owner.get(key)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{origin}: {key} is missing or is not a mapping of keys to values.")
    return value


def _check_keys(owner: Mapping[str, Any], known: Sequence[str], origin: str) -> None:
    for key in owner:
        if key in known:
            continue
        raise ConfigError(f"{origin}: there is no key {key!r}; {did_you_mean(key, known)}")


def _check_token(spec: Mapping[str, Any], origin: str) -> None:
    if (spec.get("authOptions") or {}).get("mode") != "token":
        raise ConfigError(
            f"{origin}.authOptions.mode must be token: without a token, every client that reaches "
            "the dashboard can run code on the cluster."
        )
    if not spec.get("rayVersion"):
        raise ConfigError(
            f"{origin}.rayVersion is missing; the operator requires it with authOptions.mode: "
            "token."
        )


def _group(row: Mapping[str, Any], origin: str, *, is_head: bool) -> NodeGroup:
    pod = _mapping(_mapping(row, "template", origin), "spec", origin)
    containers = pod.get("containers") or []
    if not containers or not containers[0].get("image"):
        raise ConfigError(
            f"{origin}: the first container, which runs Ray, is missing or has no image. Give the "
            "image that was built from the project's Dockerfile."
        )
    if pod.get("restartPolicy", "Never") != "Never":
        raise ConfigError(
            f"{origin}: restartPolicy must be Never, got {pod['restartPolicy']!r}: the autoscaler "
            "does not recognise restarted pods."
        )
    start = row.get("rayStartParams") or {}
    own = row.get("resources") or {}
    if own and any(start.get(key) for key in _SIZED_BY_RAY):
        raise ConfigError(
            f"{origin}: resources and rayStartParams both state the resources of a pod. Keep "
            "resources."
        )
    if "labels" in start:
        raise ConfigError(
            f"{origin}: rayStartParams.labels has no effect. Set labels of the group instead."
        )
    for owner in ("resources", "labels", "rayStartParams"):
        for key, value in (row.get(owner) or {}).items():
            if not isinstance(value, str):
                raise ConfigError(f'{origin}: {owner}.{key} must be a string: write "{value}".')
    return _sized(row, containers[0].get("resources") or {}, own, start, origin, is_head=is_head)


def _sized(
    row: Mapping[str, Any],
    container: Mapping[str, Any],
    own: Mapping[str, Any],
    start: Mapping[str, Any],
    origin: str,
    *,
    is_head: bool,
) -> NodeGroup:
    limits = container.get("limits") or {}
    requests = container.get("requests") or {}
    if "memory" not in limits:
        raise ConfigError(
            f"{origin}: resources.limits.memory is missing; Ray would assume the whole memory of "
            "the node, and the pod would be killed."
        )
    pod_cpus = requests.get("cpu", limits.get("cpu"))
    cpus = own.get("CPU", start.get("num-cpus", limits.get("cpu", pod_cpus)))
    if cpus is None:
        raise ConfigError(
            f"{origin}: neither resources nor the container states the number of CPUs."
        )
    pod_gpus = _quantity(limits.get("nvidia.com/gpu", 0), origin)
    gpus = _quantity(own.get("GPU", start.get("num-gpus", pod_gpus)), origin)
    _check_promise(origin, "CPUs", _quantity(cpus, origin), _quantity(pod_cpus or 0, origin))
    _check_promise(origin, "GPUs", gpus, pod_gpus)
    least, most = (1, 1) if is_head else (row.get("minReplicas", 0), row.get("maxReplicas", 0))
    if least > most:
        raise ConfigError(f"{origin}: minReplicas {least} is above maxReplicas {most}.")
    hosts = row.get("numOfHosts", 1)
    return NodeGroup(
        node=Node(
            group="head" if is_head else row["groupName"],
            cpus=_quantity(cpus, origin),
            gpus=gpus,
            accelerator_type=accelerator_in(own),
            memory_gib=_quantity(limits["memory"], origin),
            labels=row.get("labels") or {},
        ),
        min_nodes=least * hosts,
        max_nodes=most * hosts,
        is_head=is_head,
        machine_cpus=_quantity(pod_cpus or 0, origin),
    )


def _check_promise(origin: str, what: str, promised: float, given: float) -> None:
    if promised > given:
        raise ConfigError(
            f"{origin}: resources promise {promised:g} {what}, but the pod gets {given:g}. Raise "
            "the container's requests and limits, or lower resources."
        )


def _quantity(value: Any, origin: str) -> float:
    """Parse a quantity of Kubernetes: memory in GiB, any other as a number."""
    text = str(value)
    try:
        if text.endswith("m"):
            return float(text[:-1]) / 1000
        for unit, gib in _GIB.items():
            if text.endswith(unit):
                return float(text.removesuffix(unit)) * gib
        return float(text)
    except ValueError:
        raise ConfigError(f"{origin}: {text!r} is not a quantity; write 4, 500m or 16Gi.") from None
