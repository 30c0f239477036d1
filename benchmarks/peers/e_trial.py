"""E's training script: one student of A's, which Syne Tune starts with its configuration.

Syne Tune writes the hyper-parameters on the command line, and reads what is reported from stdout.
"""

import argparse
import json
import zlib
from pathlib import Path

import torch
from syne_tune import Reporter  # pyright: ignore[reportMissingImports]

from benchmarks.peers.a_dataloader import DataLoaders
from benchmarks.peers.plain_training import load_teacher, train_student
from benchmarks.peers.recipe import RANGES, Recipe


def main() -> None:
    """Train, and report after every epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lead", required=True)
    for name in RANGES:
        parser.add_argument(f"--{name}", type=float, required=True)
    arguments, _ = parser.parse_known_args()
    config = {name: getattr(arguments, name) for name in ("lead", *RANGES)}

    torch.set_num_threads(1)
    recipe = Recipe.read(arguments.out / "recipe.json")
    seed = zlib.crc32(json.dumps([recipe.seed, sorted(config.items())]).encode())
    teacher = load_teacher(arguments.out / "teacher.pt")
    report = Reporter()
    students = train_student(recipe, DataLoaders(recipe, arguments.out), teacher, config, seed)
    for epoch, (score, _) in enumerate(students, start=1):
        report(epoch=epoch, auroc=score)


if __name__ == "__main__":
    main()
