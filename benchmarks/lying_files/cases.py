"""Cases: a copy of a base with one damaged file, a command, and a verdict; several at a time.

Nothing of a base is copied but what is written in its place: the rest of a case are hard links. All
is imported once, before the workers are forked. On a tmpfs (`--out /dev/shm/...`) nothing waits for
a disk.
"""

import hashlib
import json
import multiprocessing
import os
import random
import shutil
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .damage import damage
from .invoking import Answer
from .judging import answer_of_whole, judge
from .kinds import Kind, commands_of, damages_of, files_of, others_of

_ANSWERS = "answers.json"


@dataclass(frozen=True, slots=True)
class Case:
    """What decides on all of a case."""

    kind: Kind
    number: int
    quick: bool
    """By a reader, not by a command that people type."""

    @property
    def command(self) -> str:
        """One of `judging.COMMANDS`."""
        commands = commands_of(self.kind, quick=self.quick)
        return commands[self.number % len(commands)]

    @property
    def key(self) -> tuple[str, bool, int]:
        """As the line of its verdict has it."""
        return self.kind.name, self.quick, self.number


def cases_of(kinds: Iterable[Kind], n: int, *, quick: bool) -> list[Case]:
    """Return the cases of kinds, each kind in turn."""
    readable = [kind for kind in kinds if commands_of(kind, quick=quick)]
    return [Case(kind, number, quick) for number in range(n) for kind in readable]


def run_cases(bases: Path, cases: Sequence[Case], n_workers: int) -> Generator[dict[str, object]]:
    """Yield the verdicts of cases, as they come."""
    wholes = _answers(bases, {(case.kind.base, case.command) for case in cases})
    before = _hash_of(bases)
    context = multiprocessing.get_context("fork")
    with context.Pool(n_workers, _begin, (bases, wholes)) as pool:
        yield from pool.imap_unordered(_run, cases, chunksize=4)
    assert _hash_of(bases) == before, "a command wrote to a file that it shares with a base"


_place: tuple[Path, dict[tuple[str, str], Answer]]


def _begin(bases: Path, wholes: dict[tuple[str, str], Answer]) -> None:
    global _place
    _place = bases, wholes


def _run(case: Case) -> dict[str, object]:
    bases, wholes = _place
    rng = random.Random(f"{case.kind.name} {case.number}")
    base, folder = bases / case.kind.base, _fresh(bases, case.kind.base)
    n_commands = len(commands_of(case.kind, quick=case.quick))
    damages = damages_of(case.kind, quick=case.quick)
    how = damages[case.number // n_commands % len(damages)]
    file = rng.choice(files_of(case.kind, folder))
    others = others_of(case.kind, base, base / file.relative_to(folder))
    said = damage(file, how, rng, others)
    verdict: dict[str, object] = {
        "kind": case.kind.name,
        "quick": case.quick,
        "case": case.number,
        "damage": how,
        "command": case.command,
        "file": str(file.relative_to(folder)),
        "done": said,
    }
    if not said:
        return {**verdict, "verdict": "not possible", "said": ""}
    judged = judge(case.command, folder, file, wholes[case.kind.base, case.command])
    return {**verdict, "verdict": judged.verdict, "said": judged.said}


def _answers(bases: Path, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Answer]:
    """Return what commands answer where nothing is damaged; kept, for some take long."""
    file = bases / _ANSWERS
    known: dict[tuple[str, str], Answer] = {}
    if file.exists():
        known = {(base, command): each for (base, command), each in json.loads(file.read_text())}
    for base, command in sorted(wanted - known.keys()):
        known[base, command] = answer_of_whole(command, partial(_fresh, bases, base))
        file.write_text(json.dumps(list(known.items())))
    return known


def _fresh(bases: Path, base: str) -> Path:
    """Make the folder of this process's case, with nothing damaged."""
    return _copy(bases / base, bases / f"case-{os.getpid()}")


def _copy(base: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("other*")
    return Path(shutil.copytree(base, folder, copy_function=_link, ignore=ignored))


def _link(source: str, target: str) -> None:
    if source.endswith((".db", ".log")):
        shutil.copyfile(source, target)  # SQLite writes in its place, and a log at its end.
    else:
        os.link(source, target)


def _hash_of(bases: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(bases.rglob("*")):
        if file.is_file() and not file.relative_to(bases).parts[0].startswith(("case", _ANSWERS)):
            digest.update(file.read_bytes())
    return digest.hexdigest()
