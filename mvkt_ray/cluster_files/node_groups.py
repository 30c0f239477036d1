"""Node groups of a cluster, whatever file describes them, and how many workers a node holds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mvkt_ray.config.resources import WorkersConfig

RAYS_OWN = "ray.io/"
"""Begins the labels that Ray gives to nodes when they start."""

GROUP_LABEL = "ray.io/node-group"
"""Ray gives every node this label, with the name of its group."""

GIB_PER_WORKER = 2.0
"""A process of Ray that trains with torch, with its part of the caches; measured below 2 GiB."""

GIB_FOR_RAY = 3.0
"""Ray's own processes on a node, and a small object store."""

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeGroup:
    """Nodes of one kind."""

    name: str
    cpus: float
    """That Ray may give to work; 0 on a head that only drives."""
    gpus: float = 0.0
    accelerator_type: str | None = None
    """Ray's name of the GPU; None: unknown, or no GPU."""
    memory_gib: float | None = None
    min_nodes: int = 0
    max_nodes: int = 1
    is_head: bool = False
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    instance: str = ""
    """The cloud's name of the machine."""
    price_per_hour: float | None = None
    machine_cpus: float | None = None
    """Of the machine, where Ray may use fewer."""

    def places(self, workers: WorkersConfig) -> int:
        """Count the workers that a node holds: by CPUs, GPUs, their type, and memory."""
        wanted = workers.accelerator_type
        if wanted is not None and wanted != self.accelerator_type:
            return 0
        places = whole(self.cpus / workers.cpus_per_worker)
        if workers.gpus_per_worker:
            places = min(places, gpu_places(self.gpus, workers.gpus_per_worker))
        if self.memory_gib is not None:
            places = min(places, whole((self.memory_gib - GIB_FOR_RAY) / GIB_PER_WORKER))
        return max(0, places)

    def has_labels(self, labels: Mapping[str, str]) -> bool:
        """Whether work that asks for these labels may run here."""
        own = {**self.labels, GROUP_LABEL: self.name}
        return all(own.get(key) == value for key, value in labels.items())


def gpu_places(gpus: float, gpus_per_worker: float) -> int:
    """Count the workers on GPUs; a fraction never spans two of them."""
    if gpus_per_worker < 1:
        return whole(gpus) * whole(1 / gpus_per_worker)
    return whole(gpus / gpus_per_worker)


def whole(value: float) -> int:
    """Round down, forgiving the rounding of 0.1 * 3."""
    return math.floor(value + _ROUNDING)
