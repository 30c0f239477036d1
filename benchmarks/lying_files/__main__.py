"""Damages every kind of file that mvkt-ray writes, in seeded ways, and judges what commands say.

    python -m benchmarks.lying_files --out FOLDER [--cases N] [--commands N] [--only TEXT]
    python -m benchmarks.lying_files --out FOLDER --fuzz SECONDS [--only TEXT]
    python -m benchmarks.lying_files --out FOLDER --failing-disk N

Tiny studies are made once in the folder; each case links to one, damages one file, and runs what
reads it: in most cases the reader alone, in the others a whole command. Verdicts are lines of
`cases.jsonl` there: a run that is killed goes on, and one with more cases adds to them. The page
counts, for each kind of file and damage, how often it was refused, or something else was taken and
said so, or the answer was the same; anything else, a traceback or another number, is WRONG.
"""

import argparse
import json
from pathlib import Path

from .cases import cases_of, run_cases
from .failing_disk import search_on_failing_disks
from .fuzzing import fuzz_all
from .kinds import KINDS
from .making import make_bases
from .page import page

CASES_FILE = "cases.jsonl"


def main() -> None:
    """Read the arguments, run what is missing, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of bases and verdicts")
    parser.add_argument("--cases", type=int, default=1000, help="of each kind, by its reader")
    parser.add_argument("--commands", type=int, default=50, help="of each kind, by commands")
    parser.add_argument("--only", default="", help="kinds with this text in their name")
    parser.add_argument("--workers", type=int, default=2, help="cases at a time")
    parser.add_argument("--page", type=Path, help="write the table there, too")
    parser.add_argument("--fuzz", type=float, help="seconds for each reader, instead of cases")
    parser.add_argument("--failing-disk", type=int, help="so many searches for each fault, instead")
    arguments = parser.parse_args()
    if arguments.fuzz is not None:
        fuzz_all(arguments.out / "fuzz", arguments.fuzz, arguments.only)
        return
    if arguments.failing_disk is not None:
        for each in search_on_failing_disks(arguments.out, arguments.failing_disk):
            print(json.dumps(each), flush=True)
        return
    make_bases(arguments.out / "bases")
    file = arguments.out / CASES_FILE
    verdicts = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(each["kind"], each["quick"], each["case"]) for each in verdicts}
    kinds = [kind for kind in KINDS if arguments.only in kind.name]
    cases = cases_of(kinds, arguments.cases, quick=True)
    cases += cases_of(kinds, arguments.commands, quick=False)
    missing = [case for case in cases if case.key not in done]
    with file.open("a") as log:
        for verdict in run_cases(arguments.out / "bases", missing, arguments.workers):
            verdicts.append(verdict)
            log.write(json.dumps(verdict) + "\n")
            log.flush()
            if verdict["verdict"] == "WRONG":
                print(json.dumps(verdict), flush=True)
    text = page(verdicts)
    print(text)
    if arguments.page is not None:
        arguments.page.write_text(text)


if __name__ == "__main__":
    main()
