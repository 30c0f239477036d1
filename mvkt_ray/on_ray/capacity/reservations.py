"""Resources that Ray reserves for a worker, and for the process that runs a trial's workers."""

from typing import Any

from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.on_ray.capacity.growth import HEAD
from mvkt_ray.on_ray.capacity.nodes import ClusterResources
from mvkt_ray.slots import ACCELERATOR_RESOURCE

SAFE_LABEL = "mvkt-ray/safe"
"""Nodes with this label, set to `true`, stay until the end of a study, as the head node does."""

_A_LITTLE = 0.001
"""Share of a resource of amount 1 that selects a node; a thousand processes can hold it."""


def of_worker(workers: WorkersConfig) -> dict[str, float]:
    """Return the resources that each worker reserves, by Ray's names."""
    reserved = {"CPU": workers.cpus}
    if workers.gpus_per_worker:
        reserved["GPU"] = workers.gpus_per_worker
    if workers.accelerator_type:
        reserved[ACCELERATOR_RESOURCE + workers.accelerator_type] = _A_LITTLE
    return reserved


def of_driver() -> dict[str, Any]:
    """Return arguments of the placement group for the process that runs a trial's workers.

    The process reserves neither CPU nor GPU, so that it cannot take its workers' places; one byte
    of memory, which every node has, makes the bundle non-empty. It runs on a node with `SAFE_LABEL`
    if there is one, else on the head node: its death would end the trial, and spot nodes may be
    lost at any time. With Train's own processes it takes some 1 GB of that node's memory.
    """
    bundle = {"CPU": 0.0, "memory": 1.0}
    selector = {SAFE_LABEL: "true"}
    if any(node.has_labels(selector) for node in ClusterResources.now().nodes):
        return {"bundles": [bundle], "bundle_label_selector": [selector]}
    return {"bundles": [bundle | {HEAD: _A_LITTLE}]}
