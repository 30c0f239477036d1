"""A study at one moment, as the live table, `mvkt status` and plain lines show it."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mvkt_ray.records import Condition, Trial, TrialState

if TYPE_CHECKING:
    from mvkt_ray.search.ledger.trial_record import TrialRecord
    from mvkt_ray.search.spending.prices import PriceList, Spent

PROBLEMS = (TrialState.FAILED, TrialState.DIVERGED)
"""States of trials that are told with their reasons."""


class WatchedStudy(Protocol):
    """State of a study that a view reads, from memory."""

    @property
    def n_trials(self) -> int:
        """Trials asked for in all."""
        ...

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What the study compares."""
        ...

    @property
    def prices(self) -> "PriceList":
        """Of nodes."""
        ...

    @property
    def spent(self) -> "Spent":
        """What it has cost so far, counting what runs."""
        ...

    def trials(self) -> "Sequence[TrialRecord]":
        """Return the records of all trials, by number."""
        ...


@runtime_checkable
class WatchedFinals(WatchedStudy, Protocol):
    """Additional state of finals."""

    @property
    def planned(self) -> Sequence[Trial]:
        """Every training, by number."""
        ...

    @property
    def answer(self) -> str:
        """Name of the contender by which leads are ranked."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialLine:
    """A trial that has ended."""

    number: int
    condition: str
    arm: str
    state: str
    macro_auroc: float | None
    epochs: int
    wall_s: float
    reason: str
    money: float | None
    """Cost; None if the price of a node is unknown."""

    @property
    def is_problem(self) -> bool:
        """Whether it failed or diverged."""
        return self.state in PROBLEMS


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionRow:
    """The trials of one condition."""

    name: str
    n_planned: int
    """Its share of all trials, when they are dealt evenly."""
    n_dealt: int
    n_complete: int
    n_pruned: int
    n_failed: int
    """Diverged ones too."""
    best: float | None
    """Macro AUROC of its best student of the search that was trained to the end; in finals the
    mean over the seeds of what leads are ranked by."""
    student_alone: float | None
    """Macro AUROC of the baseline without a teacher; in finals the mean over its seeds."""
    running: tuple[tuple[int, int], ...]
    """Number of each trial that has begun and not ended, and the epoch it last reported."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyState:
    """All of a study that is worth a look."""

    rows: tuple[ConditionRow, ...]
    n_trials: int
    """Asked for in all."""
    n_epochs: int
    """Of a trial that is not pruned."""
    finished: tuple[TrialLine, ...]
    spent: str
    """In words; empty where neither GPUs nor money were."""
    best_name: str = "best"
    """Heading of the column of the best."""
    is_driven: bool = True
    """Whether a process runs it now; else what has begun and not ended is interrupted."""

    @property
    def n_finished(self) -> int:
        """Trials that have ended, however they did."""
        return len(self.finished)

    @property
    def n_open(self) -> int:
        """Trials that have begun and not ended."""
        return sum(len(row.running) for row in self.rows)

    @property
    def n_running(self) -> int:
        """Trials that a process trains now."""
        return self.n_open if self.is_driven else 0

    @property
    def n_interrupted(self) -> int:
        """Trials that have begun, and that nobody trains now."""
        return self.n_open - self.n_running

    @property
    def open_name(self) -> str:
        """What trials are that have begun and not ended."""
        return "interrupted" if self.n_interrupted else "running"

    def left_s(self, n_at_once: int) -> float | None:
        """Estimate what is left: the mean time of the trials so far, for each that is missing.

        None while nothing has ended yet.

        Args:
            n_at_once: Trials that run side by side. When one has just ended, fewer run than that.
        """
        times = [trial.wall_s for trial in self.finished if trial.wall_s > 0]
        if not times:
            return None
        missing = max(0, self.n_trials - self.n_finished)
        return statistics.fmean(times) * missing / max(1, n_at_once)


def state_as_value(name: str, state: StudyState) -> dict[str, Any]:
    """Return the state as plain values, for JSON."""
    return {
        "study": name,
        "n_trials": state.n_trials,
        "n_finished": state.n_finished,
        "n_running": state.n_running,
        "n_interrupted": state.n_interrupted,
        "spent": state.spent,
        "conditions": [
            asdict(row) | {"running": [], "interrupted": []} | {state.open_name: _open_trials(row)}
            for row in state.rows
        ],
        "trials": [asdict(trial) for trial in state.finished],
    }


def _open_trials(row: ConditionRow) -> list[dict[str, int]]:
    return [{"trial": number, "epoch": epoch} for number, epoch in row.running]
