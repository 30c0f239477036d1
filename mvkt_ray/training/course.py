"""Request of a training, and its outcome."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.records import Decision, EpochMetrics, EpochRecord, TrialState
from mvkt_ray.training.guidance import Lessons
from mvkt_ray.training.optimizers import Steering
from mvkt_ray.training.validation import Predictions, Windows

Report = Callable[[EpochMetrics], Decision]
"""Receives the metrics of an epoch, and returns the decision to continue or to end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """Training and validation data of a learner, and the length of its training."""

    lessons: Lessons
    """This rank's batches of an epoch, which depend on the epoch alone."""
    steps_per_epoch: int
    examples_per_epoch: int
    """Over all ranks."""
    windows: Windows
    """This rank's part of the validation split."""
    val_labels_NC: NDArray[np.float32]
    """Labels of the whole validation split, with at least one class that can be scored."""
    classes: Sequence[str]
    epochs: int
    steering: Steering
    seed: int
    recipe: str
    """Hash of everything that determines the numbers; a checkpoint of another recipe is refused."""
    ema_decay: float = 0.0
    """Above 0: the averaged weights of `WeightAverage` are validated, and are the network's weights
    in the end."""
    gradient_accumulation: int = 1
    """Parts in which each of this rank's batches is computed; not in the recipe, as a training may
    be resumed with less memory. See `add_gradients` for its effects."""
    validated_epochs: Collection[int] | None = None
    """Epochs with a validation, beside the last; None: every epoch. Validation draws no random
    numbers and changes no weights, so the other numbers do not depend on it."""

    def validates(self, epoch: int) -> bool:
        """Return whether the learner is validated after an epoch."""
        chosen = self.validated_epochs
        return chosen is None or epoch in chosen or epoch == self.epochs


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a training ended: complete, pruned or diverged."""

    state: TrialState
    epochs: int
    """Trained, over all attempts that counted."""
    history: tuple[EpochRecord, ...]
    """Metrics of every epoch."""
    reason: str = ""
    wall_s: float = 0.0
    """Over all attempts."""
    cpu_s: float = 0.0
    """Over all attempts and ranks."""
    predictions: Predictions | None = None
    """On the validation split, of a complete training."""

    @property
    def last_validated(self) -> EpochRecord | None:
        """The last epoch that has a score; None while none has."""
        scored = (r for r in reversed(self.history) if r.metrics.macro_auroc is not None)
        return next(scored, None)
