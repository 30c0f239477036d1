"""Resources that a study needs of a cluster: for its ingest, its teacher, its trials."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.phrasing import counted

TRIALS_AT_ONCE = 8
"""Concurrent trials of a study without `max_concurrent_trials`: more would start before the sampler
has results to learn from."""

INGEST_TASKS_AT_ONCE = 8
"""Concurrent ingest tasks; each of them waits for storage most of the time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Models, or tasks, of one kind."""

    name: str
    """Its key below `resources` in a study file: `ingest`, `teacher`, `trial`, `students.NAME`."""
    workers: WorkersConfig
    at_once: int = 1
    """Number of concurrent models or tasks."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels that a node must have."""

    @property
    def n_workers(self) -> int:
        """Largest number of workers of all concurrent models."""
        return self.at_once * self.workers.max_workers

    @property
    def is_on_gpus(self) -> bool:
        """Whether a worker needs a GPU or a part of one."""
        return self.workers.gpus_per_worker > 0

    def nodes(self, n_slots: int) -> int:
        """Return the number of nodes, with `n_slots` each, that hold all workers."""
        return math.ceil(self.n_workers / n_slots)

    def __str__(self) -> str:
        workers = self.workers
        gpu = f"{workers.accelerator_type} " if workers.accelerator_type else ""
        gpus = f" and {counted(workers.gpus_per_worker, gpu + 'GPU')}" if self.is_on_gpus else ""
        each = " each" if workers.min_workers > 1 else ""
        some = counted(workers.min_workers, "worker")
        return f"{some} with {counted(workers.cpus, 'CPU')}{gpus}{each}"


def needs_of(study: StudyConfig) -> tuple[Need, ...]:
    """Return a study's needs for `max_concurrent_trials`, or `TRIALS_AT_ONCE`, concurrent trials.

    All may draw the same network, so each network with workers of its own is a need of this size.
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
    """Return a study's smallest needs: one ingest task, its teacher, one trial of each kind."""
    ingest = resources.ingest
    models = resources.models()
    teacher = Need(name="teacher", workers=models.pop("teacher"))
    return (
        Need(name="ingest", workers=ingest.task, labels=ingest.node_labels),
        teacher,
        *(Need(name=name, workers=workers) for name, workers in models.items()),
    )
