"""Damages every kind of file that mvkt-ray writes, in seeded ways, and judges what commands say.

    python -m benchmarks.lying_files --out FOLDER [--cases N] [--only TEXT] [--page FILE]
    python -m benchmarks.lying_files --out FOLDER --fuzz SECONDS [--only TEXT]
    python -m benchmarks.lying_files --out FOLDER --full-disk N

Two tiny studies are made once in the folder; each case copies one, damages one file and runs one
command in this process. Verdicts are lines of `cases.jsonl` there: a run that is killed goes on,
and one with more cases adds to them. The page counts, for each kind of file and damage, how often
the command refused, said that it took something else, or gave the same answer; anything else, a
traceback or another number, is WRONG.
"""

import argparse
import json
import random
import shutil
from pathlib import Path

from .damage import DAMAGES, damage
from .full_disk import fill_and_search
from .fuzzing import fuzz_all
from .judging import Answer, answer_of_whole, judge
from .kinds import KINDS, Kind, files_of, others_of
from .making import make_bases
from .page import page

CASES_FILE = "cases.jsonl"


def main() -> None:
    """Read the arguments, run what is missing, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of bases and verdicts")
    parser.add_argument("--cases", type=int, default=1000, help="of each kind of file")
    parser.add_argument("--only", default="", help="kinds with this text in their name")
    parser.add_argument("--page", type=Path, help="write the table there, too")
    parser.add_argument("--fuzz", type=float, help="seconds for each reader, instead of cases")
    parser.add_argument("--full-disk", type=int, help="so many searches on a full disk, instead")
    arguments = parser.parse_args()
    if arguments.fuzz is not None:
        fuzz_all(arguments.out / "fuzz", arguments.fuzz, arguments.only)
        return
    make_bases(arguments.out / "bases")
    if arguments.full_disk is not None:
        search_on_full_disks(arguments.out, arguments.full_disk)
        return
    file = arguments.out / CASES_FILE
    verdicts = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(each["kind"], each["case"]) for each in verdicts}
    whole: dict[tuple[str, str], Answer] = {}
    with file.open("a") as log:
        for kind in KINDS:
            if arguments.only not in kind.name:
                continue
            for number in range(arguments.cases):
                if (kind.name, number) in done:
                    continue
                verdict = run_case(arguments.out / "bases", kind, number, whole)
                verdicts.append(verdict)
                log.write(json.dumps(verdict) + "\n")
                log.flush()
            n_wrong = sum(v["kind"] == kind.name and v["verdict"] == "WRONG" for v in verdicts)
            print(f"{kind.name}: {n_wrong} wrong", flush=True)
    text = page(verdicts)
    print(text)
    if arguments.page is not None:
        arguments.page.write_text(text)


def search_on_full_disks(out: Path, n: int) -> None:
    """Search with room for n shares of what a search writes, in bytes and in files."""
    for number in range(n):
        for inodes in (False, True):
            share = (number + 0.5) / n
            study = out / "bases" / "study.yaml"
            judged = fill_and_search(out / "small disk", study, share, inodes=inodes)
            what = "files" if inodes else "bytes"
            print(f"{share:.2f} of the {what}: {judged.verdict}; {judged.said}", flush=True)


def run_case(
    bases: Path, kind: Kind, number: int, whole: dict[tuple[str, str], Answer]
) -> dict[str, object]:
    """Damage one file of a copy, run one command, and return the verdict.

    Args:
        bases: Folder of what `making` made.
        kind: Of the file.
        number: Of the case: it decides on everything.
        whole: Answers of commands where nothing is damaged, filled as they are needed.
    """
    rng = random.Random(f"{kind.name} {number}")
    base, case = bases / kind.base, bases / "case"
    command = kind.verbs[number % len(kind.verbs)]
    how = DAMAGES[number // len(kind.verbs) % len(DAMAGES)]

    def fresh() -> Path:
        shutil.rmtree(case, ignore_errors=True)
        return Path(shutil.copytree(base, case, ignore=shutil.ignore_patterns("other*")))

    if (kind.base, command) not in whole:
        whole[kind.base, command] = answer_of_whole(command, fresh)
    fresh()
    file = rng.choice(files_of(kind, case))
    others = others_of(kind, base, base / file.relative_to(case))
    said = damage(file, how, rng, others)
    verdict: dict[str, object] = {
        "kind": kind.name,
        "case": number,
        "damage": how,
        "command": command,
        "file": str(file.relative_to(case)),
        "done": said,
    }
    if not said:
        return {**verdict, "verdict": "not possible", "said": ""}
    judged = judge(command, case, file, whole[kind.base, command])
    return {**verdict, "verdict": judged.verdict, "said": judged.said}


if __name__ == "__main__":
    main()
