"""Fill the matrix: each cell is killed once, goes on, and is compared; then write the page.

    python -m benchmarks.kill_matrix --out runs/kills [--only "in-process search"] [--cells 20]
    python -m benchmarks.kill_matrix --out runs/kills --random 10 [--verb search] [--seed 0]

May be stopped at any time and called again: cells that are known are skipped. A cell takes half a
minute in one process, and a minute or two on Ray.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.kill_matrix.cells import (
    COLUMNS,
    LEDGER_IN_STORE,
    PHASES,
    ROWS,
    SIGNALS,
    all_cells,
)
from benchmarks.kill_matrix.running import Matrix, Outcome
from benchmarks.kill_matrix.scenes import SCENES
from benchmarks.results_page.markdown import table

RANDOM_COLUMNS = ("checkpoint", "ledger", "result", "predictions", "manifest")
KNOWN = Path(__file__).parent / "known.jsonl"
"""Outcomes, kept with the project: a line for each cell; the last one of a cell counts."""


def main(words: Sequence[str] | None = None) -> int:
    """Run what is missing; exit code 1 where a cell does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/kills"))
    parser.add_argument("--page", type=Path, default=Path("benchmarks/KILLS.md"))
    parser.add_argument("--only", default="", help="cells whose key has this text")
    parser.add_argument("--cells", type=int, default=None, help="run at most so many")
    parser.add_argument("--again", action="store_true", help="known cells, too")
    parser.add_argument("--random", type=int, default=0, help="kill one run so often")
    parser.add_argument("--verb", default="search", choices=list(SCENES))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(words)
    if arguments.random:
        matrix = Matrix(arguments.out)
        in_store = SCENES[arguments.verb].is_in_store
        columns = (*RANDOM_COLUMNS, *(LEDGER_IN_STORE if in_store else ()))
        outcome = matrix.run_at_random(arguments.verb, columns, arguments.random, arguments.seed)
        note(f"{arguments.verb}/at random/seed {arguments.seed}", outcome)
        print(outcome)
        return int(not outcome.is_good)
    known = {} if arguments.again else read_known()
    todo = [cell for cell in all_cells() if arguments.only in cell.key and cell.key not in known]
    matrix = Matrix(arguments.out)
    for cell in todo[: arguments.cells]:
        started = time.monotonic()
        outcome = matrix.run(cell)
        note(cell.key, outcome)
        print(f"{cell.key}: {outcome} {time.monotonic() - started:.0f} s", flush=True)
    known = read_known()
    arguments.page.write_text(write_page(known))
    return int(any(not outcome.is_good for outcome in known.values()))


def note(key: str, outcome: Outcome, file: Path = KNOWN) -> None:
    """Append what became of a cell."""
    with file.open("a") as stream:
        stream.write(json.dumps({"cell": key, **asdict(outcome)}) + "\n")


def read_known(file: Path = KNOWN) -> dict[str, Outcome]:
    """Read what became of cells."""
    known: dict[str, Outcome] = {}
    if file.exists():
        for line in file.read_text().splitlines():
            value = json.loads(line)
            key = value.pop("cell")
            known[key] = Outcome(**value)
    return known


def write_page(known: Mapping[str, Outcome]) -> str:
    """Return the page: a table for each signal, and every cell that does not hold."""
    cells = all_cells()
    parts = [
        "# Killed anywhere\n\nMade by `python -m benchmarks.kill_matrix`: a process of a small "
        "study is killed before, during and after a write (three marks in each entry, in this "
        "order), the same line goes on, and everything must be as in the run that nobody killed, "
        "bit for bit: trials, parameters, epochs, values, states, predictions, report. `=` the "
        "same, at most one epoch trained twice; `!` not; `.` not run yet; empty: no such write. In "
        "a store, a write during which its driver falls is carried out, and nobody hears of it."
        "\n\n"
        f"{sum(cell.key in known for cell in cells)} of {len(cells)} cells are known, "
        f"{sum(cell.key in known and known[cell.key].is_good for cell in cells)} hold; epochs that "
        f"were trained twice: {sum(max(0, each.lost_epochs) for each in known.values())}."
    ]
    random = [
        [key, each.verdict, str(each.n_kills), str(each.n_starts), str(each.lost_epochs)]
        for key, each in known.items()
        if "/at random/" in key
    ]
    if random:
        head = ["study", "result", "kills", "starts", "epochs trained twice"]
        parts.append(f"## One study, killed again and again\n\n{table(head, random)}")
    for signal in SIGNALS:
        rows = [
            [row.name, *(_entry(row.name, column, signal, known) for column in COLUMNS)]
            for row in ROWS
        ]
        parts.append(f"## {signal}\n\n{table(['killed', *COLUMNS], rows)}")
    bad = [f"- {key}: {each}" for key, each in known.items() if not each.is_good]
    if bad:
        parts.append("## What does not hold\n\n" + "\n".join(bad))
    return "\n\n".join(parts) + "\n"


def _entry(row: str, column: str, signal: str, known: Mapping[str, Outcome]) -> str:
    marks = ""
    there = {cell.key for cell in all_cells()}
    for phase in PHASES:
        key = f"{row}/{column}/{phase}/{signal}"
        if key in there:
            outcome = known.get(key)
            marks += "." if outcome is None else "=" if outcome.is_good else "!"
    return marks


if __name__ == "__main__":
    sys.exit(main())
