"""A search with Ray Tune as its guide does it: OptunaSearch proposes, ASHA prunes."""

import json
import zlib
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.peers.recipe import (
    MIN_EPOCHS,
    N_WORKERS,
    RANGES,
    REDUCTION_FACTOR,
    Config,
    EndedTrial,
    Recipe,
    write_trials,
)


def search(recipe: Recipe, out: Path, trainable: Any) -> None:
    """Run all trials, and write how they ended.

    Args:
        recipe: What is searched.
        out: The folder for everything.
        trainable: A function of a configuration that reports `auroc` after every epoch.
    """
    space: dict[str, Any] = {"lead": tune.choice(list(recipe.leads))} | {
        name: tune.loguniform(low, high) for name, (low, high) in RANGES.items()
    }
    asha = ASHAScheduler(
        max_t=recipe.epochs,
        grace_period=min(MIN_EPOCHS, recipe.epochs),
        reduction_factor=REDUCTION_FACTOR,
    )
    tuner = tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="auroc",
            mode="max",
            num_samples=recipe.n_trials,
            max_concurrent_trials=N_WORKERS,
            search_alg=OptunaSearch(
                points_to_evaluate=list(recipe.configurations) or None, seed=recipe.seed
            ),
            scheduler=asha if recipe.own_pruning else FIFOScheduler(),
        ),
        run_config=tune.RunConfig(name="peer", storage_path=str(out / "tune")),
    )
    results = tuner.fit()
    if results.errors:
        raise SystemExit(f"{len(results.errors)} trials failed: {results.errors[0]}")
    write_trials(out / "trials.json", [_ended(recipe, result) for result in results])


def seed_of(recipe: Recipe, config: Config) -> int:
    """Return a seed of a configuration: a trial of Tune has no number."""
    values = json.dumps([recipe.seed, sorted(config.items())])
    return zlib.crc32(values.encode())


def _ended(recipe: Recipe, result: tune.Result) -> EndedTrial:
    metrics, config = result.metrics, result.config
    assert metrics is not None
    assert config is not None
    epochs = int(metrics["training_iteration"])
    return EndedTrial(
        config={name: config[name] for name in ("lead", *RANGES)},
        score=float(metrics["auroc"]) if epochs == recipe.epochs else None,
        epochs=epochs,
        ended_s=float(metrics["timestamp"]),
    )
