"""Gradients of one step over all ranks, of a batch as a whole or in parts."""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mvkt_ray.models.collectives import rows_per_rank
from mvkt_ray.models.layers import expect_channels_last
from mvkt_ray.training.guidance import Lesson
from mvkt_ray.training.learner import Learner
from mvkt_ray.training.ranks import Ranks


def over_ranks(learner: Learner, device: torch.device, ranks: Ranks) -> nn.Module:
    """Return the learner, wrapped for averaged gradients if there are several ranks."""
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


def add_gradients(module: nn.Module, terms: Sequence[str], lesson: Lesson, n_parts: int) -> Tensor:
    """Add up the gradients of a lesson's parts; return the values of its terms.

    Within rounding, gradients and values are independent of the number of parts, except: batch
    normalisation uses each part's own statistics (over all ranks), also for its running ones; the
    banks of CLT draw negatives for each part, and contain the parts before it; and terms that
    compare recordings of a batch (InfoNCE, and all of `MORE_TERMS`) compare those of one part.

    Args:
        module: The learner, as `over_ranks` returned it.
        terms: Names of the terms.
        lesson: This rank's batch.
        n_parts: Number of parts; fewer if a rank has fewer rows.

    Returns:
        float32 `[n_terms]`: means over the batch of all ranks.
    """
    rows = rows_per_rank(len(lesson.labels_BC), lesson.labels_BC.device)
    parts = lesson.split(min(n_parts, *rows))
    whole = sum(rows)
    unshared = module.no_sync if isinstance(module, DistributedDataParallel) else nullcontext
    sums = torch.zeros(len(terms), device=lesson.labels_BC.device)
    for position, part in enumerate(parts, start=1):
        share = sum(rows_per_rank(len(part.labels_BC), part.labels_BC.device)) / whole
        # Gradients are averaged over ranks once, with the last part.
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
