"""What a student hears from the teacher: read from the knowledge, or asked in the loop, or nothing.

Shapes: B batch, L leads, S samples, C classes, D embedding of the teacher.
"""

from collections.abc import Callable, Iterator

import torch

from mvkt_ray.data.loader import TrainLoader
from mvkt_ray.distill.knowledge import Knowledge
from mvkt_ray.models import Network
from mvkt_ray.training.fit import Lesson
from mvkt_ray.training.learner import run_network

Lessons = Callable[[int], Iterator[Lesson]]
"""Batches of an epoch, which counts from 1."""


def without_teacher(loader: TrainLoader) -> Lessons:
    """Return batches with labels only."""

    def lessons(epoch: int) -> Iterator[Lesson]:
        for batch in loader.epoch(epoch):
            yield Lesson(
                signal_BLS=batch.signal_BLS, labels_BC=batch.labels_BC, example_B=batch.example_B
            )

    return lessons


def with_knowledge(loader: TrainLoader, knowledge: Knowledge, device: torch.device) -> Lessons:
    """Return batches with what the teacher said of the very same crops, or of their recordings."""

    def lessons(epoch: int) -> Iterator[Lesson]:
        for batch in loader.epoch(epoch):
            logits_BC, embedding_BD = knowledge.gather(batch.example_B, batch.crop_B)
            yield Lesson(
                signal_BLS=batch.signal_BLS,
                labels_BC=batch.labels_BC,
                example_B=batch.example_B,
                teacher_logits_BC=logits_BC.to(device, non_blocking=True),
                teacher_embedding_BD=embedding_BD.to(device, non_blocking=True),
            )

    return lessons


def with_teacher(
    loader: TrainLoader, teacher_loader: TrainLoader, teacher: Network, *, bf16: bool
) -> Lessons:
    """Return batches with what the teacher says now of the very same crops.

    Args:
        loader: of the student's view.
        teacher_loader: of the teacher's view and the same seed, so of the same crops in step.
        teacher: in evaluation mode, on the device.
        bf16: run it under bf16 autocast.
    """

    def lessons(epoch: int) -> Iterator[Lesson]:
        pairs = zip(loader.epoch(epoch), teacher_loader.epoch(epoch), strict=True)
        for batch, teacher_batch in pairs:
            with torch.no_grad():
                logits_BC, embedding_BD = run_network(teacher, teacher_batch.signal_BLS, bf16=bf16)
            yield Lesson(
                signal_BLS=batch.signal_BLS,
                labels_BC=batch.labels_BC,
                example_B=batch.example_B,
                teacher_logits_BC=logits_BC,
                teacher_embedding_BD=embedding_BD,
            )

    return lessons
