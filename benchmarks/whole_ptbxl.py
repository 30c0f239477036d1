"""Seconds of `mvkt ingest` for as many recordings as all of PTB-XL has, from local disk.

    python benchmarks/whole_ptbxl.py PTBXL_FOLDER [--recordings 21799] [--rounds 3]

A part of PTB-XL is copied until there are so many, each with an id, a patient and files of its
own. The command runs as a user runs it: with a Ray of its own, and in one process.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ID_STEP = 100_000
"""Between the ids of a recording and of its copy; also between those of their patients."""
LAYOUTS = {"on Ray": (), "in one process": ("--in-process",)}


def main() -> None:
    """Make the folder, and time the command in turn."""
    arguments = parse_arguments()
    seconds: dict[str, list[float]] = {name: [] for name in LAYOUTS}
    with tempfile.TemporaryDirectory(prefix="mvkt-ptbxl-", dir=arguments.scratch) as scratch:
        folder = copy_until(arguments.folder, Path(scratch) / "ptbxl", arguments.recordings)
        for number in range(arguments.rounds):
            for name, flags in LAYOUTS.items():
                out = Path(scratch) / "shards"
                line = [sys.executable, "-m", "mvkt_ray", "ingest", "ptbxl", folder, out, *flags]
                started = time.perf_counter()
                subprocess.run([str(word) for word in line], check=True, stdout=subprocess.DEVNULL)
                seconds[name].append(time.perf_counter() - started)
                shutil.rmtree(out)
                print(f"round {number + 1}, {name}: {seconds[name][-1]:.1f} s", flush=True)
    for name, each in seconds.items():
        print(f"{arguments.recordings:,} recordings {name}: {statistics.median(each):.1f} s")


def copy_until(ptbxl: Path, out: Path, n_recordings: int) -> Path:
    """Copy table and recordings at 100 Hz again and again until there are so many."""
    out.mkdir()
    shutil.copy(ptbxl / "scp_statements.csv", out)
    table = pd.read_csv(ptbxl / "ptbxl_database.csv", dtype=str)
    copies: list[pd.DataFrame] = []
    left = n_recordings
    while left > 0:
        number, part = len(copies), table.head(left)
        targets = [f"records100/{number}/{Path(name).name}" for name in part["filename_lr"]]
        (out / "records100" / str(number)).mkdir(parents=True)
        for name, target in zip(part["filename_lr"], targets, strict=True):
            for suffix in (".hea", ".dat"):
                shutil.copyfile(ptbxl / f"{name}{suffix}", out / f"{target}{suffix}")
        changed = {
            "ecg_id": shifted(part["ecg_id"], number),
            "patient_id": shifted(part["patient_id"], number),
            "filename_lr": targets,
            "filename_hr": [name.replace("_lr", "_hr") for name in targets],
        }
        copies.append(part.assign(**changed))
        left -= len(part)
    pd.concat(copies).to_csv(out / "ptbxl_database.csv", index=False)
    return out


def shifted(ids: pd.Series, number: int) -> list[str]:
    """Return the ids of a copy."""
    return [str(int(float(each)) + number * ID_STEP) for each in ids]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of PTB-XL, or a part of it")
    parser.add_argument("--recordings", type=int, default=21_799)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scratch", type=Path, help="for copies and shards; by default TMPDIR")
    return parser.parse_args()


if __name__ == "__main__":
    main()
