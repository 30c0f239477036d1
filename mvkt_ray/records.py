"""The facts of trials: what a trial is, what it reports, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Arm(StrEnum):
    """Why a trial is in the study."""

    SEARCH = "search"
    STUDENT_ALONE = "student_alone"
    PLAIN_KD = "plain_kd"
    FINAL = "final"
    """Trained again, with several seeds, to be examined on the test split."""


class TrialState(StrEnum):
    """Where a trial stands. DIVERGED and FAILED carry a reason."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to the trial."""
        return self not in (TrialState.WAITING, TrialState.RUNNING)


class Decision(StrEnum):
    """The answer to a trial's report."""

    CONTINUE = "continue"
    PRUNE = "prune"


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """The lead, or lead set, that a student observes: what a study compares."""

    leads: tuple[str, ...]

    @property
    def name(self) -> str:
        """`II`, or `I+V5` for a lead set."""
        return "+".join(self.leads)

    @classmethod
    def from_name(cls, name: str) -> "Condition":
        """Read what `name` wrote."""
        return cls(leads=tuple(name.split("+")))


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One training of one student with one set of hyper-parameters."""

    number: int
    condition: Condition
    arm: Arm
    hyperparameters: Mapping[str, str | int | float | bool]
    """Every hyper-parameter by name, the fixed and defaulted ones too."""
    repetition: int = 0
    """Number of the seed within a configuration; the search itself uses 0."""
    contender: str = ""
    """What a final is compared as: `chosen`, `student_alone`, ...; empty in the search."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochMetrics:
    """What a model reports after an epoch, finished over all ranks."""

    epoch: int
    """From 1."""
    macro_auroc: float
    """On the validation split; NaN when the predictions are not finite."""
    losses: Mapping[str, float] = field(default_factory=dict[str, float])
    """Means over the epoch's training steps, unweighted: total, label, kd, clt; and `val_label`."""
    train_s: float = 0.0
    validate_s: float = 0.0
    n_examples: int = 0
    """Training examples that were seen in the epoch, over all ranks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialResult:
    """How a trial ended. `macro_auroc` is that of the last epoch, the value the study optimises."""

    number: int
    state: TrialState
    reason: str = ""
    """Why it diverged or failed, or where it was pruned; empty when complete."""
    macro_auroc: float | None = None
    per_class_auroc: Mapping[str, float] = field(default_factory=dict[str, float])
    epochs: int = 0
    """Epochs trained, over all attempts that counted."""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    n_parameters: int = 0
    node: str = ""
    """Host that ended the trial."""
    retriable: bool = False
    """For a failed trial: whether its error's class is worth another attempt."""
