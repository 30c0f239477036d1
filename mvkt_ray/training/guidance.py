"""Teacher outputs for a student: read from the knowledge, computed in the loop, or none.

Shapes: B batch, L leads, S samples, C classes, D embedding of the teacher.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvkt_ray.data.loader import Batch, TrainLoader
from mvkt_ray.distill.knowledge import Knowledge
from mvkt_ray.distill.mixup import Mixture
from mvkt_ray.models.collectives import rows_per_rank
from mvkt_ray.models.ensemble import Ensemble
from mvkt_ray.models.network import Network
from mvkt_ray.training.learner import run_network


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """One batch, on the device, with the teacher's outputs; None if they are not used."""

    signal_BLS: Tensor
    labels_BC: Tensor
    """Multi-hot, a row of NaN without a label; followed by the labels of a second task, if any."""
    example_B: Tensor
    """Positions in the training split."""
    teacher_logits_BC: Tensor | None = None
    teacher_embedding_BD: Tensor | None = None

    @classmethod
    def of(
        cls, batch: Batch, logits_BC: Tensor | None = None, embedding_BD: Tensor | None = None
    ) -> "Lesson":
        """Return a batch with the teacher's outputs for it."""
        return cls(
            signal_BLS=batch.signal_BLS,
            labels_BC=batch.labels_BC,
            example_B=batch.example_B,
            teacher_logits_BC=logits_BC,
            teacher_embedding_BD=embedding_BD,
        )

    def split(self, n_parts: int) -> list["Lesson"]:
        """Split into `n_parts` in order, whose sizes differ by at most one example."""
        parts: list[dict[str, Any]] = [{} for _ in range(n_parts)]
        for each in fields(self):
            tensor: Tensor | None = getattr(self, each.name)
            split = [None] * n_parts if tensor is None else tensor.tensor_split(n_parts)
            for part, rows in zip(parts, split, strict=True):
                part[each.name] = rows
        return [Lesson(**part) for part in parts]


Lessons = Callable[[int], Iterator[Lesson]]
"""Yields the batches of an epoch, whose number counts from 1."""


def without_teacher(loader: TrainLoader) -> Lessons:
    """Return batches with labels only."""
    return lambda epoch: map(Lesson.of, loader.epoch(epoch))


def with_knowledge(loader: TrainLoader, knowledge: Knowledge, device: torch.device) -> Lessons:
    """Return batches with the stored teacher outputs of their crops, or of their recordings."""

    def lessons(epoch: int) -> Iterator[Lesson]:
        for batch in loader.epoch(epoch):
            outputs = knowledge.gather(batch.example_B, batch.crop_B)
            yield Lesson.of(batch, *(each.to(device, non_blocking=True) for each in outputs))

    return lessons


def with_teacher(
    loader: TrainLoader, teacher_loader: TrainLoader, teacher: Network | Ensemble, *, bf16: bool
) -> Lessons:
    """Return batches with teacher outputs that are computed in the loop, of the same crops.

    Args:
        loader: Loader of the student's view.
        teacher_loader: Loader of the teacher's view with the same seed, so of the same crops.
        teacher: The teacher, in evaluation mode, on the device.
        bf16: Whether the teacher runs under bf16 autocast.
    """

    def lessons(epoch: int) -> Iterator[Lesson]:
        pairs = zip(loader.epoch(epoch), teacher_loader.epoch(epoch), strict=True)
        for batch, teacher_batch in pairs:
            with torch.no_grad():
                outputs = run_network(teacher, teacher_batch.signal_BLS, bf16=bf16)
            yield Lesson.of(batch, *outputs)

    return lessons


def with_mixup(lessons: Lessons, *, alpha: float, seed: int) -> Lessons:
    """Return mixtures of pairs of each batch; seed and epoch determine shares and pairs.

    Signals, labels and embeddings are mixed linearly. The teacher's logits are mixed as
    probabilities: the mixture of two certain, contrary predictions is an uncertain one. A mixture
    has a label if both recordings have one, else NaN.

    Args:
        lessons: This rank's batches; all ranks iterate in step, since a pair may span two ranks.
        alpha: Parameter of `Mixture.draw`, > 0.
        seed: The same on every rank.
    """

    def mixed(epoch: int) -> Iterator[Lesson]:
        generator = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
        for lesson in lessons(epoch):
            known_B = ~lesson.labels_BC[:, 0].isnan()
            rows = rows_per_rank(len(known_B), known_B.device)
            yield _mixed_lesson(lesson, Mixture.draw(generator, alpha, known_B, rows))

    return mixed


def _mixed_lesson(lesson: Lesson, mixture: Mixture) -> Lesson:
    logits_BC, embedding_BD = lesson.teacher_logits_BC, lesson.teacher_embedding_BD
    return replace(
        lesson,
        signal_BLS=mixture.of(lesson.signal_BLS),
        labels_BC=mixture.of(lesson.labels_BC),
        teacher_logits_BC=None if logits_BC is None else mixture.of_logits(logits_BC),
        teacher_embedding_BD=None if embedding_BD is None else mixture.of(embedding_BD),
    )
