"""The epoch loop that teacher and students share: train, validate, save, report, decide.

Reads: batches and evaluation windows. Writes: one checkpoint, replaced after every epoch.
"""

import math
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mvkt_ray.models import expect_channels_last, sync_batch_norm
from mvkt_ray.models.collectives import rows_per_rank
from mvkt_ray.models.weight_average import WeightAverage
from mvkt_ray.records import Decision, EpochMetrics, TrialState
from mvkt_ray.storage.location import Location
from mvkt_ray.training.checkpoint import Checkpoint, EpochRecord, read_checkpoint
from mvkt_ray.training.learner import Learner
from mvkt_ray.training.optimizers import Steering, build_optimizer, build_schedule
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.seeds import derive_seed
from mvkt_ray.training.validation import Predictions, Windows, predict

_ENDS = {Decision.PRUNE: TrialState.PRUNED, Decision.STOP: TrialState.RUNNING}
"""How a training stands that was told not to go on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """One batch, on the device, with the teacher's outputs; None where they are not used."""

    signal_BLS: Tensor
    labels_BC: Tensor
    """Behind them, where a student learns a second task, too, the labels of that one."""
    example_B: Tensor
    teacher_logits_BC: Tensor | None = None
    teacher_embedding_BD: Tensor | None = None

    def split(self, n_parts: int) -> list["Lesson"]:
        """Return the lesson in parts, in order, which differ by one example at most."""
        tensors = [
            [None] * n_parts if tensor is None else tensor.tensor_split(n_parts)
            for tensor in (
                self.signal_BLS,
                self.labels_BC,
                self.example_B,
                self.teacher_logits_BC,
                self.teacher_embedding_BD,
            )
        ]
        return [
            Lesson(
                signal_BLS=signal_BLS,
                labels_BC=labels_BC,
                example_B=example_B,
                teacher_logits_BC=teacher_logits_BC,
                teacher_embedding_BD=teacher_embedding_BD,
            )
            for (
                signal_BLS,
                labels_BC,
                example_B,
                teacher_logits_BC,
                teacher_embedding_BD,
            ) in zip(*tensors, strict=True)
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What a learner is taught and examined on, and how long."""

    lessons: Callable[[int], Iterator[Lesson]]
    """This rank's batches of an epoch, which counts from 1; depends on the epoch alone."""
    steps_per_epoch: int
    examples_per_epoch: int
    """Over all ranks."""
    windows: Windows
    """This rank's part of the validation split."""
    val_labels_NC: NDArray[np.float32]
    """Of the whole validation split, in which at least one class can be scored."""
    classes: Sequence[str]
    epochs: int
    steering: Steering
    seed: int
    recipe: str
    """Hash of all that the numbers depend on; a checkpoint of another recipe is refused."""
    ema_decay: float = 0.0
    """Above 0: what is examined, and what the learner's network is in the end, is the average of
    its weights that `WeightAverage` keeps."""
    gradient_accumulation: int = 1
    """Parts that each of this rank's batches is computed in; not in the recipe, as a training may
    go on where there is less memory. See `_gradients` for what depends on it."""
    validated_epochs: Collection[int] | None = None
    """After which the learner is examined, beside the last; None: after each. Where nobody decides
    by an epoch's score it need not be known: validation draws no random numbers and moves no
    weights, so the other numbers are the same."""

    def validates(self, epoch: int) -> bool:
        """Say whether the learner is examined after an epoch."""
        chosen = self.validated_epochs
        return chosen is None or epoch in chosen or epoch == self.epochs


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a training ended: complete, pruned or diverged."""

    state: TrialState
    epochs: int
    """Trained, over all attempts that counted."""
    history: tuple[EpochRecord, ...]
    """Of every epoch."""
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


def fit(
    learner: Learner,
    course: Course,
    checkpoint_at: Location,
    report: Callable[[EpochMetrics], Decision],
    *,
    device: torch.device,
    ranks: Ranks,
    is_own_place: bool = False,
) -> Outcome:
    """Train from the last checkpoint, or from the start, to the last epoch.

    Where the weights are averaged, a complete training ends with the average in the learner.

    Called on every rank. `report` is called on the first rank only, once per epoch, validated or
    not, after the epoch's checkpoint is on disk, and again for the epochs that a found checkpoint
    holds: a process may have died between the checkpoint and the report.

    A loss or a prediction that is not finite ends the training as diverged, predictions where they
    are made; the checkpoint of the epoch before stays.

    Args:
        learner: freshly initialised, the same on every rank.
        course: what to learn.
        checkpoint_at: the file; its directory is made when needed.
        report: decides whether to go on.
        device: of this rank.
        ranks: this process among those that train the learner.
        is_own_place: another training's checkpoint there is replaced, not refused.

    Raises:
        ArtifactError: The checkpoint is that of another training.
    """
    with _own_randomness(device):
        clock = _Clock()
        learner.to(device)
        if ranks.are_many:
            sync_batch_norm(learner.network)
        optimizer = build_optimizer(course.steering, learner.parameters())
        schedule = build_schedule(
            course.steering,
            optimizer,
            epochs=course.epochs,
            steps_per_epoch=course.steps_per_epoch,
        )
        average = WeightAverage(learner.network, course.ema_decay) if course.ema_decay else None
        checkpoint = _resume(
            learner,
            optimizer,
            schedule,
            average,
            checkpoint_at,
            course.recipe,
            ranks,
            is_own_place=is_own_place,
        )
        if checkpoint is not None:
            clock = _Clock(wall_before_s=checkpoint.wall_s, cpu_before_s=checkpoint.cpu_s)
        history = list(checkpoint.history) if checkpoint else []
        done = checkpoint.epoch if checkpoint else 0
        module = _wrap(learner, device, ranks)

        def validate() -> Predictions:
            return predict(
                average.network if average else learner.network,
                course.windows,
                course.val_labels_NC,
                device=device,
                bf16=learner.bf16,
                ranks=ranks,
            )

        def end(
            state: TrialState, epochs: int, reason: str = "", last: Predictions | None = None
        ) -> Outcome:
            wall_s, cpu_s = clock.read(ranks)
            return Outcome(
                state=state,
                epochs=epochs,
                history=tuple(history),
                reason=reason,
                wall_s=wall_s,
                cpu_s=cpu_s,
                predictions=last,
            )

        for position, record in enumerate(history, start=1):
            epoch = record.metrics.epoch
            decision = _decision(record.metrics, report, ranks)
            if decision is Decision.STOP:
                return end(TrialState.RUNNING, done, _reason(decision, done))
            if decision is Decision.PRUNE:
                del history[position:]
                return end(TrialState.PRUNED, epoch, _reason(decision, epoch))

        predictions = None
        for epoch in range(done + 1, course.epochs + 1):
            started_s = time.perf_counter()
            losses = _train_epoch(
                module, learner, average, course, epoch, optimizer, schedule, device, ranks
            )
            if not all(math.isfinite(value) for value in losses.values()):
                reason = f"epoch {epoch}: the loss is not finite ({losses})"
                return end(TrialState.DIVERGED, epoch - 1, reason)
            trained_s = time.perf_counter()

            predictions = validate() if course.validates(epoch) else None
            if predictions is not None and not predictions.are_finite:
                reason = f"epoch {epoch}: predictions are not finite"
                return end(TrialState.DIVERGED, epoch - 1, reason)
            metrics = EpochMetrics(
                epoch=epoch,
                macro_auroc=None,
                losses=losses,
                train_s=trained_s - started_s,
                n_examples=course.examples_per_epoch,
            )
            history.append(_scored(metrics, predictions, course.classes, trained_s))

            wall_s, cpu_s = clock.read(ranks)
            if ranks.is_first:
                checkpoint = Checkpoint(
                    recipe=course.recipe,
                    learner=learner.state_dict(),
                    optimizer=optimizer.state_dict(),
                    schedule=schedule.state_dict(),
                    average=average.state_dict() if average else None,
                    epoch=epoch,
                    history=tuple(history),
                    wall_s=wall_s,
                    cpu_s=cpu_s,
                )
                checkpoint_at.write_bytes(checkpoint.to_bytes())

            decision = _decision(history[-1].metrics, report, ranks)
            if decision is not Decision.CONTINUE:
                return end(_ENDS[decision], epoch, _reason(decision, epoch))

        last = predictions or validate()
        if average is not None:
            learner.network.load_state_dict(average.network.state_dict())
        return end(TrialState.COMPLETE, course.epochs, last=last)


def _scored(
    metrics: EpochMetrics,
    predictions: Predictions | None,
    classes: Sequence[str],
    trained_s: float,
) -> EpochRecord:
    """Add to an epoch what its predictions score, where it was validated."""
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


def _train_epoch(
    module: nn.Module,
    learner: Learner,
    average: WeightAverage | None,
    course: Course,
    epoch: int,
    optimizer: Optimizer,
    schedule: LRScheduler,
    device: torch.device,
    ranks: Ranks,
) -> dict[str, float]:
    """Take all steps of an epoch; return the means of the terms over steps and ranks."""
    # Dropout draws from torch's own generator. Started anew it needs no place in the checkpoint.
    torch.manual_seed(derive_seed(course.seed, epoch, ranks.rank))
    module.train()
    terms = learner.term_names
    sums = torch.zeros(len(terms), dtype=torch.float64, device=device)
    for lesson in course.lessons(epoch):
        optimizer.zero_grad(set_to_none=True)
        # Read once per epoch: reading a number per step would wait for the GPU each time.
        sums += _gradients(module, terms, lesson, course.gradient_accumulation)
        optimizer.step()
        schedule.step()
        if average is not None:
            average.update(learner.network)
    means = ranks.sum(sums) / (course.steps_per_epoch * ranks.world_size)
    return dict(zip(terms, means.tolist(), strict=True))


def _gradients(module: nn.Module, terms: Sequence[str], lesson: Lesson, n_parts: int) -> Tensor:
    """Add up the gradients of a lesson's parts; return its terms by these names, float32.

    Both are those of the whole lesson within rounding, whatever the number of parts, except:
    batch normalisation normalises each part by the part's own statistics (over all ranks), and
    takes its running ones from each; the banks of CLT draw negatives for each part, and know
    what the parts before it have left in them; and terms that compare the recordings of a batch
    with each other (InfoNCE, and all of `MORE_TERMS`) compare those of a part.
    """
    rows = rows_per_rank(len(lesson.labels_BC), lesson.labels_BC.device)
    parts = lesson.split(min(n_parts, *rows))
    whole = sum(rows)
    unshared = module.no_sync if isinstance(module, DistributedDataParallel) else nullcontext
    sums = torch.zeros(len(terms), device=lesson.labels_BC.device)
    for position, part in enumerate(parts, start=1):
        share = sum(rows_per_rank(len(part.labels_BC), part.labels_BC.device)) / whole
        # Ranks share their gradients once, with those of the last part.
        with nullcontext() if position == len(parts) else unshared():
            of_part = module(
                part.signal_BLS,
                part.labels_BC,
                part.example_B,
                part.teacher_logits_BC,
                part.teacher_embedding_BD,
            )
            (of_part.total * share).backward()
        sums += share * torch.stack([getattr(of_part, name).detach() for name in terms])
    return sums


def _resume(
    learner: Learner,
    optimizer: Optimizer,
    schedule: LRScheduler,
    average: WeightAverage | None,
    location: Location,
    recipe: str,
    ranks: Ranks,
    *,
    is_own_place: bool,
) -> Checkpoint | None:
    """Load what the first rank finds, on all ranks: a file system may show it to some later."""
    content = location.read_bytes() if ranks.is_first and location.exists() else None
    checkpoint = read_checkpoint(
        ranks.from_first(content), location, recipe, is_own_place=is_own_place
    )
    if checkpoint is not None:
        learner.load_state_dict(checkpoint.learner)
        optimizer.load_state_dict(dict(checkpoint.optimizer))
        schedule.load_state_dict(dict(checkpoint.schedule))
        if average is not None and checkpoint.average is not None:
            average.load_state_dict(checkpoint.average)
    elif ranks.is_first:
        location.parent.make_directory()
    return checkpoint


def _wrap(learner: Learner, device: torch.device, ranks: Ranks) -> nn.Module:
    if not ranks.are_many:
        return learner
    if device.type == "cpu":
        expect_channels_last(learner.network)
    return DistributedDataParallel(
        learner,
        device_ids=[device] if device.type == "cuda" else None,
        # Banks and running statistics are equal on all ranks already, and banks are large.
        forward_sync_buffers=False,
        find_unused_parameters=learner.leaves_parameters_out,
    )


def _decision(
    metrics: EpochMetrics, report: Callable[[EpochMetrics], Decision], ranks: Ranks
) -> Decision:
    """Report, and return on all ranks what the first is told."""
    told = ranks.from_first(report(metrics).value.encode() if ranks.is_first else None)
    assert told is not None
    return Decision(told.decode())


def _reason(decision: Decision, epoch: int) -> str:
    return f"{'pruned' if decision is Decision.PRUNE else 'stopped'} after epoch {epoch}"


@contextmanager
def _own_randomness(device: torch.device) -> Generator[None]:
    """Leave torch's global random state as it was, and use deterministic kernels on GPUs."""
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled, benchmark=False, deterministic=True
        ),
    ):
        yield


class _Clock:
    """Time spent on a training over all attempts: on the wall, and by all ranks' processors."""

    def __init__(self, *, wall_before_s: float = 0.0, cpu_before_s: float = 0.0) -> None:
        self.wall_start_s = time.perf_counter() - wall_before_s
        self.cpu_start_s = time.process_time()
        self.cpu_before_s = cpu_before_s

    def read(self, ranks: Ranks) -> tuple[float, float]:
        """Return wall_s and cpu_s; called by all ranks together."""
        own_s = torch.tensor(time.process_time() - self.cpu_start_s, dtype=torch.float64)
        cpu_s = self.cpu_before_s + float(ranks.sum(own_s))
        return time.perf_counter() - self.wall_start_s, cpu_s
