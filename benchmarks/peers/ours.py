"""Ours, as a user calls it: a study file and `mvkt search`, with a Ray of its own.

The peers' fixed configurations are those that the random sampler of this study draws.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers.recipe import (
    BATCH_SIZE,
    CROP_SAMPLES,
    GRID_SAMPLES,
    MIN_EPOCHS,
    N_WORKERS,
    NETWORK,
    RANGES,
    REDUCTION_FACTOR,
    SAMPLING_RATE_HZ,
    STRIDE_SAMPLES,
    TEACHER_LEARNING_RATE,
    WEIGHT_DECAY,
    Config,
    EndedTrial,
    Recipe,
)
from mvkt_ray.config.study_file import study_from_yaml
from mvkt_ray.data.recording import LEADS
from mvkt_ray.search.choosing.proposing import propose
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location


def study_of(recipe: Recipe, *, own_pruning: bool) -> dict[str, Any]:
    """Return the study file, as plain values."""
    pruner = {
        "kind": "successive_halving",
        "min_epochs": MIN_EPOCHS,
        "reduction_factor": REDUCTION_FACTOR,
    }
    ranges = {name: {"low": low, "high": high, "log": True} for name, (low, high) in RANGES.items()}
    folds = {"train": recipe.train_folds, "val": recipe.val_folds, "test": recipe.test_folds}
    return {
        "name": "peers",
        "seed": recipe.seed,
        "data": {
            "source": "ptbxl",
            "sampling_rate_hz": SAMPLING_RATE_HZ,
            "task": "superdiagnostic",
            "folds": {name: list(each) for name, each in folds.items()},
        },
        "view": {
            "crop_s": CROP_SAMPLES / SAMPLING_RATE_HZ,
            "grid_s": GRID_SAMPLES / SAMPLING_RATE_HZ,
            "stride_s": STRIDE_SAMPLES / SAMPLING_RATE_HZ,
        },
        "teacher": {
            "network": NETWORK,
            "epochs": recipe.teacher_epochs,
            "batch_size": BATCH_SIZE,
            "learning_rate": TEACHER_LEARNING_RATE,
            "weight_decay": WEIGHT_DECAY,
            "seed": recipe.seed,
        },
        "student": {"epochs": recipe.epochs, "knowledge": "cached"},
        "space": {
            **ranges,
            "student": NETWORK,
            "batch_size": BATCH_SIZE,
            "weight_decay": WEIGHT_DECAY,
            "clt_weight": 0.0,
        },
        "search": {
            "leads": list(recipe.leads),
            "n_trials": recipe.n_trials,
            "baselines": [],
            "sampler": "tpe" if own_pruning else "random",
            "pruner": pruner if own_pruning else {"kind": "none"},
        },
        "resources": {"max_concurrent_trials": N_WORKERS},
    }


def configurations_of(recipe: Recipe) -> tuple[Config, ...]:
    """Return what the study draws where nothing is pruned, by the trial's number."""
    study = json.dumps(study_of(recipe, own_pruning=False))
    config = study_from_yaml(study, "the study of the peers")
    space = SearchSpace.from_config(config, LEADS)
    return tuple(
        {"lead": recipe.leads[number % len(recipe.leads)]}
        | propose(space, config.search, seed=recipe.seed, number=number, records=[])
        for number in range(recipe.n_trials)
    )


def command(recipe: Recipe, out: Path) -> list[str]:
    """Write the study file, and return the command line."""
    study = out / "peers.yaml"  # JSON is YAML
    study.write_text(json.dumps(study_of(recipe, own_pruning=recipe.own_pruning)), encoding="utf-8")
    mvkt = [sys.executable, "-m", "mvkt_ray"]
    return [*mvkt, "search", str(study), "--data", recipe.ptbxl, "--out", str(out / "study")]


def trials_in(out: Path) -> list[EndedTrial]:
    """Read the trials from the ledger."""
    _, study = open_study(StudyFolder(Location.parse(str(out / "study"))))
    trials: list[EndedTrial] = []
    for record in study.trials():
        assert record.ended_at is not None
        assert record.result is not None
        trials.append(
            EndedTrial(
                config={"lead": record.condition, **record.drawn},
                score=record.macro_auroc,
                epochs=record.result.epochs,
                ended_s=record.ended_at.timestamp(),
            )
        )
    return trials
