"""Progress of a study's finals: trainings ended and open, and the opening of the test split.

Reads: the ledgers of finals. Nothing here opens the test split.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mvkt_ray.records import Reservation, TrialState
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_plan import final_trials
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.trial_record import TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalsProgress:
    """One round of finals at one moment."""

    number: int
    """From 1."""
    n_trainings: int
    """In its plan."""
    records: tuple[TrialRecord, ...]
    """Of the trainings that were begun."""
    opening: Opening | None
    """Of the test split for these finals; None: not opened."""
    left_behind: str | None
    """Time at which others replaced them; None: they were not replaced."""

    @property
    def n_ended(self) -> int:
        """Trainings that have ended, well or not."""
        return sum(record.state.is_finished for record in self.records)

    @property
    def n_open(self) -> int:
        """Trainings that have begun and not ended."""
        return len(self.records) - self.n_ended

    @property
    def n_problems(self) -> int:
        """Trainings that failed for good or diverged."""
        problems = (TrialState.FAILED, TrialState.DIVERGED)
        return sum(record.state in problems for record in self.records)

    @property
    def is_examined(self) -> bool:
        """Whether every prediction on the test split is there."""
        return self.opening is not None and self.opening.completed_at is not None

    @property
    def reservations(self) -> tuple[Reservation, ...]:
        """Resources that its trainings have held, as far as they are recorded."""
        return tuple(each for record in self.records for each in record.usage.reservations)

    @property
    def begun_at(self) -> datetime | None:
        """When its newest training was begun; None before the first."""
        return newest_start(self.records)

    def to_json(self, *, is_driven: bool) -> dict[str, Any]:
        """Return plain values.

        Args:
            is_driven: Whether a process runs these finals now.
        """
        return {
            "finals": self.number,
            "n_trainings": self.n_trainings,
            "n_ended": self.n_ended,
            "n_running": self.n_open if is_driven else 0,
            "n_interrupted": 0 if is_driven else self.n_open,
            "n_problems": self.n_problems,
            "opened_at": None if self.opening is None else self.opening.opened_at,
            "examined": self.is_examined,
            "left_behind_at": self.left_behind,
        }


def read_progress(database: LedgerDatabase, study: str) -> tuple[FinalsProgress, ...]:
    """Return all finals of a study that have begun, by number.

    Args:
        database: That of the search.
        study: Name of the search's study.

    Raises:
        ArtifactError: The database cannot be read.
    """
    with FinalsLedger.open_all(database, study) as ledgers:
        return tuple(
            FinalsProgress(
                number=ledger.number,
                n_trainings=len(final_trials(ledger.plan)),
                records=tuple(ledger.records),
                opening=ledger.opening,
                left_behind=ledger.left_behind,
            )
            for ledger in ledgers
        )


def newest_start(records: tuple[TrialRecord, ...]) -> datetime | None:
    """Return when the newest of some trials was begun; None where there is none."""
    starts = (record.started_at for record in records)
    return max((each for each in starts if each is not None), default=None)
