"""The state of a study at one moment, for the live table, `mvkt status` and plain lines."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mvkt_ray.records import Condition, Trial, TrialState

if TYPE_CHECKING:
    from mvkt_ray.search.ledger.trial_record import TrialRecord
    from mvkt_ray.search.spending.prices import PriceList, Spent

PROBLEMS = (TrialState.FAILED, TrialState.DIVERGED)
"""States of trials whose reasons are shown."""


class WatchedStudy(Protocol):
    """State of a study in memory that a view reads."""

    @property
    def n_trials(self) -> int:
        """Number of trials requested."""
        ...

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions that the study compares."""
        ...

    @property
    def prices(self) -> "PriceList":
        """Prices of nodes."""
        ...

    @property
    def spent(self) -> "Spent":
        """Spending so far, running trials included."""
        ...

    def trials(self) -> "Sequence[TrialRecord]":
        """Return the records of all trials, by number."""
        ...


@runtime_checkable
class WatchedFinals(WatchedStudy, Protocol):
    """Additional state of finals."""

    @property
    def planned(self) -> Sequence[Trial]:
        """Every planned training, by number."""
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
    """Its share of all trials if they are allocated evenly."""
    n_dealt: int
    n_complete: int
    n_pruned: int
    n_failed: int
    """Failed and diverged trials."""
    best: float | None
    """Macro AUROC of its best complete search trial; in finals the answer's mean over seeds."""
    student_alone: float | None
    """Macro AUROC of the baseline without a teacher; in finals its mean over seeds."""
    running: tuple[tuple[int, int], ...]
    """Number and last reported epoch of each open trial, which has begun and not ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyState:
    """State of a study at one moment."""

    rows: tuple[ConditionRow, ...]
    n_trials: int
    """Number of trials requested."""
    n_epochs: int
    """Epochs of an unpruned trial."""
    finished: tuple[TrialLine, ...]
    spent: str
    """Spending in words; empty for neither GPU time nor money."""
    best_name: str = "best"
    """Heading of the column of best scores."""
    is_driven: bool = True
    """Whether a process runs the study now; else its open trials are interrupted."""

    @property
    def n_finished(self) -> int:
        """Number of trials that have ended in any state."""
        return len(self.finished)

    @property
    def n_open(self) -> int:
        """Number of trials that have begun and not ended."""
        return sum(len(row.running) for row in self.rows)

    @property
    def n_running(self) -> int:
        """Number of open trials that a process trains now."""
        return self.n_open if self.is_driven else 0

    @property
    def n_interrupted(self) -> int:
        """Number of open trials that no process trains."""
        return self.n_open - self.n_running

    @property
    def open_name(self) -> str:
        """State of open trials in a word."""
        return "interrupted" if self.n_interrupted else "running"

    def left_s(self, n_at_once: int) -> float | None:
        """Estimate the seconds left from the mean time of ended trials; None without any.

        Args:
            n_at_once: Concurrent trials; more than `n_running` just after the end of one.
        """
        times = [trial.wall_s for trial in self.finished if trial.wall_s > 0]
        if not times:
            return None
        missing = max(0, self.n_trials - self.n_finished)
        return statistics.fmean(times) * missing / max(1, n_at_once)


def state_as_value(name: str, state: StudyState) -> dict[str, Any]:
    """Return the state as a JSON object."""
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
