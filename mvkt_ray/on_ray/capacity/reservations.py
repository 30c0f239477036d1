"""Ray's reservations for a worker, and for the process that drives the workers of a model."""

from typing import Any

from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.on_ray.capacity.growth import HEAD
from mvkt_ray.on_ray.capacity.nodes import ClusterResources
from mvkt_ray.slots import ACCELERATOR_RESOURCE

SAFE_LABEL = "mvkt-ray/safe"
"""Nodes with this label, set to `true`, stay until the end of a study, as the head node does."""

_A_LITTLE = 0.001
"""Of a resource of which a node has 1: says which node, and leaves room for a thousand others."""


def of_worker(workers: WorkersConfig) -> dict[str, float]:
    """Return what each worker reserves, by Ray's names."""
    reserved = {"CPU": workers.cpus}
    if workers.gpus_per_worker:
        reserved["GPU"] = workers.gpus_per_worker
    if workers.accelerator_type:
        reserved[ACCELERATOR_RESOURCE + workers.accelerator_type] = _A_LITTLE
    return reserved


def of_driver() -> dict[str, Any]:
    """Return the arguments of the placement group of a process that drives a trial's workers.

    It reserves neither CPU nor GPU, or it could keep its own workers out. Every node has memory, so
    one byte of it is a bundle that is not empty and takes nothing. It sits on a node with
    `SAFE_LABEL` where there is one, else on the head node: its death would be the trial's, and spot
    nodes that train may go at any time. Each takes some 1 GB of that node's memory, with what Ray
    Train starts beside it.
    """
    bundle = {"CPU": 0.0, "memory": 1.0}
    selector = {SAFE_LABEL: "true"}
    if any(node.has_labels(selector) for node in ClusterResources.now().nodes):
        return {"bundles": [bundle], "bundle_label_selector": [selector]}
    return {"bundles": [bundle | {HEAD: _A_LITTLE}]}
