"""The epoch loop that teacher and students share: train, validate, save, report, decide.

Reads: batches and evaluation windows. Writes: one checkpoint, replaced after every epoch.
"""

import math
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import fmean

import torch

from mvkt_ray.models.sync_batch_norm import sync_batch_norm
from mvkt_ray.models.weight_average import WeightAverage
from mvkt_ray.records import Decision, EpochMetrics, EpochRecord, TrialState
from mvkt_ray.storage.location import Location
from mvkt_ray.training.checkpoint import Checkpoint, read_checkpoint
from mvkt_ray.training.course import Course, Outcome, Report
from mvkt_ray.training.gradients import add_gradients, over_ranks
from mvkt_ray.training.learner import Learner
from mvkt_ray.training.optimizers import build_optimizer, build_schedule
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.seeds import derive_seed
from mvkt_ray.training.validation import Predictions, predict

_ENDS = {Decision.PRUNE: TrialState.PRUNED, Decision.STOP: TrialState.RUNNING}
"""State of a training after a decision to end it."""


def fit(
    learner: Learner,
    course: Course,
    checkpoint_at: Location,
    report: Report,
    *,
    device: torch.device,
    ranks: Ranks,
    is_own_place: bool = False,
) -> Outcome:
    """Train from the last checkpoint, or from the start, to the last epoch.

    With `ema_decay`, the learner has the averaged weights after a complete training.

    Called on every rank. `report` is called on the first rank only, once per epoch, validated or
    not, after the epoch's checkpoint is written. On resumption it is called again for all epochs of
    the checkpoint, since a process may have died between checkpoint and report.

    A loss or a prediction that is not finite ends the training as diverged, with the checkpoint of
    the epoch before.

    Args:
        learner: Freshly initialised, equal on every rank.
        course: Lessons, epochs, windows and settings of the training.
        checkpoint_at: Location of the checkpoint file.
        report: Returns the decision to continue, prune or stop.
        device: Device of this rank.
        ranks: The process group, with this process's rank.
        is_own_place: Whether to replace, not refuse, another training's checkpoint.

    Returns:
        State, epochs, history, times and the last predictions.

    Raises:
        ArtifactError: The checkpoint belongs to another training.
    """
    with _own_randomness(device):
        training = _Training(
            learner, course, checkpoint_at, device=device, ranks=ranks, is_own_place=is_own_place
        )
        return training.run(report)


class _Training:
    """The training of a learner on a course, resumed from its checkpoint if there is one."""

    def __init__(
        self,
        learner: Learner,
        course: Course,
        checkpoint_at: Location,
        *,
        device: torch.device,
        ranks: Ranks,
        is_own_place: bool,
    ) -> None:
        self.learner, self.course, self.checkpoint_at = learner, course, checkpoint_at
        self.device, self.ranks = device, ranks
        self.clock = _Clock()
        self.done = 0
        self.history: list[EpochRecord] = []
        learner.to(device)
        if ranks.are_many:
            sync_batch_norm(learner.network)
        self.optimizer = build_optimizer(course.steering, learner.parameters())
        self.schedule = build_schedule(
            course.steering,
            self.optimizer,
            epochs=course.epochs,
            steps_per_epoch=course.steps_per_epoch,
        )
        self.average = (
            WeightAverage(learner.network, course.ema_decay) if course.ema_decay else None
        )
        self._resume(is_own_place)
        self.module = over_ranks(learner, device, ranks)

    def run(self, report: Report) -> Outcome:
        """Train to the last epoch, to a decision to end, or to a value that is not finite."""
        ended = self._replay(report)
        if ended is not None:
            return ended
        last: Predictions | None = None
        for epoch in range(self.done + 1, self.course.epochs + 1):
            started_s = time.perf_counter()
            losses = self._train_epoch(epoch)
            if not all(math.isfinite(value) for value in losses.values()):
                reason = f"epoch {epoch}: the loss is not finite ({losses})"
                return self._end(TrialState.DIVERGED, epoch - 1, reason)
            trained_s = time.perf_counter()

            last = self._validate() if self.course.validates(epoch) else None
            if last is not None and not last.are_finite:
                reason = f"epoch {epoch}: predictions are not finite"
                return self._end(TrialState.DIVERGED, epoch - 1, reason)
            metrics = EpochMetrics(
                epoch=epoch,
                macro_auroc=None,
                losses=losses,
                train_s=trained_s - started_s,
                n_examples=self.course.examples_per_epoch,
            )
            self.history.append(_scored(metrics, last, self.course.classes, trained_s))
            self._save(epoch)
            decision = _decision(self.history[-1].metrics, report, self.ranks)
            if decision is not Decision.CONTINUE:
                return self._end(_ENDS[decision], epoch, _reason(decision, epoch))

        last = last or self._validate()
        if self.average is not None:
            self.learner.network.load_state_dict(self.average.network.state_dict())
        return self._end(TrialState.COMPLETE, self.course.epochs, last=last)

    def _replay(self, report: Report) -> Outcome | None:
        """Report the checkpoint's epochs again; return the outcome if a decision ends it there."""
        for position, record in enumerate(self.history, start=1):
            epoch = record.metrics.epoch
            decision = _decision(record.metrics, report, self.ranks)
            if decision is Decision.STOP:
                return self._end(TrialState.RUNNING, self.done, _reason(decision, self.done))
            if decision is Decision.PRUNE:
                del self.history[position:]
                return self._end(TrialState.PRUNED, epoch, _reason(decision, epoch))
        return None

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        """Take all steps of an epoch; return the means of the terms over steps and ranks."""
        course, terms = self.course, self.learner.term_names
        # Dropout draws from torch's global generator; seeded per epoch, it needs no checkpoint.
        torch.manual_seed(derive_seed(course.seed, epoch, self.ranks.rank))
        self.module.train()
        sums = torch.zeros(len(terms), dtype=torch.float64, device=self.device)
        for lesson in course.lessons(epoch):
            self.optimizer.zero_grad(set_to_none=True)
            # Read once per epoch: reading a number per step would wait for the GPU each time.
            sums += add_gradients(self.module, terms, lesson, course.gradient_accumulation)
            self.optimizer.step()
            self.schedule.step()
            if self.average is not None:
                self.average.update(self.learner.network)
        means = self.ranks.sum(sums) / (course.steps_per_epoch * self.ranks.world_size)
        return dict(zip(terms, means.tolist(), strict=True))

    def _validate(self) -> Predictions:
        return predict(
            self.average.network if self.average else self.learner.network,
            self.course.windows,
            self.course.val_labels_NC,
            device=self.device,
            bf16=self.learner.bf16,
            ranks=self.ranks,
        )

    def _save(self, epoch: int) -> None:
        wall_s, cpu_s = self.clock.read(self.ranks)
        if not self.ranks.is_first:
            return
        checkpoint = Checkpoint(
            recipe=self.course.recipe,
            learner=self.learner.state_dict(),
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
            average=self.average.state_dict() if self.average else None,
            epoch=epoch,
            history=tuple(self.history),
            wall_s=wall_s,
            cpu_s=cpu_s,
        )
        self.checkpoint_at.write_bytes(checkpoint.to_bytes())

    def _resume(self, is_own_place: bool) -> None:
        """Load the checkpoint on all ranks; only the first reads it: others may see it later."""
        location, ranks = self.checkpoint_at, self.ranks
        content = location.read_bytes() if ranks.is_first and location.exists() else None
        checkpoint = read_checkpoint(
            ranks.from_first(content), location, self.course.recipe, is_own_place=is_own_place
        )
        if checkpoint is None:
            if ranks.is_first:
                location.parent.make_directory()
            return
        self.learner.load_state_dict(checkpoint.learner)
        self.optimizer.load_state_dict(dict(checkpoint.optimizer))
        self.schedule.load_state_dict(dict(checkpoint.schedule))
        if self.average is not None and checkpoint.average is not None:
            self.average.load_state_dict(checkpoint.average)
        self.clock = _Clock(wall_before_s=checkpoint.wall_s, cpu_before_s=checkpoint.cpu_s)
        self.done, self.history = checkpoint.epoch, list(checkpoint.history)

    def _end(
        self, state: TrialState, epochs: int, reason: str = "", last: Predictions | None = None
    ) -> Outcome:
        wall_s, cpu_s = self.clock.read(self.ranks)
        return Outcome(
            state=state,
            epochs=epochs,
            history=tuple(self.history),
            reason=reason,
            wall_s=wall_s,
            cpu_s=cpu_s,
            predictions=last,
        )


def _scored(
    metrics: EpochMetrics, predictions: Predictions | None, classes: Sequence[str], trained_s: float
) -> EpochRecord:
    """Add scores and validation loss to the metrics of a validated epoch."""
    if predictions is None:
        return EpochRecord(metrics=metrics)
    per_class = predictions.per_class_auroc(classes)
    scored = replace(
        metrics,
        macro_auroc=fmean(per_class.values()),
        losses={**metrics.losses, "val_label": predictions.label_loss()},
        validate_s=time.perf_counter() - trained_s,
    )
    return EpochRecord(metrics=scored, per_class_auroc=per_class)


def _decision(metrics: EpochMetrics, report: Report, ranks: Ranks) -> Decision:
    """Report on the first rank, and return the decision on all ranks."""
    decision = ranks.from_first(report(metrics).value.encode() if ranks.is_first else None)
    assert decision is not None
    return Decision(decision.decode())


def _reason(decision: Decision, epoch: int) -> str:
    return f"{'pruned' if decision is Decision.PRUNE else 'stopped'} after epoch {epoch}"


@contextmanager
def _own_randomness(device: torch.device) -> Generator[None]:
    """Restore torch's global random state after the block; use deterministic kernels on GPUs."""
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled, benchmark=False, deterministic=True
        ),
    ):
        yield


class _Clock:
    """Wall-clock seconds, and CPU seconds of all ranks, over all attempts at a training."""

    def __init__(self, *, wall_before_s: float = 0.0, cpu_before_s: float = 0.0) -> None:
        self.wall_start_s = time.perf_counter() - wall_before_s
        self.cpu_start_s = time.process_time()
        self.cpu_before_s = cpu_before_s

    def read(self, ranks: Ranks) -> tuple[float, float]:
        """Return wall_s and cpu_s; called by all ranks together."""
        own_s = torch.tensor(time.process_time() - self.cpu_start_s, dtype=torch.float64)
        cpu_s = self.cpu_before_s + float(ranks.sum(own_s))
        return time.perf_counter() - self.wall_start_s, cpu_s
