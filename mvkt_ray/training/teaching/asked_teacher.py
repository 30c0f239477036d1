"""Computes a finished teacher's outputs for a part of the training crops: a runner's map item.

Reads: shards and a teacher, from a store through the node's cache, as trials do.
"""

from dataclasses import dataclass

import torch

from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.views import View
from mvkt_ray.distill.knowledge_parts import Answer, Part, ask_teacher
from mvkt_ray.training.process import current_device, torch_threads
from mvkt_ray.training.teacher import open_teacher


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedTeacher:
    """Common inputs of all parts: locations of shards and teacher, and the view; picklable."""

    shards: str
    teacher: str
    view: View
    """The teacher's view."""


def answer(asked: AskedTeacher, part: Part) -> Answer:
    """Open shards and teacher, and return the teacher's outputs for a part.

    Raises:
        ArtifactError: Shards or teacher are missing, or were changed.
        DataError: The teacher's logits or embeddings leave the range of float16; a recording lacks
            a lead.
    """
    shards = open_shards(asked.shards, leads=asked.view.leads)
    teacher = open_teacher(asked.teacher, shards=shards)
    device = current_device()
    # One thread, so that sums have the same order on machines with more cores.
    with torch_threads(1):
        outputs = ask_teacher(
            teacher.network.to(device),
            shards,
            asked.view,
            part,
            cross_fitted=[network.to(device) for network in teacher.cross_fitted],
            device=device,
        )
    if device.type == "cuda":
        # The idle process must not hold memory that trials on the same GPU need.
        torch.cuda.empty_cache()
    return outputs
