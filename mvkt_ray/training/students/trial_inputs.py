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
    """Where the assistant of a condition and its knowledge are; see `AssistantConfig`."""

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
    """The teacher's; a student sees the same crops through its own leads."""
    student: StudentConfig
    knowledge: str | None
    """Where the teacher's knowledge is; needed by `student.knowledge: cached` and `record`."""
    teacher: str | None
    """Where the teacher is; needed by `student.knowledge: online`."""
    assistants: Mapping[str, Assistant] = field(default_factory=dict[str, Assistant])
    """By name of the condition, for all conditions or none: who teaches its students in the
    teacher's place."""
    study_seed: int
    trials: str
    """The folder that holds the trials' own."""
    precision: str
    """As asked for; what `auto` is on CPUs is in `cpu_precision`."""
    cpu_precision: Mapping[str, str] = field(default_factory=dict[str, str])
    """By name of the network: what `auto` was found to be when the study began."""
    finer_task: Task | None = None
    """A second task, whose labels students learn beside the first's where they weigh them."""
    label_use: LabelUse = ALL_LABELS
    """A student that uses the teacher is trained on recordings without a label, too; one that does
    not, on the others alone, in as many steps."""
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    """Of which a trial reads the number of parts that its batches are computed in."""
    refit: bool = False
    """Train on the training and validation splits together; `knowledge` is then of both, and what
    a student scores on the validation split is on recordings that it has seen."""
    seeds_per_trial: int = 1
    """From which trials of the search are trained, one after the other; finals are of one each."""
    measures_latency: bool = False
    """Whether trials are to say how long their students take; likewise no part of it."""
    plugins: Mapping[str, str] = field(default_factory=dict[str, str])
    """Packages of plug-ins that the study names, with versions: whoever trains must have them."""
    validated_epochs: frozenset[int] | None = None
    """After which a student is validated, beside its last; None: after each. It changes no other
    number, and is no part of what a checkpoint or a result is known by."""

    def n_seeds(self, trial: Trial) -> int:
        """Return from how many seeds a trial is trained."""
        searched = trial.arm not in (Arm.FINAL, Arm.ASSISTANT)
        return self.seeds_per_trial if searched else 1

    def computes_in_bf16(self, network: str, device: torch.device) -> bool:
        """Return whether a network of the study runs in bf16 on a device."""
        return computes_in_bf16(self.precision, device, network, self.cpu_precision)

    def assistant_of(self, condition: Condition) -> Assistant | None:
        """Return who teaches a condition's students in the teacher's place, if anybody does.

        Raises:
            ConfigError: The other conditions have an assistant.
        """
        if self.assistants and condition.name not in self.assistants:
            raise ConfigError(
                f"There is no assistant for {condition.name}, only for "
                f"{', '.join(self.assistants)}. Start a study whose search.leads include it."
            )
        return self.assistants.get(condition.name)

    @property
    def read(self) -> dict[str, str | None]:
        """Every artifact that trials read, by what it is."""
        named = {"shards": self.shards, "teacher": self.teacher, "knowledge": self.knowledge}
        for name, assistant in self.assistants.items():
            named[f"assistant of {name}"] = assistant.teacher
            named[f"knowledge of {name}"] = assistant.knowledge
        return named

    def writing_to(self, trials: str) -> "TrialInputs":
        """Return the same inputs with another folder for the trials' files."""
        return replace(self, trials=trials)
