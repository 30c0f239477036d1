"""Checks that a cluster's nodes match this machine: versions, code, folders, clocks."""

import contextlib
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import ray
from ray.exceptions import NodeDiedError, TaskUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.capacity.nodes import LivingNode, living_nodes

PROBE_TIMEOUT_S = 120.0
"""Limit for a node to start one process; on a new node a minute is normal."""

MOST_CLOCK_SKEW_S = 60.0
"""Leases of the ledger and signatures of object stores need clocks that agree to minutes."""

_NOT_INSTALLED = "not installed"
"""Version that a node reports for a missing package; `probe`, pickled by value, repeats it."""

NO_PACKAGES: Mapping[str, str] = MappingProxyType({})
"""No plug-ins."""


def check_nodes(
    paths: tuple[str, ...] = (),
    *,
    is_own: bool = False,
    packages: Mapping[str, str] = NO_PACKAGES,
) -> tuple[int, ...]:
    """Raise unless every node's workers have this machine's versions and code, and the folders.

    The check starts one process per node, all in parallel. Without it a wrong installation would
    fail trial by trial, or silently train with other code.

    Args:
        paths: Local folders that every node must see, and URIs that every node must reach.
        is_own: Whether the cluster is this process's own instance, whose workers must import from
            the same folder; nodes of other clusters may have the same code elsewhere.
        packages: Required versions of plug-ins' packages, by name.

    Returns:
        The niceness of each node's workers.

    Raises:
        ClusterError: The message has the nodes and the differences.
    """
    probe = _probe_function()
    remote = ray.remote(num_cpus=0)(probe)
    nodes = living_nodes()
    strategies = [NodeAffinitySchedulingStrategy(node.node_id, soft=False) for node in nodes]
    sent_at = time.time()
    names = tuple(packages)
    answers = [
        remote.options(scheduling_strategy=strategy).remote(paths, names) for strategy in strategies
    ]
    _, missing = ray.wait(answers, num_returns=len(answers), timeout=PROBE_TIMEOUT_S)
    if missing:
        raise ClusterError(
            f"{len(missing)} of {len(nodes)} nodes of the cluster have not answered within "
            f"{PROBE_TIMEOUT_S:g} s. See `ray status`; remove nodes that hang, or try again when "
            "all are up."
        )
    found: list[tuple[LivingNode, dict[str, Any]]] = []
    for node, answer in zip(nodes, answers, strict=True):
        # A node that was lost meanwhile, such as a spot node, is no error.
        with contextlib.suppress(TaskUnschedulableError, NodeDiedError):
            found.append((node, ray.get(answer)))
    answered_at = time.time()
    here = probe((), names)
    problems = [
        problem
        for node, answer in found
        for problem in (
            *_differences(f"{node.host}/{node.node_id[:8]}", answer, here["versions"]),
            *_other_code(f"{node.host}/{node.node_id[:8]}", answer, here, is_own=is_own),
            *_skew(f"{node.host}/{node.node_id[:8]}", answer["clock_s"], sent_at, answered_at),
        )
    ]
    if problems and is_own:
        raise ClusterError(
            f"Ray's workers on this machine differ from this process: {'; '.join(problems)}. They "
            "import another checkout or installation: check PYTHONPATH and the working "
            "directory, or run without Ray by --in-process."
        )
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise ClusterError(
            f"The nodes of the cluster differ from this machine: {'; '.join(problems[:5])}{more}. "
            "Install the same versions on every node, and put the study, its shards and its "
            "teacher on storage that every node sees under the same path. Synchronise clocks by "
            "NTP, for example `timedatectl set-ntp true`."
        )
    return tuple(answer["niceness"] for _, answer in found)


def _differences(node: str, answer: dict[str, Any], here: dict[str, str]) -> list[str]:
    theirs = answer["versions"]
    versions = [
        f"node {node} lacks {name}, here it is {wanted}"
        if theirs[name] == _NOT_INSTALLED
        else f"node {node} has {name} {theirs[name]}, here it is {wanted}"
        for name, wanted in here.items()
        if theirs[name] != wanted
    ]
    missing = [f"node {node} does not see {path}" for path in answer["missing"]]
    refused = [f"node {node} cannot reach {reason}" for reason in answer["refused"]]
    return [*versions, *missing, *refused]


def _other_code(
    node: str, answer: dict[str, Any], here: dict[str, Any], *, is_own: bool
) -> list[str]:
    theirs, ours = answer["code"], here["code"]
    if answer["versions"]["mvkt-ray"] != here["versions"]["mvkt-ray"]:
        # `_differences` reports the version.
        return []
    same_place = theirs["folder"] == ours["folder"] or not is_own
    if theirs["sha256"] == ours["sha256"] and same_place:
        return []
    return [
        f"a worker on node {node} imports mvkt_ray from {theirs['folder']} (its sources: "
        f"{theirs['sha256'][:12]}), this process from {ours['folder']} ({ours['sha256'][:12]})"
    ]


def _skew(node: str, clock_s: float, sent_at: float, answered_at: float) -> list[str]:
    # The node read its clock between our two readings, which may be a minute apart.
    skew = max(sent_at - clock_s, clock_s - answered_at)
    if skew <= MOST_CLOCK_SKEW_S:
        return []
    side = "behind" if clock_s < sent_at else "ahead of"
    return [f"the clock of node {node} is {skew:.0f} s {side} this machine's"]


def _probe_function() -> Any:
    # Nested, so that Ray pickles it by value: a node may lack mvkt_ray, or have another version.
    def probe(paths: tuple[str, ...], packages: tuple[str, ...]) -> dict[str, Any]:
        import hashlib
        import importlib.util
        import os
        import sys
        import time
        from importlib.metadata import PackageNotFoundError, version
        from pathlib import Path

        def installed(name: str) -> str:
            # The part behind "+" names the build, for CPUs or GPUs, which may differ by node.
            try:
                return version(name).partition("+")[0]
            except PackageNotFoundError:
                return "not installed"

        def code() -> dict[str, str]:
            """Return folder and hash of mvkt_ray's sources, without importing it."""
            spec = importlib.util.find_spec("mvkt_ray")
            if spec is None or not spec.origin:
                return {"folder": "nowhere", "sha256": "none"}
            folder, digest = Path(spec.origin).resolve().parent, hashlib.sha256()
            for path in sorted(folder.rglob("*.py")):
                digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
                digest.update(path.read_bytes())
            return {"folder": str(folder), "sha256": digest.hexdigest()}

        names = ("ray", "mvkt-ray", "torch")
        versions = {name: installed(name) for name in names + packages}
        versions["Python"] = f"{sys.version_info.major}.{sys.version_info.minor}"
        uris = [path for path in paths if "://" in path]
        missing = [path for path in paths if path not in uris and not os.path.exists(path)]
        refused: list[str] = []
        if uris and versions["mvkt-ray"] != "not installed":
            from mvkt_ray.errors import StoreError
            from mvkt_ray.storage.object_store import expect_readable

            for uri in uris:
                try:
                    expect_readable(uri)
                except StoreError as error:
                    refused.append(str(error))
        return {
            "versions": versions,
            "code": code(),
            "missing": missing,
            "refused": refused,
            "clock_s": time.time(),
            "niceness": os.nice(0),
        }

    return probe
