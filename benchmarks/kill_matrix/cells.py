"""The cells that can exist: which process is killed, at which write, when, and by which signal."""

from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

Phase = Literal["before", "during", "after"]
Signal = Literal["SIGKILL", "SIGTERM"]
PHASES: tuple[Phase, ...] = ("before", "during", "after")
SIGNALS: tuple[Signal, ...] = ("SIGKILL", "SIGTERM")

COLUMNS = (
    *("shard", "teacher's checkpoint", "teacher", "knowledge"),
    *("checkpoint", "predictions", "student", "result"),
    *("manifest", "ledger", "opening", "report"),
    *("piece", "snapshot", "head", "lease"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A process that is killed."""

    name: str
    verb: str
    """What it does, or is done by: a word of `scenes.SCENES`."""
    victim: str
    """As the shim finds it; `self` is whoever writes."""
    columns: tuple[str, ...]
    """What is written while it lives. By the process itself, but for victims that write nothing."""
    signals: tuple[Signal, ...] = SIGNALS
    ray: bool = False


_OF_SEARCH = (
    *("shard", "teacher's checkpoint", "teacher", "knowledge"),
    *("checkpoint", "predictions", "student", "result"),
)
LEDGER_IN_STORE = ("piece", "snapshot", "head", "lease")
"""Of a ledger in an object store: commits, generations, and who drives."""
ROWS = (
    Row(
        name="in-process search",
        verb="search",
        victim="self",
        columns=(*_OF_SEARCH, "manifest", "ledger", "report"),
    ),
    Row(
        name="finalize",
        verb="finalize",
        victim="self",
        columns=("checkpoint", "predictions", "student", "result", "ledger", "opening"),
    ),
    Row(name="ingest", verb="ingest", victim="self", columns=("shard", "manifest")),
    Row(
        name="train-teacher",
        verb="train-teacher",
        victim="self",
        columns=("teacher's checkpoint", "teacher", "manifest"),
    ),
    Row(name="cache", verb="cache", victim="self", columns=("knowledge", "manifest")),
    Row(name="report", verb="report", victim="self", columns=("report",)),
    Row(
        name="search in a store",
        verb="search in a store",
        victim="driver",
        columns=(*_OF_SEARCH, "manifest", "report", *LEDGER_IN_STORE),
    ),
    Row(
        name="finalize in a store",
        verb="finalize in a store",
        victim="driver",
        columns=("checkpoint", "predictions", "student", "result", *LEDGER_IN_STORE),
    ),
    Row(
        name="driver on Ray",
        verb="search on Ray",
        victim="driver",
        columns=("checkpoint", "result", "ledger", "report"),
        ray=True,
    ),
    Row(
        name="trial on Ray",
        verb="search on Ray",
        victim="self",
        columns=("checkpoint", "predictions", "result"),
        ray=True,
    ),
    Row(
        name="raylet",
        verb="search on Ray",
        victim="raylet",
        columns=("checkpoint", "result"),
        signals=("SIGKILL",),
        ray=True,
    ),
    Row(
        name="node of three",
        verb="search on three nodes",
        victim="node",
        columns=("checkpoint", "result"),
        signals=("SIGKILL",),
        ray=True,
    ),
    *(
        Row(
            name=name,
            verb="search on two ranks",
            victim=victim,
            columns=("checkpoint", "result"),
            ray=True,
        )
        for name, victim in (
            ("Train worker, rank 0", "self"),
            ("Train worker, rank 1", "rank 1"),
            ("Train controller", "controller"),
        )
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One entry of the table."""

    row: str
    column: str
    phase: Phase
    signal: Signal

    @property
    def key(self) -> str:
        """Name it in a file, and on a command line."""
        return f"{self.row}/{self.column}/{self.phase}/{self.signal}"

    @property
    def of(self) -> Row:
        """The row it is in."""
        return next(row for row in ROWS if row.name == self.row)

    @property
    def nth(self) -> int:
        """Which write of the kind: not the first where there are several, so that some are done."""
        return {"checkpoint": 2, "teacher's checkpoint": 2, "ledger": 9, "piece": 9}.get(
            self.column, 1
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def all_cells() -> list[Cell]:
    """List every cell, those without Ray first, a phase of all before the next."""
    return [
        Cell(row=row.name, column=column, phase=phase, signal=signal)
        for ray, signal, phase in product((False, True), SIGNALS, PHASES)
        for row in ROWS
        if row.ray is ray and signal in row.signals
        for column in row.columns
    ]
