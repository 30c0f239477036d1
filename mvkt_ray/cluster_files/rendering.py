"""Fill the template of a platform from what a study needs."""

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
from mvkt_ray.cluster_files.settings import Value, read_settings
from mvkt_ray.cluster_files.templates import fill, templates_folder
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import read_mapping, write_study
from mvkt_ray.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderRequest:
    """What is to be rendered."""

    platform: str
    study_file: Path
    given: Mapping[str, str]
    """Of `--set`."""
    instances: Path | None = None
    """A table of machines, instead of the one that comes with mvkt-ray."""


def render(study: StudyConfig, request: RenderRequest) -> str:
    """Write the file of a cluster that gives what a study needs.

    Raises:
        ConfigError: The platform, a key or a value is wrong, or no machine holds what is asked for.
        ClusterError: What the keys set is too small for the study.
    """
    platform = find_platform(request.platform)
    defaults = {"name": re.sub(r"[^a-z0-9-]", "-", study.name.lower()).strip("-")[:40]}
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
        "study_yaml": _study_text(study, request.study_file),
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


def _study_text(study: StudyConfig, file: Path) -> str:
    """Return the study as it was written, comments and all, or resolved where it has a base."""
    if "base" in read_mapping(file):
        return write_study(study)
    return file.read_text(encoding="utf-8")


def _command(request: RenderRequest) -> str:
    """Write the line that makes this file again."""
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
            f"{name} cannot be rendered without: --set data=... (the study reads "
            f"{study.data.source} recordings, and every node must see them)."
        )
    scheme = platform.store_scheme
    for key, uri in (("data", data), ("out", out)):
        if not uri:
            continue
        if scheme and not uri.startswith(scheme):
            raise ConfigError(
                f"--set {key}={uri!r}: nodes on {name} share an object store, not a disk: give a "
                f"URI that starts with {scheme}."
            )
        if platform.machines == "pods":
            _check_pod_path(key, uri, str(settings["pvc"]))


def _check_pod_path(key: str, uri: str, pvc: str) -> None:
    if "://" in uri or (pvc and uri.startswith("/mnt/mvkt/")):
        return
    raise ConfigError(
        f"--set {key}={uri!r}: pods see an object store (a URI such as s3://BUCKET/PATH), or a "
        "shared volume: --set pvc=CLAIM and a path under /mnt/mvkt/."
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
