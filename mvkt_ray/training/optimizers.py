"""Optimisers, and schedules of the learning rate."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from mvkt_ray.config.recipes import Hyperparameters, TeacherConfig

DECAY_FACTOR = 0.1
DECAY_AT_PERCENT = (40, 70)
"""Percent of the epochs: the authors divide by ten at epochs 40 and 70 of 100."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Steering:
    """Settings of the optimiser and of the learning rate's schedule."""

    optimizer: Literal["adamw", "adam"]
    schedule: Literal["one_cycle", "steps", "constant"]
    learning_rate: float
    weight_decay: float
    warmup_epochs: int
    warmup_factor: float

    @classmethod
    def of(cls, config: Hyperparameters | TeacherConfig) -> "Steering":
        """Take the fields of the same names."""
        return cls(
            optimizer=config.optimizer,
            schedule=config.schedule,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            warmup_epochs=config.warmup_epochs,
            warmup_factor=config.warmup_factor,
        )


def build_optimizer(steering: Steering, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Build the optimiser; `adam` adds the decay to the gradient, `adamw` to the weights."""
    build = {"adamw": AdamW, "adam": Adam}[steering.optimizer]
    # Fused: on small networks a Python loop over the parameters takes longer than the update.
    return build(
        parameters, lr=steering.learning_rate, weight_decay=steering.weight_decay, fused=True
    )


def build_schedule(
    steering: Steering, optimizer: Optimizer, *, epochs: int, steps_per_epoch: int
) -> LRScheduler:
    """Build the schedule, which is stepped once after every optimiser step.

    `one_cycle` is Smith's (arXiv 1708.07120) as fastai and the PTB-XL benchmark use it: the rate
    rises to `learning_rate` and anneals to almost 0, momentum moves against it. `steps` is the
    authors': see `steps_factor`.
    """
    if steering.schedule == "one_cycle":
        return OneCycleLR(
            optimizer, max_lr=steering.learning_rate, total_steps=epochs * steps_per_epoch
        )
    if steering.schedule == "constant":
        return LambdaLR(optimizer, lambda _step: 1.0)
    return LambdaLR(optimizer, lambda step: steps_factor(steering, step // steps_per_epoch, epochs))


def steps_factor(steering: Steering, epoch_from_0: int, epochs: int) -> float:
    """Return the factor of `learning_rate` in an epoch under the `steps` schedule.

    In the warm-up it is `warmup_factor * (epoch + 1)`, which may end above 1 (the authors' ends at
    1.5 for the student and at 15 for the teacher); then 1, multiplied by `DECAY_FACTOR` at each of
    `DECAY_AT_PERCENT` of the epochs.
    """
    if epoch_from_0 < steering.warmup_epochs:
        return steering.warmup_factor * (epoch_from_0 + 1)
    n_decays = sum(100 * epoch_from_0 >= percent * epochs for percent in DECAY_AT_PERCENT)
    return DECAY_FACTOR**n_decays
