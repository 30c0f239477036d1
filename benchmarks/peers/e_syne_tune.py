"""E: Syne Tune over A's training: a process for each trial, ASHA or a list of configurations.

    python -m benchmarks.peers.e_syne_tune RECIPE.json OUT

Runs in an environment of its own, see `syne_tune_environment`.
"""

import os
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from syne_tune import StoppingCriterion, Tuner  # pyright: ignore[reportMissingImports]
from syne_tune.backend import LocalBackend  # pyright: ignore[reportMissingImports]
from syne_tune.config_space import choice, loguniform  # pyright: ignore[reportMissingImports]
from syne_tune.optimizer.baselines import (  # pyright: ignore[reportMissingImports]
    ASHA,
    RandomSearch,
)

from benchmarks.peers.a_dataloader import DataLoaders, prepare
from benchmarks.peers.plain_training import save_teacher, train_teacher
from benchmarks.peers.recipe import (
    MIN_EPOCHS,
    N_WORKERS,
    RANGES,
    REDUCTION_FACTOR,
    EndedTrial,
    Recipe,
    write_trials,
)


def scheduler_of(recipe: Recipe, out: Path) -> Any:
    """Return what proposes and prunes."""
    space: dict[str, Any] = {"out": str(out), "lead": choice(list(recipe.leads))} | {
        name: loguniform(low, high) for name, (low, high) in RANGES.items()
    }
    if recipe.own_pruning:
        return ASHA(
            space,
            metric="auroc",
            time_attr="epoch",
            max_t=recipe.epochs,
            do_minimize=False,
            random_seed=recipe.seed,
            grace_period=min(MIN_EPOCHS, recipe.epochs),
            reduction_factor=REDUCTION_FACTOR,
        )
    return RandomSearch(
        space,
        metrics=["auroc"],
        do_minimize=False,
        random_seed=recipe.seed,
        points_to_evaluate=[{**config, "out": str(out)} for config in recipe.configurations],
    )


def ended_trials(recipe: Recipe, results: pd.DataFrame) -> list[EndedTrial]:
    """Return how each trial ended, from what all of them reported."""
    trials: list[EndedTrial] = []
    for _, reports in results.groupby("trial_id"):
        last = reports.sort_values("epoch").iloc[-1].to_dict()
        epochs = int(last["epoch"])
        trials.append(
            EndedTrial(
                config={name: last[f"config_{name}"] for name in ("lead", *RANGES)},
                score=float(last["auroc"]) if epochs == recipe.epochs else None,
                epochs=epochs,
                ended_s=float(last["st_worker_timestamp"]),
            )
        )
    return trials


def main() -> None:
    """Read the command line, train the teacher here with all cores, and search."""
    recipe, out = Recipe.read(Path(sys.argv[1])), Path(sys.argv[2])
    os.environ["SYNETUNE_FOLDER"] = str(out / "syne-tune")
    prepare(recipe, out)
    torch.set_num_threads(os.cpu_count() or 1)
    save_teacher(train_teacher(recipe, DataLoaders(recipe, out)), out / "teacher.pt")
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).with_name("e_trial.py"))),
        scheduler=scheduler_of(recipe, out),
        stop_criterion=StoppingCriterion(max_num_trials_started=recipe.n_trials - 1),
        n_workers=N_WORKERS,
        wait_trial_completion_when_stopping=True,
        tuner_name="peer",
        suffix_tuner_name=False,
    )
    tuner.run()
    results = pd.read_csv(tuner.tuner_path / "results.csv.zip")
    write_trials(out / "trials.json", ended_trials(recipe, results))


if __name__ == "__main__":
    main()
