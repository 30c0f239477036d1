"""The facts of trials: what a trial is, what it reports, and how it ended."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from mvkt_ray.config.objectives import Objective
from mvkt_ray.json_values import nan_if_none, without_nan
from mvkt_ray.slots import Node


class Arm(StrEnum):
    """Why a trial is in the study."""

    SEARCH = "search"
    STUDENT_ALONE = "student_alone"
    PLAIN_KD = "plain_kd"
    FINAL = "final"
    """Trained again, with several seeds, to be examined on the test split."""
    ASSISTANT = "assistant"
    """Trained before the trials of its condition, to teach them."""


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
    STOP = "stop"
    """End now and keep the checkpoint: the study's budget is spent, and a later start goes on."""


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
    """Every hyper-parameter that its student has, the fixed and defaulted ones too."""
    repetition: int = 0
    """Number of the seed within a configuration; the search itself uses 0."""
    contender: str = ""
    """Name of the contender, `chosen`, `student_alone`, ...; empty in the search."""
    kd_class_weights: Mapping[str, float] = field(default_factory=dict[str, float])
    """By class, 1 on average, where the hyper-parameter of this name is `auto`; else empty."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        leads = {"leads": list(self.condition.leads)}
        return asdict(self) | {"condition": leads, "arm": self.arm.value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Trial":
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = {**value, "arm": Arm(value["arm"])}
        fields["condition"] = Condition(leads=tuple(value["condition"]["leads"]))
        return cls(**fields)


def trial_folder_name(number: int) -> str:
    """Name the folder of a trial's files: `00012`, so that a listing is in the trials' order."""
    return f"{number:05d}"


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochMetrics:
    """Metrics of an epoch, reduced over all ranks."""

    epoch: int
    """From 1."""
    macro_auroc: float | None
    """On the validation split; None where the model was not validated after this epoch."""
    losses: Mapping[str, float] = field(default_factory=dict[str, float])
    """Means over the epoch's training steps, unweighted: total, label, kd, clt; and `val_label`
    where it was validated."""
    train_s: float = 0.0
    validate_s: float = 0.0
    n_examples: int = 0
    """Training examples that were seen in the epoch, over all ranks."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, with None in place of a loss that is NaN."""
        return without_nan(asdict(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "EpochMetrics":
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = {**value, "losses": _with_nan(value["losses"])}
        return cls(**fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """Losses, score and times of an epoch."""

    metrics: EpochMetrics
    per_class_auroc: Mapping[str, float] = field(default_factory=dict[str, float])
    """Of classes whose area is defined on the validation split; empty after unvalidated epochs."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"metrics": self.metrics.to_json(), "per_class_auroc": dict(self.per_class_auroc)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "EpochRecord":
        """Read what `to_json` wrote."""
        metrics = EpochMetrics.from_json(value["metrics"])
        return cls(metrics=metrics, per_class_auroc=dict(value["per_class_auroc"]))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialResult:
    """How a trial ended. `macro_auroc` is that of the last epoch, the value the study optimises.

    Of a trial that is not complete it is that of the last epoch that was validated. One that was
    told to stop is RUNNING: it has not ended, and goes on from its checkpoint.
    """

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
    n_multiply_accumulates: int = 0
    """Of one evaluation window."""
    latency_ms: float | None = None
    """What the student takes in float32 for the windows of a recording of 10 s, on one core of the
    node, where the study asked for it: a measurement, which another run does not repeat exactly."""
    node: str = ""
    """Host that ended the trial."""
    retriable: bool = False
    """For a failed trial: whether its error may pass, and is worth another attempt."""
    preempted: bool = False
    """Its node was taken back as announced: no failure, and the trial goes on elsewhere."""

    def objective(self, name: Objective) -> float | None:
        """Return what the trial came to in an objective; None where it was not measured."""
        match name:
            case "macro_auroc":
                return self.macro_auroc
            case "parameters":
                return float(self.n_parameters)
            case "macs":
                return float(self.n_multiply_accumulates)
            case "latency_ms":
                return self.latency_ms

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, with None in place of NaN."""
        return without_nan(asdict(self) | {"state": self.state.value})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "TrialResult":
        """Read what `to_json` wrote, in a file of a trial, in a ledger or in a message."""
        fields: dict[str, Any] = {**value, "state": TrialState(value["state"])}
        fields["per_class_auroc"] = _with_nan(value["per_class_auroc"])
        return cls(**fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """Resources that the workers of a training held on nodes of one kind."""

    node: Node | None
    """None: it is not known where the workers were."""
    cpus: float
    """Of each worker."""
    gpus: float
    """Of each worker."""
    worker_s: float
    """Seconds, summed over workers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Resources that a training has used, over all attempts or in one of them."""

    kept: tuple[Reservation, ...] = ()
    """Until the last epoch that was reported, or to the end."""
    lost: tuple[Reservation, ...] = ()
    """After it, where an attempt ended without a result; it is done again."""

    @property
    def reservations(self) -> tuple[Reservation, ...]:
        """All that was held, and has to be paid."""
        return (*self.kept, *self.lost)

    @property
    def worker_s(self) -> float:
        """Seconds that workers were held."""
        return sum(each.worker_s for each in self.reservations)

    def plus(self, other: "Usage") -> "Usage":
        """Return both together."""
        return Usage(
            kept=_merged((*self.kept, *other.kept)), lost=_merged((*self.lost, *other.lost))
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "kept": [_reservation_as_value(each) for each in self.kept],
            "lost": [_reservation_as_value(each) for each in self.lost],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Usage":
        """Read what `to_json` wrote."""
        return cls(
            kept=tuple(_read_reservation(each) for each in value["kept"]),
            lost=tuple(_read_reservation(each) for each in value["lost"]),
        )


NOTHING_USED = Usage()

_KIND = ("group", "cpus", "gpus", "accelerator_type")


def _with_nan(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: nan_if_none(value) for name, value in values.items()}


def _merged(reservations: Iterable[Reservation]) -> tuple[Reservation, ...]:
    """Add up those that are alike but for their seconds."""
    seconds: dict[Reservation, float] = {}
    for each in reservations:
        alike = replace(each, worker_s=0.0)
        seconds[alike] = seconds.get(alike, 0.0) + each.worker_s
    return tuple(replace(alike, worker_s=total) for alike, total in seconds.items())


def _reservation_as_value(reservation: Reservation) -> dict[str, Any]:
    """Write of the node what its price is found by, and nothing else."""
    node = reservation.node
    kind = None if node is None else {name: getattr(node, name) for name in _KIND}
    return {
        "node": kind,
        "cpus": reservation.cpus,
        "gpus": reservation.gpus,
        "worker_s": reservation.worker_s,
    }


def _read_reservation(value: Mapping[str, Any]) -> Reservation:
    fields = dict(value)
    fields["node"] = None if value["node"] is None else Node(**value["node"])
    return Reservation(**fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredPrecision:
    """Time of a network's training step in either precision, and the chosen precision."""

    chosen: str
    """`float32` or `bf16`."""
    float32_ms: float | None = None
    """None: the processor has no bf16, so nothing was measured."""
    bf16_ms: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "MeasuredPrecision":
        """Read what `to_json` gave."""
        return cls(**value)
