"""D: Ray Tune and Ray Train by their guide: a TorchTrainer in each trial, fed by Ray Data.

    python -m benchmarks.peers.d_torch_trainer RECIPE.json OUT

Of the cores a trial's worker reserves half of one, and its driver next to none: tasks of Ray Data
need some, too, and trials that leave them none wait for ever.
"""

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data
import ray.train
import torch
from ray import tune
from ray.data import DataIterator
from ray.train import Checkpoint, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback
from torch import Tensor

from benchmarks.peers.b_tensors import read_scaled
from benchmarks.peers.plain_training import (
    batch_size,
    load_teacher,
    n_crops,
    save_teacher,
    train_student,
    train_teacher,
    windows_of,
)
from benchmarks.peers.recipe import CROP_SAMPLES, GRID_SAMPLES, Recipe
from benchmarks.peers.tune_search import search, seed_of

N_LEADS = 12
DRIVER_CPUS, WORKER_CPUS = 0.01, 0.5


def prepare(recipe: Recipe, out: Path) -> None:
    """Read the recordings by wfdb once, and write a Parquet file for each split."""
    arrays = read_scaled(recipe)
    for split in ("train", "val"):
        signal, labels = arrays[f"{split}_signal"], arrays[f"{split}_labels"]
        columns = {
            "signal": pa.FixedShapeTensorArray.from_numpy_ndarray(signal),
            "labels": pa.FixedShapeTensorArray.from_numpy_ndarray(labels),
        }
        pq.write_table(pa.table(columns), out / f"{split}.parquet")


class Shards:
    """What the loops are fed with, in a worker of Ray Train."""

    def __init__(self, n_train: int) -> None:
        self._train, self._val = _shard("train"), _shard("val")
        self._n_train = n_train
        self._batch_size = batch_size(n_train)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self._n_train // self._batch_size

    def train_batches(self) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield shuffled crops."""
        inside = torch.arange(CROP_SAMPLES)
        for batch in self._train.iter_torch_batches(
            batch_size=self._batch_size,
            drop_last=True,
            local_shuffle_buffer_size=self._n_train,
        ):
            signal: Tensor = batch["signal"]
            starts = torch.randint(n_crops(signal.shape[2]), (len(signal), 1, 1)) * GRID_SAMPLES
            yield signal.gather(2, (starts + inside).expand(-1, N_LEADS, -1)), batch["labels"]

    def val_windows(self) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield windows."""
        for batch in self._val.iter_torch_batches(batch_size=self._batch_size):
            yield windows_of(batch["signal"]), batch["labels"]


def _shard(split: str) -> DataIterator:
    shard = ray.train.get_dataset_shard(split)
    assert shard is not None
    return shard


def train_teacher_worker(config: dict[str, Any]) -> None:
    """Train the teacher with all cores."""
    torch.set_num_threads(os.cpu_count() or 1)
    teacher = train_teacher(config["recipe"], Shards(config["n_train"]))
    save_teacher(teacher, config["out"] / "teacher.pt")


def train_student_worker(config: dict[str, Any]) -> None:
    """Train one student, and report each epoch with a checkpoint."""
    torch.set_num_threads(1)
    recipe, own = config["recipe"], config["own"]
    teacher = load_teacher(config["out"] / "teacher.pt")
    recordings = Shards(config["n_train"])
    for score, student in train_student(recipe, recordings, teacher, own, seed_of(recipe, own)):
        with tempfile.TemporaryDirectory() as folder:
            torch.save(student.state_dict(), Path(folder) / "student.pt")
            checkpoint = Checkpoint.from_directory(folder)
            ray.train.report({"auroc": score}, checkpoint=checkpoint)


def main() -> None:
    """Read the command line, train the teacher, and search."""
    recipe, out = Recipe.read(Path(sys.argv[1])), Path(sys.argv[2])
    prepare(recipe, out)
    ray.init()
    datasets = {
        split: ray.data.read_parquet(str(out / f"{split}.parquet")).materialize()
        for split in ("train", "val")
    }
    common = {"recipe": recipe, "out": out, "n_train": datasets["train"].count()}
    TorchTrainer(
        train_teacher_worker,
        train_loop_config=common,
        scaling_config=ScalingConfig(num_workers=1),
        run_config=RunConfig(name="teacher", storage_path=str(out / "train")),
        datasets=dict(datasets),
    ).fit()

    def train_driver(config: dict[str, Any]) -> None:
        TorchTrainer(
            train_student_worker,
            train_loop_config={**common, "own": config},
            scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": WORKER_CPUS}),
            run_config=RunConfig(
                name=tune.get_context().get_trial_id(),
                storage_path=str(out / "train"),
                callbacks=[TuneReportCallback()],
            ),
            datasets=dict(datasets),
        ).fit()

    search(recipe, out, tune.with_resources(train_driver, {"CPU": DRIVER_CPUS}))


if __name__ == "__main__":
    main()
