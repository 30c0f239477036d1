"""C: Ray Tune by its guide: a function, OptunaSearch, ASHA, the data once in the object store.

python -m benchmarks.peers.c_tune RECIPE.json OUT
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import tune

from benchmarks.peers.b_tensors import Tensors, read_scaled
from benchmarks.peers.plain_training import load_teacher, save_teacher, train_student, train_teacher
from benchmarks.peers.recipe import Recipe
from benchmarks.peers.tune_search import search, seed_of


def trainable(config: dict[str, Any], recipe: Recipe, out: Path, **arrays: np.ndarray) -> None:
    """Train one student, and report each epoch with a checkpoint."""
    torch.set_num_threads(1)
    teacher = load_teacher(out / "teacher.pt")
    students = train_student(recipe, Tensors(arrays), teacher, config, seed_of(recipe, config))
    for score, student in students:
        with tempfile.TemporaryDirectory() as folder:
            torch.save(student.state_dict(), Path(folder) / "student.pt")
            tune.report({"auroc": score}, checkpoint=tune.Checkpoint.from_directory(folder))


def main() -> None:
    """Read the command line, train the teacher here with all cores, and search."""
    recipe, out = Recipe.read(Path(sys.argv[1])), Path(sys.argv[2])
    arrays = read_scaled(recipe)
    torch.set_num_threads(os.cpu_count() or 1)
    save_teacher(train_teacher(recipe, Tensors(arrays)), out / "teacher.pt")
    with_data = tune.with_parameters(trainable, recipe=recipe, out=out, **arrays)
    search(recipe, out, tune.with_resources(with_data, {"cpu": 1}))


if __name__ == "__main__":
    main()
