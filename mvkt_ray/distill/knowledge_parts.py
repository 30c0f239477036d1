"""Parts of the training crops, and what the teacher says of one: an item of a runner's map.

Which crops make a part, and in which batches the teacher is asked about them, follows from the data
alone. So knowledge has the same bytes however many processes compute it.

Shapes: B batch, R rows (crops, or recordings), N recordings, C classes, D embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvkt_ray.data.loader import GridLoader
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.splits import Split
from mvkt_ray.data.views import View
from mvkt_ray.distill.cross_fitting import unseen_logits
from mvkt_ray.errors import DataError
from mvkt_ray.models.ensemble import Ensemble
from mvkt_ray.models.network import Network

CROPS_PER_PART = 4096
"""About; a part ends where a recording does. A second or two of one core with a small teacher, by
which the tenth that opening shards and teacher takes does not count."""

BATCH_SIZE = 512
"""Crops in one forward pass."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """Recordings that follow each other in the training split; small, and picklable."""

    rows: NDArray[np.int64]
    """Rows of the shard set."""
    first_row: int
    """Row of the tables of knowledge that its first row is."""
    per_recording: bool
    """Whether outputs are means over the crops of each recording."""
    speaker_N: NDArray[np.int64] | None = None
    """Whose logits are asked for of each recording, as `speakers_of` gives them; None: the
    teacher's."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answer:
    """Teacher outputs for a part."""

    first_row: int
    """First row of the part."""
    n_crops: int
    """Number of crops that the teacher computed outputs for."""
    logits_RC: NDArray[np.float16]
    embedding_RD: NDArray[np.float16]


def crops_of(shards: Shards, split: Split, view: View) -> NDArray[np.int64]:
    """Return `[n]`: how many crops of the grid each recording of a split has; reads no lead."""
    return view.n_crops(shards.n_samples()[split.rows])


def parts_of(
    split: Split,
    n_crops_N: NDArray[np.int64],
    *,
    per_recording: bool = False,
    speaker_N: NDArray[np.int64] | None = None,
    crops_per_part: int = CROPS_PER_PART,
) -> Sequence[Part]:
    """Cut a split into parts of at least one recording, by the numbers of their crops.

    Args:
        split: Whose recordings the teacher is asked about.
        n_crops_N: As `crops_of` counts them.
        per_recording: Ask for means over the crops of each recording.
        speaker_N: Whose logits to ask for of each recording; None: the teacher's.
        crops_per_part: How many crops a part is to have, about.
    """
    first_crop_N = np.cumsum(n_crops_N) - n_crops_N
    # A part begins at each recording whose first crop is in another multiple of the part's size.
    begins = np.flatnonzero(np.diff(first_crop_N // crops_per_part, prepend=-1))
    return [
        Part(
            rows=split.rows[begin:end],
            first_row=int(begin if per_recording else first_crop_N[begin]),
            per_recording=per_recording,
            speaker_N=None if speaker_N is None else speaker_N[begin:end],
        )
        for begin, end in zip(begins, [*begins[1:], len(n_crops_N)], strict=True)
    ]


@torch.no_grad()
def ask_teacher(
    teacher: Network | Ensemble,
    shards: Shards,
    view: View,
    part: Part,
    *,
    cross_fitted: Sequence[Network] = (),
    batch_size: int = BATCH_SIZE,
    device: torch.device | str = "cpu",
) -> Answer:
    """Run the teacher over the crops of a part.

    Args:
        teacher: In evaluation mode, on the device.
        shards: What the rows are of.
        view: The teacher's.
        part: Which recordings.
        cross_fitted: Networks by group, where the part names speakers; likewise on the device.
        batch_size: Crops in one forward pass.
        device: Where the teacher is.

    Raises:
        DataError: The teacher's logits or embeddings leave the range of float16; a recording lacks
            a lead.
    """
    near, rows = shards.holding(part.rows)
    loader = GridLoader(near, rows, view, batch_size=batch_size, device=device)
    n_crops_N = np.diff(loader.crop_offsets)
    logits, embedding = (
        _RecordingMeans(name, n_crops_N) if part.per_recording else _CropRows(name)
        for name in ("logits", "embedding")
    )
    for batch in loader.batches():
        logits_BC, embedding_BD = teacher(batch.signal_BLS)
        example_B = batch.example_B.cpu().numpy()
        if part.speaker_N is not None:
            logits_BC = unseen_logits(cross_fitted, batch.signal_BLS, part.speaker_N[example_B])
        logits.add(logits_BC, example_B)
        embedding.add(embedding_BD, example_B)
    return Answer(
        first_row=part.first_row,
        n_crops=loader.n_crops_total,
        logits_RC=logits.rows(),
        embedding_RD=embedding.rows(),
    )


class _CropRows:
    """Collects what the teacher says of crops, one row for each, in float16."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: list[NDArray[np.float16]] = []

    def add(self, said_BX: Tensor, example_B: NDArray[np.int64]) -> None:
        _refuse_overflow(said_BX, self._name)
        self._parts.append(said_BX.half().cpu().numpy())

    def rows(self) -> NDArray[np.float16]:
        return np.concatenate(self._parts)


class _RecordingMeans:
    """Collects the mean over the crops of each recording, one row for each recording.

    Sums are in float32, and become float16 in the end; crops come in the order of recordings.
    """

    def __init__(self, name: str, n_crops_N: NDArray[np.int64]) -> None:
        self._name = name
        self._n_crops_N1 = n_crops_N[:, None].astype(np.float32)
        self._mean_NX: NDArray[np.float32] | None = None

    def add(self, said_BX: Tensor, example_B: NDArray[np.int64]) -> None:
        _refuse_overflow(said_BX, self._name)
        if self._mean_NX is None:
            self._mean_NX = np.zeros((len(self._n_crops_N1), said_BX.shape[1]), dtype=np.float32)
        share_BX = said_BX.float().cpu().numpy() / self._n_crops_N1[example_B]
        # A batch may begin and end within a recording: its first and last sums are parts of one.
        first = np.flatnonzero(np.diff(example_B, prepend=-1))
        self._mean_NX[example_B[first]] += np.add.reduceat(share_BX, first, axis=0)

    def rows(self) -> NDArray[np.float16]:
        assert self._mean_NX is not None
        return self._mean_NX.astype(np.float16)


def _refuse_overflow(tensor: Tensor, name: str) -> None:
    if not bool(torch.isfinite(tensor.half()).all()):
        raise DataError(
            f"The teacher's {name} are not finite in float16 (up to {float(tensor.abs().max()):g}, "
            f"the largest float16 is {torch.finfo(torch.float16).max:.0f}). Train the teacher "
            "again at a lower learning rate, or set `knowledge: online`."
        )
