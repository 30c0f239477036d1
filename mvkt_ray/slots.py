"""Resources of a node, and the number of workers that fit on it: its slots."""

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig

ACCELERATOR_RESOURCE = "accelerator_type:"
"""Begins the name of Ray's resource that a node has one of for the type of its GPUs."""

GROUP_LABEL = "ray.io/node-group"
"""Ray's label of a node, with the name of its group."""

GIB_PER_WORKER = 2.0
"""A process of Ray that trains with torch, with its part of the caches; measured below 2 GiB."""

GIB_FOR_RAY = 3.0
"""Ray's own processes on a node, and a small object store."""

MOST_CPUS_OF_A_TEACHER = 8
"""Where `auto` ends: the more threads share a batch of a small network, the less each has to do."""

NO_LABELS: Mapping[str, str] = MappingProxyType({})

_ROUNDING = 1e-9


def own_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """Resources of a node. Equal nodes are of one kind, and cost the same."""

    group: str = ""
    """The group of nodes that the cluster made it in; empty where there are no groups."""
    cpus: float
    """CPUs that Ray may schedule work on; 0 on a head that only drives."""
    gpus: float = 0.0
    accelerator_type: str | None = None
    """Ray's name of its GPUs; None: it has none, or their type is not known."""
    memory_gib: float | None = None
    """None: not known, and then not counted. Ray does not count it."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)
    """Beside that of its group. Nodes of one kind may differ in them."""

    def slots(self, workers: WorkersConfig, labels: Mapping[str, str] = NO_LABELS) -> int:
        """Count the workers that fit; each is on one node, and a fraction of a GPU on one GPU.

        Args:
            workers: What each worker reserves.
            labels: Those that a node of these workers must have.
        """
        if workers.accelerator_type not in (None, self.accelerator_type):
            return 0
        if not self.has_labels(labels):
            return 0
        n = _whole(self.cpus / workers.cpus)
        if workers.gpus_per_worker:
            n = min(n, gpu_slots(self.gpus, workers.gpus_per_worker))
        if self.memory_gib is not None:
            n = min(n, _whole((self.memory_gib - GIB_FOR_RAY) / GIB_PER_WORKER))
        return max(0, n)

    def has_labels(self, labels: Mapping[str, str]) -> bool:
        """Whether work that asks for these labels may run here."""
        own = {**self.labels, GROUP_LABEL: self.group} if self.group else self.labels
        return labels.items() <= own.items()

    def __str__(self) -> str:
        parts = [f"{self.cpus:g} CPUs", f"{self.gpus:g} GPUs"]
        parts += [self.accelerator_type] if self.accelerator_type else []
        return f"{self.group or 'a node'} ({', '.join(parts)})"


def gpu_slots(gpus: float, gpus_per_worker: float) -> int:
    """Count the workers that fit on GPUs alone; a fraction never spans two of them.

    Args:
        gpus: Of a node; the last may be a part of one.
        gpus_per_worker: Above 0.
    """
    if gpus_per_worker >= 1:
        return _whole(gpus / gpus_per_worker)
    whole, part = divmod(gpus, 1)
    return int(whole) * _whole(1 / gpus_per_worker) + _whole(part / gpus_per_worker)


def models_in(n_slots: int, workers: WorkersConfig) -> int:
    """Count the models that train at the same time in so many slots.

    The workers of a model may be on several nodes. Elastic models take as many workers as they
    may, first come, first served; the last of them takes what is left, if that is enough. The
    process that drives the workers of a trial reserves no CPU and no GPU, so takes no slot.
    """
    full, left = divmod(n_slots, workers.max_workers)
    return full + (workers.is_elastic and left >= workers.min_workers)


def models_on(
    nodes: Iterable[Node], workers: WorkersConfig, labels: Mapping[str, str] = NO_LABELS
) -> int:
    """Count the models that train at the same time on these nodes; see `models_in`."""
    return models_in(sum(node.slots(workers, labels) for node in nodes), workers)


def with_settled_teacher(resources: ResourcesConfig, nodes: Iterable[Node]) -> ResourcesConfig:
    """Settle what a teacher reserves whose CPUs are `auto`; it fits wherever it fitted before.

    Args:
        resources: Of a study.
        nodes: That the teacher may have for itself.
    """
    teacher = resources.teacher
    if teacher.cpus_per_worker != "auto":
        return resources
    usable = [_whole(node.cpus) for node in nodes if node.slots(teacher) > 0]
    is_alone = teacher.max_workers == 1 and not teacher.gpus_per_worker
    cpus = min(MOST_CPUS_OF_A_TEACHER, max(usable, default=1)) if is_alone else 1
    return replace(resources, teacher=replace(teacher, cpus_per_worker=float(cpus)))


def accelerator_in(resources: Mapping[str, Any]) -> str | None:
    """Return the type of a node's GPUs, from the names of its resources; None where none says."""
    names = (name for name in resources if name.startswith(ACCELERATOR_RESOURCE))
    return next((name.removeprefix(ACCELERATOR_RESOURCE) for name in names), None)


def _whole(value: float) -> int:
    """Round down, forgiving the rounding of 0.1 * 3."""
    return math.floor(value + _ROUNDING)
