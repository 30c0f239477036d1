"""Inputs common to all trials of a study: data, view, teacher, assistants, precision."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from mvkt_ray.config.data_config import ALL_LABELS, FoldsConfig, LabelUse
from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.config.resources import ResourcesConfig
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.views import View
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Arm, Condition, Trial
from mvkt_ray.training.cpu_precision import computes_in_bf16


@dataclass(frozen=True, kw_only=True, slots=True)
class Assistant:
    """Locations of a condition's assistant and of its knowledge; see `AssistantConfig`."""

    teacher: str
    knowledge: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialInputs:
    """Inputs common to all trials of a study; small, and picklable."""

    shards: str
    task: Task
    folds: FoldsConfig
    min_likelihood: float
    view: View
    """The teacher's view; a student's has the same crops, and its own leads."""
    student: StudentConfig
    knowledge: str | None
    """Location of the teacher's knowledge; for `student.knowledge: cached` and `record`."""
    teacher: str | None
    """Location of the teacher; for `student.knowledge: online`."""
    assistants: Mapping[str, Assistant] = field(default_factory=dict[str, Assistant])
    """Assistants by name of the condition, for all conditions or none; they replace the teacher."""
    study_seed: int
    trials: str
    """Parent folder of the trials' folders."""
    precision: str
    """The requested precision; `cpu_precision` resolves `auto` on CPUs."""
    cpu_precision: Mapping[str, str] = field(default_factory=dict[str, str])
    """Resolved `auto` on CPUs by name of the network, measured when the study began."""
    finer_task: Task | None = None
    """A second task, whose labels students learn as well if its weight is above 0."""
    label_use: LabelUse = ALL_LABELS
    """A student that uses the teacher is also trained on unlabelled recordings; a student without
    teacher on the labelled ones only, in equally many steps."""
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    """A trial reads only the number of parts of its batches (gradient accumulation)."""
    refit: bool = False
    """Whether to train on the training and validation splits together; `knowledge` is then of both,
    and scores on the validation split are in-sample."""
    seeds_per_trial: int = 1
    """Number of trainings, with different seeds, of a trial of the search; finals have one."""
    measures_latency: bool = False
    """Whether trials measure the latency of their students; no part of a checkpoint's recipe."""
    plugins: Mapping[str, str] = field(default_factory=dict[str, str])
    """Required versions of plug-ins' packages, by package."""
    validated_epochs: frozenset[int] | None = None
    """Epochs with a validation, beside the last; None: every epoch. It changes no other number, and
    is no part of a checkpoint's or a result's recipe."""

    def n_seeds(self, trial: Trial) -> int:
        """Return the number of seeds of a trial."""
        searched = trial.arm not in (Arm.FINAL, Arm.ASSISTANT)
        return self.seeds_per_trial if searched else 1

    def computes_in_bf16(self, network: str, device: torch.device) -> bool:
        """Return whether a network of the study runs in bf16 on a device."""
        return computes_in_bf16(self.precision, device, network, self.cpu_precision)

    def assistant_of(self, condition: Condition) -> Assistant | None:
        """Return the assistant that replaces the teacher for a condition; None: the teacher.

        Raises:
            ConfigError: Only other conditions have an assistant.
        """
        if self.assistants and condition.name not in self.assistants:
            raise ConfigError(
                f"There is no assistant for {condition.name}, only for "
                f"{', '.join(self.assistants)}. Start a study whose search.leads include it."
            )
        return self.assistants.get(condition.name)

    @property
    def read(self) -> dict[str, str | None]:
        """Locations of all artifacts that trials read, by name."""
        named = {"shards": self.shards, "teacher": self.teacher, "knowledge": self.knowledge}
        for name, assistant in self.assistants.items():
            named[f"assistant of {name}"] = assistant.teacher
            named[f"knowledge of {name}"] = assistant.knowledge
        return named

    def writing_to(self, trials: str) -> "TrialInputs":
        """Return the same inputs with another folder for the trials' files."""
        return replace(self, trials=trials)
