"""CPU time of the commands that look at a study: most of it is imports.

Checkouts take turns within each round, each on a copy of the study of its own.

    python benchmarks/looking.py STUDY [--rounds 5] [CHECKOUT ...]

Without a CHECKOUT it is the one that the package is installed from.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

COMMANDS = ("status", "inspect", "gc", "report")


def main() -> None:
    """Run the rounds and print the medians."""
    parser = argparse.ArgumentParser(description="CPU time of commands that look at a study")
    parser.add_argument("study", type=Path, help="folder of a finished study")
    parser.add_argument("checkouts", nargs="*", help="folders of the project")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_intermixed_args()
    checkouts = arguments.checkouts or [str(Path(__file__).parents[1])]
    seen: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="mvkt-looking-") as scratch:
        for place in range(len(checkouts)):
            shutil.copytree(arguments.study, Path(scratch) / f"study{place}")
        for _ in range(arguments.rounds):
            for command in COMMANDS:
                for place, checkout in enumerate(checkouts):
                    study = str(Path(scratch) / f"study{place}")
                    seen.setdefault((command, checkout), []).append(cpu_s(checkout, command, study))
    print("| command | " + " | ".join(f"{Path(each).name}, CPU s" for each in checkouts) + " |")
    print("|---|" + "---:|" * len(checkouts))
    for command in COMMANDS:
        medians = (statistics.median(seen[command, each]) for each in checkouts)
        print(f"| {command} | " + " | ".join(f"{each:.2f}" for each in medians) + " |")


def cpu_s(checkout: str, command: str, study: str) -> float:
    """Return the CPU seconds of a command and its children, by the code of a checkout."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**os.environ, "PYTHONPATH": str(Path(checkout).resolve())}
    line = [sys.executable, "-m", "mvkt_ray", command, study]
    # `-m` looks in the working directory first.
    subprocess.run(line, env=env, cwd=study, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
