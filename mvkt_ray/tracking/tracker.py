"""The interface of trackers, and the names of a study's values in them."""

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mvkt_ray.records import EpochMetrics, Trial, TrialResult, trial_folder_name

_MOST_LETTERS = 100
"""Most letters of a class in a key; file systems and services allow about 250 in all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedStudy:
    """The identity of a study for trackers."""

    name: str
    where: str
    """Its folder, by which a resumed study finds its earlier runs in a tracker."""
    scratch: Path
    """A folder on this machine for a tracker's own files."""


class Tracker(Protocol):
    """An experiment tracker. Called by one thread; may raise any exception."""

    def start_study(self, study: TrackedStudy) -> None:
        """Begin or resume a study."""
        ...

    def start_trial(self, trial: Trial) -> None:
        """Begin or resume a trial."""
        ...

    def log_epoch(self, trial: Trial, metrics: EpochMetrics) -> None:
        """Log the metrics of a trial's epoch, once per epoch."""
        ...

    def end_trial(self, trial: Trial, result: TrialResult) -> None:
        """Log the end of a trial."""
        ...

    def end_study(self, files: Mapping[str, bytes]) -> None:
        """Store the study's files by name, and close all resources."""
        ...


def trial_name(trial: Trial) -> str:
    """Return the name of a trial, `trial 00012 II search`."""
    folder, name = trial_folder_name(trial.number), trial.contender or trial.arm.value
    return f"trial {folder} {trial.condition.name} {name}"


def trial_parameters(trial: Trial) -> dict[str, str | int | float | bool]:
    """Return the hyper-parameters, with the lead, the arm and the repetition."""
    return {
        **trial.hyperparameters,
        "lead": trial.condition.name,
        "arm": trial.arm.value,
        "repetition": trial.repetition,
    }


def epoch_values(metrics: EpochMetrics) -> dict[str, float]:
    """Return the numbers of an epoch by name, without non-finite and missing ones."""
    values = {
        "macro_auroc": math.nan if metrics.macro_auroc is None else metrics.macro_auroc,
        **{f"loss_{name}": value for name, value in metrics.losses.items()},
        "train_s": metrics.train_s,
        "validate_s": metrics.validate_s,
    }
    return {name: value for name, value in values.items() if math.isfinite(value)}


def metric_keys(names: Iterable[str]) -> dict[str, str]:
    """Return a valid key of every tracker for each class, unique regardless of case.

    Trackers use keys as file names and paths: invalid and special letters become `_`, and a number
    distinguishes keys that would then be equal.
    """
    keys: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_ -]", "_", name)[:_MOST_LETTERS].strip()
        key = f"auroc_{plain}"
        for number in itertools.count(2):
            if key.lower() not in taken:
                break
            key = f"auroc_{plain}_{number}"
        taken.add(key.lower())
        keys[name] = key
    return keys


def _by_key(per_class_auroc: Mapping[str, float]) -> dict[str, float]:
    keys = metric_keys(per_class_auroc)
    return {keys[name]: value for name, value in per_class_auroc.items()}


def end_values(result: TrialResult) -> dict[str, float]:
    """Return the numbers of an ended trial by name, without non-finite ones."""
    values = {
        "final_macro_auroc": math.nan if result.macro_auroc is None else result.macro_auroc,
        "epochs": float(result.epochs),
        "wall_s": result.wall_s,
        "cpu_s": result.cpu_s,
        **_by_key(result.per_class_auroc),
    }
    return {name: value for name, value in values.items() if math.isfinite(value)}
