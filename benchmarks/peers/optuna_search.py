"""A search with Optuna in two processes that share an SQLite file, as its documentation does it."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import optuna
import torch
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from benchmarks.peers.plain_training import (
    Recordings,
    load_teacher,
    save_teacher,
    train_student,
    train_teacher,
)
from benchmarks.peers.recipe import (
    MIN_EPOCHS,
    N_WORKERS,
    RANGES,
    REDUCTION_FACTOR,
    EndedTrial,
    Recipe,
    write_trials,
)

Open = Callable[[Recipe, Path], Recordings]
"""Opens what `prepare` wrote into a folder; called in every process."""


def search(recipe: Recipe, out: Path, open_recordings: Open) -> None:
    """Train the teacher with all cores, then the students, two at a time with one core each."""
    torch.set_num_threads(os.cpu_count() or 1)
    save_teacher(train_teacher(recipe, open_recordings(recipe, out)), out / "teacher.pt")
    study = optuna.create_study(study_name="peer", storage=_storage(out), direction="maximize")
    for config in recipe.configurations:
        study.enqueue_trial(config)
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(recipe, out, open_recordings, number))
        for number in range(N_WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a worker failed")
    write_trials(out / "trials.json", [_ended(recipe, trial) for trial in study.trials])


def _work(recipe: Recipe, out: Path, open_recordings: Open, number: int) -> None:
    torch.set_num_threads(1)
    recordings, teacher = open_recordings(recipe, out), load_teacher(out / "teacher.pt")
    pruner = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=MIN_EPOCHS, reduction_factor=REDUCTION_FACTOR
    )
    study = optuna.load_study(
        study_name="peer",
        storage=_storage(out),
        sampler=optuna.samplers.TPESampler(seed=recipe.seed * N_WORKERS + number),
        pruner=pruner if recipe.own_pruning else optuna.pruners.NopPruner(),
    )

    def objective(trial: optuna.Trial) -> float:
        config = {"lead": trial.suggest_categorical("lead", recipe.leads)} | {
            name: trial.suggest_float(name, low, high, log=True)
            for name, (low, high) in RANGES.items()
        }
        score, seed = 0.0, recipe.seed * 10_000 + trial.number
        students = train_student(recipe, recordings, teacher, config, seed)
        for epoch, (score, _) in enumerate(students, start=1):
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

    begun = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
    study.optimize(objective, callbacks=[MaxTrialsCallback(recipe.n_trials, states=begun)])


def _storage(out: Path) -> str:
    return f"sqlite:///{out / 'optuna.db'}"


def _ended(recipe: Recipe, trial: optuna.trial.FrozenTrial) -> EndedTrial:
    assert trial.datetime_complete is not None
    return EndedTrial(
        config=dict(trial.params),
        # Optuna may prune after the last epoch, too: such a trial has come to its end.
        score=trial.intermediate_values.get(recipe.epochs),
        epochs=len(trial.intermediate_values),
        ended_s=trial.datetime_complete.timestamp(),
    )
