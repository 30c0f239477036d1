"""Reads any kind of cluster file as node groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvkt_ray.cluster_files.instances import read_instances
from mvkt_ray.cluster_files.kuberay_file import kuberay_groups, ray_documents
from mvkt_ray.cluster_files.launcher_file import is_launcher_file, launcher_groups
from mvkt_ray.cluster_files.node_groups import NodeGroup
from mvkt_ray.cluster_files.sbatch_file import is_batch_script, sbatch_groups
from mvkt_ray.cluster_files.secrets import refuse_secrets
from mvkt_ray.cluster_files.templates import templates_folder
from mvkt_ray.config.study_file import read_documents, read_text
from mvkt_ray.errors import ConfigError
from mvkt_ray.file_guards import reading

ValidateLauncher = Callable[[Mapping[str, Any], str], None]
"""(content, name of the file): raises ConfigError if Ray's launcher would refuse the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterFile:
    """The cluster that a file describes."""

    kind: str
    """Kind of the file, in words."""
    groups: Sequence[NodeGroup]


def read_cluster_file(path: Path, validate_launcher: ValidateLauncher) -> ClusterFile:
    """Return a cluster file's kind and groups, after all checks that need no platform.

    Raises:
        ConfigError: The file cannot be read, is of an unknown kind, is wrong, or has a secret.
    """
    origin = str(path)
    with reading(origin, "Give a file that mvkt cluster render wrote, or one like it."):
        return _read(path, origin, validate_launcher)


def _read(path: Path, origin: str, validate_launcher: ValidateLauncher) -> ClusterFile:
    text = read_text(path)
    refuse_secrets(text, origin)
    if is_batch_script(text):
        return ClusterFile(kind="Slurm batch script", groups=sbatch_groups(text, origin))
    documents = read_documents(text, origin)
    if resources := ray_documents(documents):
        if len(resources) > 1:
            raise ConfigError(
                f"{origin} holds {len(resources)} Ray clusters, but a file must hold one. Split it."
            )
        kind = f"KubeRay {resources[0]['kind']}"
        return ClusterFile(kind=kind, groups=kuberay_groups(resources[0], origin))
    if len(documents) == 1 and isinstance(documents[0], Mapping) and is_launcher_file(documents[0]):
        value = documents[0]
        validate_launcher(value, origin)
        cloud = value["provider"]["type"]
        machines = read_instances(templates_folder() / "instances.csv", cloud)
        return ClusterFile(
            kind=f"Ray cluster launcher, {cloud}", groups=launcher_groups(value, machines, origin)
        )
    raise ConfigError(
        f"{origin} is not a cluster file: neither a file of Ray's cluster launcher (cluster_name, "
        "provider), nor a manifest of KubeRay (kind: RayJob or RayCluster), nor a batch script "
        "of Slurm (#SBATCH). Write one with `mvkt cluster render`."
    )
