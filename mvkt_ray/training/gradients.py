"""One step's gradients: of a batch as a whole or in parts, over all ranks."""

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
    """Return what calls the learner: itself, or with gradients that are averaged over ranks."""
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
