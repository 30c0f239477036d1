"""What every contender is given: the same recordings, networks, batches, epochs, configurations."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NETWORK = "xresnet1d18"
SAMPLING_RATE_HZ = 100
CROP_SAMPLES, GRID_SAMPLES, STRIDE_SAMPLES = 250, 50, 125
"""Training crops and validation windows; where crops may start; where windows start."""

BATCH_SIZE = 64
TEACHER_LEARNING_RATE = 2e-2
WEIGHT_DECAY = 1e-2
RANGES = {
    "learning_rate": (1e-3, 2e-2),
    "kd_weight": (0.1, 10.0),
    "distill_temperature": (1.0, 8.0),
}
"""Drawn on a log scale; the lead is drawn too."""

MIN_EPOCHS, REDUCTION_FACTOR = 2, 2
"""Of everybody's own pruning."""

N_WORKERS = 2
"""Trials at once."""

Config = dict[str, Any]
"""`lead` and the drawn hyper-parameters of a trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One search."""

    ptbxl: str
    """Folder of PTB-XL."""
    train_folds: tuple[int, ...]
    val_folds: tuple[int, ...]
    test_folds: tuple[int, ...]
    """Which nobody trains on or is scored on."""
    leads: tuple[str, ...]
    n_trials: int
    epochs: int
    teacher_epochs: int
    seed: int
    configurations: tuple[Config, ...]
    """What everybody trains to its end, by the trial's number; empty: everybody's own sampler and
    pruning."""

    @property
    def own_pruning(self) -> bool:
        """Whether everybody searches by what it has of its own."""
        return not self.configurations

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read what `write` wrote."""
        return cls.from_json(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Recipe":
        """Return the recipe of plain values."""
        fields: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in value.items()
        }
        return cls(**fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedTrial:
    """What a contender says of one of its trials."""

    config: Config
    score: float | None
    """Macro AUROC on the validation split after the last epoch; None where it ended before."""
    epochs: int
    ended_s: float
    """Seconds since 1970."""


def write_trials(path: Path, trials: Sequence[EndedTrial]) -> None:
    """Write what a contender came to, as JSON."""
    path.write_text(json.dumps([asdict(trial) for trial in trials]), encoding="utf-8")


def read_trials(path: Path) -> list[EndedTrial]:
    """Read what `write_trials` wrote."""
    return [EndedTrial(**each) for each in json.loads(path.read_text(encoding="utf-8"))]
