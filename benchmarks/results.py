"""Make the results page: what the teacher buys on PTB-XL, and which part of the method buys it.

    python benchmarks/results.py --data PTBXL_FOLDER --out runs/results --page benchmarks/RESULTS.md

Runs `mvkt search` and `mvkt finalize` on search_spaces/fidelity.yaml, or goes on with what is in
the folder, or only reads it when it is finished, and writes the page from it. Hours on two cores;
may be interrupted at any time and called again.

    [--folds 1-7/8/9]        train, validation and test folds, where the study's are not there
    [--searched runs/best]   a searched study: where temperature and weights were best
    [--tried tried.yaml]     a list of {name, lead, setting, seeds, macro_auroc, note}: what was
                             measured on the validation split beside all this
    [--in-process | --address HOST:PORT]
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from results_page.compared import compare
from results_page.optimum import read_optimum
from results_page.run_facts import gather_facts
from results_page.run_tables import TRIED
from results_page.writing import write_page

from mvkt_ray.errors import ConfigError, MvktError
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_results import FinalsResults, read_finals
from mvkt_ray.search.ledger.ledger_database import reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location

HERE = Path(__file__).parent
STUDY = HERE.parent / "search_spaces" / "fidelity.yaml"


class StageError(Exception):
    """A command did not succeed; it has said why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def main(words: Sequence[str] | None = None) -> int:
    """Read the arguments, run what is missing, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of PTB-XL, or shards; only while they are missing")
    parser.add_argument("--out", type=Path, default=Path("runs/results"))
    parser.add_argument("--page", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--folds")
    parser.add_argument("--searched", type=Path)
    parser.add_argument("--tried", type=Path)
    runner = parser.add_mutually_exclusive_group()
    runner.add_argument("--in-process", action="store_true")
    runner.add_argument("--address")
    words = sys.argv[1:] if words is None else list(words)
    arguments = parser.parse_args(words)
    try:
        tried = read_tried(arguments.tried) if arguments.tried else []
        folder = StudyFolder(Location.parse(arguments.out))
        finals = finals_of(folder) or make_finals(folder, arguments)
        page = write_page(
            compare(finals),
            finals.plan,
            gather_facts(folder, finals),
            optimum=read_optimum(Location.parse(arguments.searched))
            if arguments.searched
            else None,
            tried=tried,
            command=shlex.join(["python", "benchmarks/results.py", *words]),
        )
    except StageError as error:
        return error.code
    except MvktError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    Location.parse(arguments.page).write_bytes(page.encode())
    print(f"wrote {arguments.page}")
    return 0


def make_finals(folder: StudyFolder, arguments: argparse.Namespace) -> FinalsResults:
    """Run what is missing before the test split has been examined, and the examination.

    Raises:
        StageError: A command ended otherwise than well.
    """
    out = str(arguments.out)
    runner = ["--in-process"] if arguments.in_process else []
    runner += ["--address", arguments.address] if arguments.address else []
    search = ["search", str(arguments.study), "--out", out, *runner]
    search += ["--data", arguments.data] if arguments.data else []
    search += ["--folds", arguments.folds] if arguments.folds else []
    if folder.root.exists() and folder.root.names():
        search.append("--resume")
    mvkt(search)
    mvkt(["finalize", out, *runner])
    finals = finals_of(folder)
    assert finals is not None
    return finals


def finals_of(folder: StudyFolder) -> FinalsResults | None:
    """Read the finals of a study; None before they, or the study, are there."""
    if not folder.study_file.exists():
        return None
    name = folder.read_config().name
    with reading(folder) as database, FinalsLedger.open_all(database, name) as ledgers:
        return read_finals(folder, ledgers)


def mvkt(words: Sequence[str]) -> None:
    """Run a command of mvkt as a user would, so that Ctrl-C stops it as cleanly.

    Raises:
        StageError: With its exit code, unless that is 0.
    """
    print(f"$ mvkt {shlex.join(words)}", flush=True)
    process = subprocess.Popen([sys.executable, "-m", "mvkt_ray", *words])
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:
            # It went to the whole process group: the command ends by itself, its work committed.
            continue
    if code != 0:
        raise StageError(code)


def read_tried(path: Path) -> list[Mapping[str, Any]]:
    """Read the rows of `--tried`, YAML or JSON.

    Raises:
        ConfigError: It is no list of rows, or a row lacks a key or has another one.
    """
    rows = yaml.safe_load(path.read_text())
    if not isinstance(rows, list):
        raise ConfigError(f"{path} must be a list of rows, got {type(rows).__name__}.")
    needed = {"name", "macro_auroc"}
    for number, row in enumerate(rows, start=1):
        keys = set(row) if isinstance(row, dict) else set()
        if not needed <= keys <= set(TRIED):
            raise ConfigError(
                f"{path}: row {number} has the keys {sorted(keys)}, must have {sorted(needed)} and "
                f"may have {sorted(set(TRIED) - needed)}."
            )
    return rows


if __name__ == "__main__":
    sys.exit(main())
