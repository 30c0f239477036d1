"""The same search by mvkt-ray and by its peers, in turn.

    python -m benchmarks.peers --ptbxl FOLDER --out DIR [--trials 24] [--epochs 10] [--rounds 3]

Each contender's round is a JSON file in DIR; what is there is not run again, so a bench that was
killed goes on with the same line. After every round DIR/PEERS.md is written anew.
"""

import argparse
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from benchmarks.peers.bench import FIXED, OWN, OtherBenchError, read_rounds, run_missing
from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.measuring import CommandFailedError
from benchmarks.peers.page import page
from benchmarks.peers.recipe import Recipe
from benchmarks.peers.syne_tune_environment import NotInstalledError
from mvkt_ray.config.study_file import parse_folds
from mvkt_ray.data.recording import LEADS

PAGE = "PEERS.md"


def main() -> None:
    """Run what is missing, and write the page."""
    arguments = parse_arguments()
    # Contenders work in folders of their own, from where a relative path leads elsewhere.
    out: Path = arguments.out.resolve()
    folds = parse_folds(arguments.folds)
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
    n_failed = 0
    try:
        for contender, done in run_missing(
            out,
            recipe,
            contenders,
            searches=arguments.searches,
            n_rounds=arguments.rounds,
        ):
            if isinstance(done, NotInstalledError):
                print(f"{contender.name} is left out: {done}", file=sys.stderr, flush=True)
                continue
            if isinstance(done, CommandFailedError):
                n_failed += 1
                print(f"{contender.name} failed: {done}", file=sys.stderr, flush=True)
                continue
            print(f"{done.file_name}: {done.usage.wall_s:.1f} s", flush=True)
            (out / PAGE).write_text(page(read_rounds(out), arguments.target), encoding="utf-8")
    except OtherBenchError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    text = page(read_rounds(out), arguments.target)
    (out / PAGE).write_text(text, encoding="utf-8")
    print(text)
    sys.exit(1 if n_failed else 0)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__.split("\n")[0] if __doc__ else None
    )
    parser.add_argument("--ptbxl", type=Path, required=True, help="folder of PTB-XL")
    parser.add_argument("--out", type=Path, required=True, help="folder of the rounds")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--teacher-epochs", type=int, help="by default twice as many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folds", default="1-7/8/9", help="train/val/test")
    parser.add_argument("--leads", type=some_of(LEADS), default=("I", "II", "V2", "V5"))
    parser.add_argument("--only", type=some_of(CONTENDERS), default=tuple(CONTENDERS))
    parser.add_argument("--searches", type=some_of((FIXED, OWN)), default=(FIXED, OWN))
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


if __name__ == "__main__":
    main()
