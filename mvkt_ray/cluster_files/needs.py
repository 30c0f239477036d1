"""Resources that a study needs of a cluster: for its ingest, its teacher, its trials."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.phrasing import counted

TRIALS_AT_ONCE = 8
"""For which a cluster is made when the study does not say `max_concurrent_trials`: a sampler learns
little from trials that all start together."""

INGEST_TASKS_AT_ONCE = 8
"""For which a cluster is made; each of them waits for storage most of its time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Models, or tasks, of one kind."""

    name: str
    """Its key below `resources` in a study file: `ingest`, `teacher`, `trial`, `students.NAME`."""
    workers: WorkersConfig
    at_once: int = 1
    """How many of them the cluster is made for."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels that a node must have."""

    @property
    def n_workers(self) -> int:
        """Of all models together, each with the most workers that it may have."""
        return self.at_once * self.workers.max_workers

    @property
    def is_on_gpus(self) -> bool:
        """Whether a worker needs a GPU or a part of one."""
        return self.workers.gpus_per_worker > 0

    def nodes(self, n_slots: int) -> int:
        """Count the nodes that hold all workers, when each has `n_slots` for them."""
        return math.ceil(self.n_workers / n_slots)

    def __str__(self) -> str:
        workers = self.workers
        gpu = f"{workers.accelerator_type} " if workers.accelerator_type else ""
        gpus = f" and {counted(workers.gpus_per_worker, gpu + 'GPU')}" if self.is_on_gpus else ""
        each = " each" if workers.min_workers > 1 else ""
        some = counted(workers.min_workers, "worker")
        return f"{some} with {counted(workers.cpus, 'CPU')}{gpus}{each}"


def needs_of(study: StudyConfig) -> tuple[Need, ...]:
    """List what a study needs, for as many trials at once as it allows or as make sense.

    They may all be of one network: each that has workers of its own is a need for as many.
    """
    resources = study.resources
    at_once = resources.max_concurrent_trials or TRIALS_AT_ONCE
    if study.search.n_trials and not resources.max_concurrent_trials:
        at_once = min(at_once, study.search.n_trials)
    ingest, teacher, *trials = least_needs(resources)
    return (
        replace(ingest, at_once=INGEST_TASKS_AT_ONCE),
        teacher,
        *(replace(trial, at_once=at_once) for trial in trials),
    )


def least_needs(resources: ResourcesConfig) -> tuple[Need, ...]:
    """List what a study needs at the least: one task, its teacher, one trial of each kind."""
    ingest = resources.ingest
    models = resources.models()
    teacher = Need(name="teacher", workers=models.pop("teacher"))
    return (
        Need(name="ingest", workers=ingest.task, labels=ingest.node_labels),
        teacher,
        *(Need(name=name, workers=workers) for name, workers in models.items()),
    )
