"""A finished teacher is asked about a part of the training crops, wherever a runner's map runs.

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
    """Assignment of teachers to recordings: the same for all parts, and picklable."""

    shards: str
    teacher: str
    view: View
    """The teacher's."""


def answer(asked: AskedTeacher, part: Part) -> Answer:
    """Open what is asked and answer for a part.

    Raises:
        ArtifactError: Shards or teacher are not there, or were changed.
        DataError: The teacher's logits or embeddings leave the range of float16; a recording lacks
            a lead.
    """
    shards = open_shards(asked.shards, leads=asked.view.leads)
    teacher = open_teacher(asked.teacher, shards=shards)
    device = current_device()
    # Sums have the same order everywhere: some processes have one core, others more.
    with torch_threads(1):
        said = ask_teacher(
            teacher.network.to(device),
            shards,
            asked.view,
            part,
            cross_fitted=[network.to(device) for network in teacher.cross_fitted],
            device=device,
        )
    if device.type == "cuda":
        # The process may stay idle beside those of trials that share the GPU.
        torch.cuda.empty_cache()
    return said
