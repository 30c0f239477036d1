"""The ledger of one round of finals, with its plan, its reason and the opening of the test split.

Reads and writes: studies of Optuna named `NAME.finals-01`, ... in the database of the search.
"""

import contextlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Self

from mvkt_ray.records import Condition
from mvkt_ray.search.finals.finals_plan import Contender
from mvkt_ray.search.finals.openings import Code, Opening
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.study_identity import flattened
from mvkt_ray.storage.manifest import command_line

_INFIX = ".finals-"
_DIFFERENCES_SHOWN = 5


def ledger_name(study: str, number: int) -> str:
    """Name of the finals in the database."""
    return f"{study}{_INFIX}{number:02d}"


class FinalsLedger(Ledger):
    """The ledger of one round of finals; its notes record the progress beside the trainings."""

    @classmethod
    def begin(
        cls,
        database: LedgerDatabase,
        study: str,
        number: int,
        *,
        plan: Sequence[Contender],
        facts: Mapping[str, Any],
        reason: str,
    ) -> Self:
        """Begin finals.

        Args:
            database: That of the search.
            study: Name of the search's study.
            number: Of the finals, from 1.
            plan: The contenders to train.
            facts: Configuration and inputs, which must not change before the opening.
            reason: For opening the test split again; empty for the first finals.
        """
        name = ledger_name(study, number)
        # A driver may have died between creating it and writing its plan.
        ledger = cls.find(database, name) or cls.create(database, name)
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
        return ledger

    @classmethod
    @contextlib.contextmanager
    def open_all(cls, database: LedgerDatabase, study: str) -> Generator[list[Self]]:
        """Open the ledgers of all finals that have begun, by number; closed when the block ends.

        Args:
            database: That of the search.
            study: Name of the search's study.

        Raises:
            ArtifactError: The database cannot be read.
        """
        found: list[Self] = []
        with contextlib.ExitStack() as stack:
            while ledger := cls.find(database, ledger_name(study, len(found) + 1)):
                stack.callback(ledger.close)
                if not ledger.has_begun:
                    break
                found.append(ledger)
            yield found

    @property
    def number(self) -> int:
        """Of the finals, from 1."""
        return int(self.name.rpartition(_INFIX)[2])

    @property
    def has_begun(self) -> bool:
        """Whether its plan was written."""
        return "plan" in self.notes

    @property
    def plan(self) -> tuple[Contender, ...]:
        """The contenders."""
        return tuple(_read_contender(value) for value in self.notes["plan"])

    @property
    def facts(self) -> dict[str, Any]:
        """Configuration and inputs that the finals were begun with, as plain values."""
        return self.notes["facts"]

    @property
    def reason(self) -> str:
        """The reason for opening the test split again; empty the first time."""
        return self.notes["reason"]

    @property
    def left_behind(self) -> str | None:
        """Time at which these unopened finals were replaced by others; None: they were not."""
        return self.notes.get("left_behind")

    @property
    def opening(self) -> Opening | None:
        """The opening of the test split for these finals; None before."""
        value = self.notes.get("opening")
        return None if value is None else Opening.from_json(value)

    def differences(self, plan: Sequence[Contender], facts: Mapping[str, Any]) -> str:
        """Describe the differences between these finals and the requested ones; empty: none."""
        was, now = flattened(self.facts), flattened(facts)
        keys = [
            f"{key} (was {was.get(key)!r}, is {now.get(key)!r})"
            for key in sorted(was.keys() | now.keys())
            if was.get(key) != now.get(key)
        ]
        return "; ".join((keys or _plan_differences(self.plan, plan))[:_DIFFERENCES_SHOWN])

    def write_opening(self, opening: Opening) -> None:
        """Record that the test split is opened, or that its examination is complete."""
        self.note({"opening": opening.to_json()})

    def write_reason(self, reason: str) -> None:
        """Record another reason for opening the test split again."""
        self.note({"reason": reason})

    def leave_behind(self) -> None:
        """Record that these unopened finals are replaced by others."""
        assert self.opening is None
        self.note({"left_behind": datetime.now(UTC).isoformat(timespec="seconds")})


def _read_contender(value: Mapping[str, Any]) -> Contender:
    fields = dict(value)
    fields["condition"] = Condition.from_name(value["condition"])
    return Contender(**fields)


def _plan_differences(was: Sequence[Contender], now: Sequence[Contender]) -> list[str]:
    """Return differences of plans of one configuration: later trials of the search are chosen."""

    def by_name(plan: Sequence[Contender]) -> dict[str, dict[str, Any]]:
        return {f"{each.name} of {each.condition.name}": flattened(asdict(each)) for each in plan}

    old, new = by_name(was), by_name(now)
    found: list[str] = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in old or name not in new:
            found.append(f"{name} ({'is new' if name in new else 'is gone'})")
            continue
        keys = [key for key in new[name] if old[name].get(key) != new[name][key]]
        if "chosen_trial" in keys:
            keys = ["chosen_trial"]
        found += [f"{name}: {k} (was {old[name].get(k)!r}, is {new[name][k]!r})" for k in keys[:2]]
    return found
