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
    """All that training goes on from.

    There are no states of torch's random generators in it: each epoch starts its own from the seed
    and its number. The generator of the contrastive negatives, which runs on, is in `learner`.
    """

    recipe: str
    """Hash of what is trained on what: a checkpoint of something else is refused."""
    learner: Mapping[str, Tensor]
    """Weights and buffers of the network and of the objective."""
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    average: Mapping[str, Any] | None = None
    """Of the weights, where one is kept."""
    epoch: int
    """The last one that was trained, from 1."""
    history: tuple[EpochRecord, ...] = field(default=())
    """Of every epoch so far."""
    wall_s: float = 0.0
    """Over all attempts that led here."""
    cpu_s: float = 0.0
    """Over all attempts and ranks."""

    def to_bytes(self) -> bytes:
        """Write it for `from_bytes`."""
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
        """Read what `to_bytes` wrote, onto the CPU.

        Raises:
            ValueError: It was damaged since.
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
    """Return the checkpoint with this content; None where there is none, or a damaged one.

    Args:
        content: Of the file; None: there is none.
        location: Of the file, for messages.
        recipe: Of what is trained.
        is_own_place: Nothing but this training belongs there: what is of another one got there by
            mistake, and is as good as none.

    Raises:
        ArtifactError: It belongs to another training.
    """
    if content is None:
        return None
    try:
        checkpoint = Checkpoint.from_bytes(content)
    except Exception as error:
        # torch.load has no error of its own: it raises what zipfile, pickle and torch raise.
        _LOG.warning("%s is damaged (%s); training from the start", location, one_line(error))
        return None
    if checkpoint.recipe != recipe and is_own_place:
        _LOG.warning("%s is of another training; training from the start", location)
        return None
    if checkpoint.recipe != recipe:
        raise ArtifactError(
            f"{location} is the checkpoint of another training (recipe {checkpoint.recipe[:12]}, "
            f"asked for {recipe[:12]}): other hyper-parameters, data or seed. Give a new folder, "
            "or remove it to train from the start."
        )
    return checkpoint
