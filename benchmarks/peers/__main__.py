"""The same search by mvkt-ray and by its peers, in turn.

    python -m benchmarks.peers --ptbxl FOLDER --out DIR [--trials 24] [--epochs 10] [--rounds 3]

Each contender's round is a JSON file in DIR; what is there is not run again, so a bench that was
killed goes on with the same line. After every round DIR/PEERS.md is written anew.
"""

import argparse
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import optuna
import psutil
from filelock import FileLock, Timeout

from benchmarks.peers.bench import FIXED, OWN, OtherBenchError, read_rounds, run_missing
from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.measuring import CommandFailedError
from benchmarks.peers.page import page
from benchmarks.peers.recipe import Recipe
from benchmarks.peers.syne_tune_environment import NotInstalledError
from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.config.study_file import parse_folds
from mvkt_ray.data.recording import LEADS
from mvkt_ray.errors import ConfigError

PAGE = "PEERS.md"
OTHER_RAY = (
    "Another Ray runs on this machine: what is measured is not what it would be alone, and D may "
    "wait for ever for the slots of pruned trials. Stop the other one first."
)


def main() -> None:
    """Run what is missing, and print the page."""
    arguments = parse_arguments()
    # What is drawn for the fixed configurations is no news.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Contenders work in folders of their own, from where a relative path leads elsewhere.
    out: Path = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            n_failed = run(arguments, out)
    except Timeout:
        sys.exit(_refuse(f"Another bench runs in {out}; wait for it, or give another --out."))
    except OtherBenchError as error:
        sys.exit(_refuse(str(error)))
    print(write_page(out, arguments.target))
    sys.exit(1 if n_failed else 0)


def run(arguments: argparse.Namespace, out: Path) -> int:
    """Run the contenders' rounds that are missing; return how many failed."""
    folds: FoldsConfig = arguments.folds
    recipe = Recipe(
        ptbxl=str(arguments.ptbxl.resolve()),
        train_folds=folds.train,
        val_folds=folds.val,
        test_folds=folds.test,
        leads=arguments.leads,
        n_trials=arguments.trials,
        epochs=arguments.epochs,
        teacher_epochs=arguments.teacher_epochs or 2 * arguments.epochs,
        seed=0,
        configurations=(),
    )
    contenders = [CONTENDERS[name] for name in arguments.only]
    if any(each.info["name"] == "raylet" for each in psutil.process_iter(["name"])):
        print(OTHER_RAY, file=sys.stderr, flush=True)
    n_failed = 0
    for contender, done in run_missing(
        out, recipe, contenders, searches=arguments.searches, n_rounds=arguments.rounds
    ):
        match done:
            case NotInstalledError():
                print(f"{contender.name} is left out: {done}", file=sys.stderr, flush=True)
            case CommandFailedError():
                n_failed += 1
                print(f"{contender.name} failed: {done}", file=sys.stderr, flush=True)
            case _:
                print(f"{done.file_name}: {done.usage.wall_s:.1f} s", flush=True)
                write_page(out, arguments.target)
    return n_failed


def write_page(out: Path, target: float | None) -> str:
    """Write the page of the rounds that are there, and return it."""
    text = page(read_rounds(out), target)
    partial = out / f"{PAGE}.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(out / PAGE)
    return text


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__.split("\n")[0] if __doc__ else None
    )
    parser.add_argument("--ptbxl", type=_ptbxl, required=True, help="folder of PTB-XL")
    parser.add_argument("--out", type=Path, required=True, help="folder of the rounds")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--teacher-epochs", type=int, help="by default twice as many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folds", type=_folds, default="1-7/8/9", help="train/val/test")
    parser.add_argument("--leads", type=some_of(LEADS), default="I,II,V2,V5")
    parser.add_argument("--only", type=some_of(CONTENDERS), default=",".join(CONTENDERS))
    parser.add_argument("--searches", type=some_of((FIXED, OWN)), default=f"{FIXED},{OWN}")
    parser.add_argument("--target", type=float, help="validation score of the second table")
    return parser.parse_args()


def some_of(known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """Return a reader of names with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return names

    return read


def _ptbxl(text: str) -> Path:
    if not (Path(text) / "ptbxl_database.csv").is_file():
        raise argparse.ArgumentTypeError(f"{text} is not PTB-XL: it has no ptbxl_database.csv")
    return Path(text)


def _folds(text: str) -> FoldsConfig:
    try:
        return parse_folds(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _refuse(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
