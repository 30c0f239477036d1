"""Inputs of a teacher's training, as a picklable value for the process that trains it."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mvkt_ray.config.data_config import ALL_LABELS, FoldsConfig, LabelUse
from mvkt_ray.config.recipes import TeacherConfig
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.views import View
from mvkt_ray.models.network_table import NETWORKS
from mvkt_ray.plugins.entry_points import find_plugin
from mvkt_ray.storage.manifest import command_line


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherJob:
    """A teacher to train: data, view and configuration."""

    shards: str
    task: Task
    folds: FoldsConfig
    min_likelihood: float
    view: View
    """With the teacher's leads."""
    config: TeacherConfig
    precision: str
    gradient_accumulation: int = 1
    label_use: LabelUse = ALL_LABELS
    """The teacher is trained on labelled recordings only."""
    validated_epochs: frozenset[int] | None = None
    """Epochs with a validation, beside the last; None: every epoch."""
    command: str = field(default_factory=command_line)
    """Command line of the driver, for the manifest; a worker's would be Ray's."""


def teacher_config(job: TeacherJob) -> dict[str, Any]:
    """Return all values beside the shards that determine the teacher's numbers, as plain values."""
    plugin = find_plugin("network", job.config.network, NETWORKS)
    origin = {} if plugin is None else {"plugin": plugin.origin}
    # The assistant's settings do not affect the teacher.
    return {
        **origin,
        "teacher": asdict(replace(job.config, assistant=None)),
        "task": job.task.to_json(),
        "folds": asdict(job.folds),
        "min_likelihood": job.min_likelihood,
        "labelled": asdict(job.label_use)["labelled"],
        "view": job.view.to_json(),
        "precision": job.precision,
    }
