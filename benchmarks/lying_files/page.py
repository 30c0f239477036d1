"""Verdicts as a table: one row for each kind of file and damage."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .damage import DAMAGES
from .judging import VERDICTS
from .kinds import KINDS

_INTRODUCTION = """# Files that lie

`python -m benchmarks.lying_files --out FOLDER --page benchmarks/LYING_FILES.md` writes this page.
A file of a tiny study, finished or interrupted, is damaged, and what reads it is run: in most cases
the reader alone, which takes milliseconds, in the others a whole command that people type.
*Refused*: exit code 2 and one paragraph that names the file and says what to do. *Restored*: the
numbers of the undamaged study, and a line in the log that says what was done again. *Same answer*:
the damage is in nothing that the command reads. *WRONG*: a traceback, another number, or a refusal
that does not name the file. Cases in which the damage changes no byte are not counted.
"""


def page(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Return the page of all verdicts."""
    counts: Counter[tuple[str, str, str]] = Counter(
        (each["kind"], each["damage"], each["verdict"]) for each in verdicts
    )
    lines = [
        _INTRODUCTION,
        f"| file | damage | cases | {' | '.join(VERDICTS)} |",
        f"|---|---|{'---|' * (len(VERDICTS) + 1)}",
    ]
    for kind in KINDS:
        for how in DAMAGES:
            row = [counts[kind.name, how, verdict] for verdict in VERDICTS]
            if sum(row):
                lines.append(f"| {kind.name} | {how} | {sum(row)} | {' | '.join(map(str, row))} |")
    totals = [sum(counts[k.name, h, v] for k in KINDS for h in DAMAGES) for v in VERDICTS]
    n_commands = sum(not each["quick"] and each["verdict"] in VERDICTS for each in verdicts)
    lines.append(
        f"| all, {n_commands} by commands | | {sum(totals)} | {' | '.join(map(str, totals))} |"
    )
    return "\n".join(lines) + "\n"
