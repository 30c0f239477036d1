"""The ledger of finals: what was planned, by whom and why, what was trained, what was opened.

Reads and writes: studies of Optuna named `NAME.finals-01`, ... in the database of the search.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution

from mvkt_ray.config.schema import Scalar
from mvkt_ray.records import Condition, Trial, TrialResult, Usage
from mvkt_ray.search.finals.finals_plan import Contender
from mvkt_ray.search.finals.openings import Code, Opening
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_shipping import Shipment
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.storage.artifacts import command_line


def ledger_name(study: str, number: int) -> str:
    """Name of the finals in the database."""
    return f"{study}.finals-{number:02d}"


class FinalsLedger:
    """The ledger of one finals; how far they came is what stands in it."""

    def __init__(self, ledger: Ledger, number: int) -> None:
        """Take over a ledger; use `create` or `read_all`."""
        self._ledger = ledger
        self.number = number
        self._notes = ledger.notes()

    @classmethod
    def create(
        cls,
        url: str,
        study: str,
        number: int,
        *,
        plan: Sequence[Contender],
        facts: Mapping[str, Any],
        reason: str,
        shipment: Shipment | None = None,
    ) -> "FinalsLedger":
        """Begin finals.

        Args:
            url: Of the database.
            study: Name of the search's study.
            number: Of the finals, from 1.
            plan: What is trained.
            facts: All that it must not change before the opening: configuration and inputs.
            reason: Why the test split is to be opened again; of the first finals empty.
            shipment: Where what is written goes, too, before it counts.
        """
        name = ledger_name(study, number)
        # A driver may have died between making it and writing its plan.
        ledger = Ledger.find(url, name, shipment) or Ledger.create(url, name, shipment)
        code = Code.now()
        ledger.note(
            {
                "facts": dict(facts),
                "reason": reason,
                "mvkt_ray_version": code.mvkt_ray_version,
                "code": code.code,
                "commit": code.commit,
                "command": command_line(),
                "begun_at": datetime.now(UTC).isoformat(timespec="seconds"),
                # Last: finals without it have not begun.
                "plan": [contender.to_json() for contender in plan],
            }
        )
        return cls(ledger, number)

    @classmethod
    def read_all(
        cls, url: str, study: str, shipment: Shipment | None = None
    ) -> "list[FinalsLedger]":
        """Return the ledgers of all finals that have begun, by number; to be closed.

        Args:
            url: Of the database.
            study: Name of the search's study.
            shipment: Where what is written goes, too, before it counts.

        Raises:
            ArtifactError: The database cannot be read.
        """
        found: list[FinalsLedger] = []
        while True:
            number = len(found) + 1
            ledger = Ledger.find(url, ledger_name(study, number), shipment)
            if ledger is None:
                break
            made = cls(ledger, number)
            if not made.has_begun:
                ledger.close()
                break
            found.append(made)
        return found

    @property
    def has_begun(self) -> bool:
        """Whether its plan was written."""
        return "plan" in self._notes

    @property
    def plan(self) -> tuple[Contender, ...]:
        """What is compared."""
        return tuple(_read_contender(value) for value in self._notes["plan"])

    @property
    def facts(self) -> dict[str, Any]:
        """What the finals were begun with, as plain values."""
        return self._notes["facts"]

    @property
    def reason(self) -> str:
        """Why the test split is opened again; empty the first time."""
        return self._notes["reason"]

    @property
    def left_behind(self) -> str | None:
        """When, unopened, other finals were begun in their place; None: they were not."""
        return self._notes.get("left_behind")

    @property
    def opening(self) -> Opening | None:
        """Of the test split for these finals; None before."""
        value = self._notes.get("opening")
        return None if value is None else Opening.from_json(value)

    @property
    def records(self) -> list[TrialRecord]:
        """Of the trainings that were dealt, by number."""
        return self._ledger.records

    def mend(self) -> None:
        """End what had its result written when the driver died, and not its state."""
        self._ledger.mend()

    def add(
        self,
        trial: Trial,
        *,
        drawn: Mapping[str, Scalar],
        distributions: Mapping[str, BaseDistribution],
        conditions: Sequence[Condition],
    ) -> TrialRecord:
        """Create a running training, in one transaction."""
        return self._ledger.add(
            condition=trial.condition,
            arm=trial.arm,
            hyperparameters=trial.hyperparameters,
            drawn=drawn,
            distributions=distributions,
            conditions=conditions,
            repetition=trial.repetition,
            contender=trial.contender,
        )

    def write_value(self, number: int, epoch: int, macro_auroc: float) -> None:
        """Write down what a training reported after an epoch."""
        self._ledger.write_value(number, epoch, macro_auroc)

    def write_usage(self, number: int, usage: Usage) -> None:
        """Write down what a training has used so far."""
        self._ledger.write_usage(number, usage)

    def write_failure(self, number: int, reason: str) -> None:
        """Write down that an attempt was lost."""
        self._ledger.write_failure(number, reason)

    def write_result(self, number: int, result: TrialResult) -> None:
        """Write down how a training ended."""
        self._ledger.write_result(number, result)

    def write_opening(self, opening: Opening) -> None:
        """Write down that the test split is opened, or that the opening is over."""
        self._note({"opening": opening.to_json()})

    def write_reason(self, reason: str) -> None:
        """Write down another reason to open again than the finals were begun with."""
        self._note({"reason": reason})

    def leave_behind(self) -> None:
        """Write down that other finals take the place of these, which were not opened."""
        assert self.opening is None
        self._note({"left_behind": datetime.now(UTC).isoformat(timespec="seconds")})

    def close(self) -> None:
        """Close the connections to the database."""
        self._ledger.close()

    def _note(self, notes: Mapping[str, object]) -> None:
        self._ledger.note(notes)
        self._notes = self._ledger.notes()


def _read_contender(value: Mapping[str, Any]) -> Contender:
    fields = dict(value)
    fields["condition"] = Condition.from_name(value["condition"])
    return Contender(**fields)
