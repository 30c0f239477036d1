"""Frozen dataclasses for the resources that a study reserves, and their prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mvkt_ray.config.checks import (
    Section,
    require,
    require_above_zero,
    require_not_negative,
)
from mvkt_ray.config.recipes import Hyperparameters


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkersConfig(Section):
    """The number of training processes of a model, and the resources that each reserves."""

    workers: int | tuple[int, int] = 1
    """A number, or [least, most] for elastic training: as many workers as the cluster has room
    for, changing as nodes come and go."""
    cpus_per_worker: float | Literal["auto"] = "auto"
    """`auto` is 1; for a teacher with one worker and no GPU, which nothing runs beside, all CPUs
    of the largest node, up to a limit."""
    gpus_per_worker: float = 0.0
    """A fraction shares a GPU between trials; more than one worker needs whole ones."""
    accelerator_type: str | None = None
    """Ray's name of the required GPU type, for example `A10G` or `H100`."""
    placement: Literal["pack", "spread"] = "pack"
    """Workers of one model on as few nodes as possible, or on as many."""
    gradient_accumulation: int = 1
    """Number of parts in which a worker computes its batch, one after the other, to save memory.
    The optimiser step is that of the whole batch, except for batch normalisation, which normalises
    each part by itself, and CLT, which draws negatives and updates banks part by part."""

    def __post_init__(self) -> None:
        least, most = self.min_workers, self.max_workers
        require(
            1 <= least <= most,
            f"workers must be a number above 0, or [least, most] with 1 <= least <= most, "
            f"got {self.workers!r}",
        )
        if self.cpus_per_worker != "auto":
            require_above_zero(self, "cpus_per_worker")
        require_above_zero(self, "gradient_accumulation")
        require_not_negative(self, "gpus_per_worker")
        require(
            self.gpus_per_worker <= 1 or float(self.gpus_per_worker).is_integer(),
            "gpus_per_worker must be a whole number or a fraction below 1, "
            f"got {self.gpus_per_worker!r}",
        )
        require(
            most == 1 or float(self.gpus_per_worker).is_integer(),
            "gpus_per_worker must be a whole number where there are several workers: NCCL takes "
            f"one process per GPU, got {self.gpus_per_worker!r} with workers: {self.workers!r}",
        )
        require(
            self.accelerator_type is None or self.gpus_per_worker > 0,
            f"accelerator_type {self.accelerator_type!r} needs gpus_per_worker above 0",
        )

    @property
    def min_workers(self) -> int:
        """The smallest number of workers of a model."""
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def max_workers(self) -> int:
        """The largest number of workers of a model."""
        return self.workers if isinstance(self.workers, int) else self.workers[1]

    @property
    def cpus(self) -> float:
        """CPUs that each worker reserves; for `auto` the minimum, 1."""
        return 1.0 if self.cpus_per_worker == "auto" else self.cpus_per_worker

    @property
    def asked(self) -> "WorkersConfig":
        """The reservation of a process that only runs inference: at most one CPU and one GPU."""
        return WorkersConfig(
            cpus_per_worker=min(1.0, self.cpus),
            gpus_per_worker=min(1.0, self.gpus_per_worker),
            accelerator_type=self.accelerator_type,
        )

    @property
    def is_elastic(self) -> bool:
        """Whether a model may gain and lose workers while it trains."""
        return self.min_workers != self.max_workers


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestResourcesConfig(Section):
    """The reservation of each ingest task; placed off GPU nodes where other nodes have room."""

    cpus_per_task: float = 1.0
    node_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels that a node must have, for example `pool: cpu`. Not Ray's own, such as
    `ray.io/node-group`: an autoscaler knows these only of running nodes, and would start none."""

    def __post_init__(self) -> None:
        require_above_zero(self, "cpus_per_task")

    @property
    def task(self) -> WorkersConfig:
        """The same reservation, as that of a model with one worker."""
        return WorkersConfig(cpus_per_worker=self.cpus_per_task)


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeTypeConfig(Section):
    """A type of node in the cluster: its resources, and its price per hour."""

    price_per_hour: float
    cpus: float
    gpus: float = 0.0
    accelerator_type: str | None = None

    def __post_init__(self) -> None:
        require_not_negative(self, "price_per_hour", "gpus")
        require_above_zero(self, "cpus")


@dataclass(frozen=True, kw_only=True, slots=True)
class CostConfig(Section):
    """Prices of nodes; without prices no cost is reported."""

    currency: str = "USD"
    node_types: Mapping[str, NodeTypeConfig] = field(default_factory=dict[str, NodeTypeConfig])
    """Node types by the cluster's names of its node groups."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourcesConfig(Section):
    """Resources that the teacher and each trial reserve on the machine or the cluster."""

    trial: WorkersConfig = field(default_factory=WorkersConfig)
    students: Mapping[str, WorkersConfig] = field(default_factory=dict[str, WorkersConfig])
    """Reservations of trials by network name, of any width, in place of `trial`."""
    teacher: WorkersConfig = field(default_factory=WorkersConfig)
    ingest: IngestResourcesConfig = field(default_factory=IngestResourcesConfig)
    max_concurrent_trials: int | None = None
    """None: as many as fit on the cluster, changing as nodes come and go."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """`auto`: bf16 on GPUs that support it, and on CPUs for the networks that it speeds up, which
    is measured when the study begins and recorded in it. Losses are always float32."""
    cost: CostConfig = field(default_factory=CostConfig)

    def __post_init__(self) -> None:
        if self.max_concurrent_trials is not None:
            require_above_zero(self, "max_concurrent_trials")

    def of_trial(self, hyperparameters: Mapping[str, Any]) -> WorkersConfig:
        """Return the reservation of a trial: that of its network if `students` has one."""
        student = hyperparameters.get("student", Hyperparameters().student)
        return self.students.get(student, self.trial)

    def models(self) -> dict[str, WorkersConfig]:
        """Return all reservations for models, by their key in a study file."""
        students = {f"students.{name}": asked for name, asked in self.students.items()}
        return {"trial": self.trial, "teacher": self.teacher} | students
