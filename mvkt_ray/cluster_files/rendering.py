"""Renders the cluster file of a platform for a study's needs."""

import dataclasses
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mvkt_ray.cluster_files.cluster_fit import check_fit
from mvkt_ray.cluster_files.machines import own_groups, pod_groups, rented_groups
from mvkt_ray.cluster_files.needs import Need, needs_of
from mvkt_ray.cluster_files.node_groups import NodeGroup
from mvkt_ray.cluster_files.node_selectors import node_selectors
from mvkt_ray.cluster_files.platforms import Platform, find_platform
from mvkt_ray.cluster_files.settings import LONGEST_NAME, Value, read_settings
from mvkt_ray.cluster_files.templates import fill, templates_folder
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import read_mapping, read_text, write_study
from mvkt_ray.errors import ConfigError

POD_STUDY_FOLDER = "/etc/mvkt"
"""Folder of the study file on pods."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderRequest:
    """Request to render a cluster file."""

    platform: str
    study_file: Path
    given: Mapping[str, str]
    """Values of `--set`, by key."""
    instances: Path | None = None
    """A table of machines; None: mvkt-ray's own."""


def render(study: StudyConfig, request: RenderRequest) -> str:
    """Return the file of a cluster for a study's needs.

    Raises:
        ConfigError: The platform, a key or a value is wrong, or no machine holds a worker.
        ClusterError: The cluster, as set by the keys, is too small for the study.
    """
    platform = find_platform(request.platform)
    defaults = {"name": re.sub(r"[^a-z0-9-]", "-", study.name.lower()).strip("-")[:LONGEST_NAME]}
    settings = read_settings(request.platform, platform.settings, {**defaults, **request.given})
    _check_storage(study, request.platform, platform, settings)
    needs = needs_of(study)
    head, *workers = _groups(needs, request, platform, settings)
    check_fit(study.resources, [head, *workers], f"mvkt cluster render {request.platform}")
    selectors = (
        {group.name: node_selectors(group, settings) for group in workers}
        if platform.machines == "pods"
        else {}
    )
    values: dict[str, Any] = {
        **settings,
        "study": study,
        "study_file": request.study_file,
        **(_texts_for_pods(study, request.study_file) if platform.machines == "pods" else {}),
        "needs": needs,
        "head": head,
        "groups": workers,
        "group_selectors": selectors,
        "max_workers": sum(group.max_nodes for group in workers),
        "command": _command(request),
        "mvkt_version": version("mvkt-ray"),
        "ray_version": version("ray"),
    }
    return fill(platform.template, values)


def _texts_for_pods(study: StudyConfig, file: Path) -> dict[str, str]:
    """Return the study and its task file, which pods see in a folder of their own.

    The study is as it was written, comments and all, or resolved where it names another file.
    """
    if (task := study.data.task_file) is not None:
        read_mapping(task, "data.task is the path of a YAML file from where you are.")
        mounted = dataclasses.replace(study.data, task=f"{POD_STUDY_FOLDER}/task.yaml")
        study = dataclasses.replace(study, data=mounted)
    resolved = task is not None or "base" in read_mapping(file)
    return {
        "study_folder": POD_STUDY_FOLDER,
        "study_yaml": write_study(study) if resolved else read_text(file),
        "task_yaml": "" if task is None else read_text(task),
    }


def _command(request: RenderRequest) -> str:
    """Return the command that renders this file again."""
    pairs = [f"--set {shlex.quote(f'{key}={value}')}" for key, value in request.given.items()]
    table = (
        [] if request.instances is None else [f"--instances {shlex.quote(str(request.instances))}"]
    )
    study = shlex.quote(str(request.study_file))
    return " ".join(["mvkt cluster render", request.platform, f"--study {study}", *table, *pairs])


def _check_storage(
    study: StudyConfig, name: str, platform: Platform, settings: Mapping[str, Value]
) -> None:
    data, out = str(settings["data"]), str(settings["out"])
    if not data and study.data.source != "synthetic":
        raise ConfigError(
            f"{name} needs --set data=...: the location of the {study.data.source} recordings "
            "that the study reads, which every node must see."
        )
    named = {f"--set data={data!r}": data, f"--set out={out!r}": out}
    for option, value in study.data.source_options.items():
        # A relative path is below the folder of the recordings.
        if isinstance(value, str) and value.startswith("/"):
            named[f"data.source_options.{option}: {value!r}"] = value
    scheme = platform.store_scheme
    for where, uri in named.items():
        if not uri:
            continue
        if scheme and not uri.startswith(scheme):
            raise ConfigError(
                f"{where}: nodes on {name} share an object store, not a disk: give a URI that "
                f"starts with {scheme}."
            )
        if platform.machines == "pods":
            _check_pod_path(where, uri, str(settings["pvc"]))


def _check_pod_path(where: str, uri: str, pvc: str) -> None:
    if "://" in uri or (pvc and uri.startswith("/mnt/mvkt/")):
        return
    raise ConfigError(
        f"{where}: pods do not see this location. Give the URI of an object store, such as "
        "s3://BUCKET/PATH, or a shared volume: --set pvc=CLAIM and a path under /mnt/mvkt/."
    )


def _groups(
    needs: Sequence[Need],
    request: RenderRequest,
    platform: Platform,
    settings: Mapping[str, Value],
) -> list[NodeGroup]:
    if platform.machines == "instances":
        table = request.instances or templates_folder() / "instances.csv"
        return rented_groups(needs, table, settings, request.platform)
    if platform.machines == "pods":
        return pod_groups(needs, settings, request.platform)
    return own_groups(settings)
