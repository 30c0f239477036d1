"""The state of an unfinished training on disk, replaced by one rename after every epoch.

Reads and writes: one file, a SHA-256 and what torch.save makes, whose own sums torch does not
compare; `weights_only=True` executes nothing that is in it.
"""

import hashlib
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mvkt_ray.errors import ArtifactError
from mvkt_ray.phrasing import one_line
from mvkt_ray.records import EpochRecord
from mvkt_ray.storage.location import Location

_LOG = logging.getLogger(__name__)
_HASH_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The complete state of a training after an epoch.

    It has no state of torch's random generators: each epoch seeds them from the seed and its
    number. The generator of the contrastive negatives, which is not reseeded, is in `learner`.
    """

    recipe: str
    """Hash of the training's data and settings: a checkpoint of another training is refused."""
    learner: Mapping[str, Tensor]
    """Weights and buffers of the network and of the objective."""
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    average: Mapping[str, Any] | None = None
    """State of the averaged weights, with `ema_decay` only."""
    epoch: int
    """The last trained epoch, from 1."""
    history: tuple[EpochRecord, ...] = field(default=())
    """Records of all epochs so far."""
    wall_s: float = 0.0
    """Wall-clock seconds over all attempts."""
    cpu_s: float = 0.0
    """CPU seconds over all attempts and ranks."""

    def to_bytes(self) -> bytes:
        """Return a SHA-256, then the output of `torch.save`."""
        value = {
            "recipe": self.recipe,
            "learner": dict(self.learner),
            "optimizer": dict(self.optimizer),
            "schedule": dict(self.schedule),
            "average": None if self.average is None else dict(self.average),
            "epoch": self.epoch,
            "history": [record.to_json() for record in self.history],
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
        }
        stream = io.BytesIO()
        torch.save(value, stream)
        content = stream.getvalue()
        return hashlib.sha256(content).digest() + content

    @classmethod
    def from_bytes(cls, content: bytes) -> "Checkpoint":
        """Parse the output of `to_bytes`; tensors are on the CPU.

        Raises:
            ValueError: The content does not match its hash.
        """
        own_hash, saved = content[:_HASH_BYTES], content[_HASH_BYTES:]
        if own_hash != hashlib.sha256(saved).digest():
            raise ValueError("its content does not match its hash")
        value = torch.load(io.BytesIO(saved), map_location="cpu", weights_only=True)
        history = tuple(EpochRecord.from_json(item) for item in value.pop("history"))
        return cls(history=history, **value)


def read_checkpoint(
    content: bytes | None, location: Location, recipe: str, *, is_own_place: bool = False
) -> Checkpoint | None:
    """Return the checkpoint with this content; None if there is none, or it is damaged.

    Args:
        content: Content of the file; None: there is no file.
        location: Location of the file, for messages.
        recipe: Recipe of the training to resume.
        is_own_place: Whether to ignore, not refuse, another training's checkpoint.

    Raises:
        ArtifactError: The checkpoint belongs to another training.
    """
    if content is None:
        return None
    try:
        checkpoint = Checkpoint.from_bytes(content)
    except Exception as error:
        # torch.load has no error class of its own; it raises those of zipfile, pickle and torch.
        _LOG.warning("%s is damaged (%s); training from the start", location, one_line(error))
        return None
    if checkpoint.recipe != recipe and is_own_place:
        _LOG.warning("%s is of another training; training from the start", location)
        return None
    if checkpoint.recipe != recipe:
        raise ArtifactError(
            f"{location} is the checkpoint of another training (recipe {checkpoint.recipe[:12]}, "
            f"not {recipe[:12]}): other hyper-parameters, data or seed. Give a new folder, or "
            "remove the checkpoint to train from the start."
        )
    return checkpoint
