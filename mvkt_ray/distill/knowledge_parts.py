"""Parts of the training crops, and the teacher's outputs for one: an item of a runner's map.

The data alone determine the parts, and the batches in a part, so that knowledge has the same bytes
for any number of processes.

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
"""Approximate, since a part ends with a recording. A second or two of one core for a small teacher:
long compared with the tenth of a second for opening shards and teacher."""

BATCH_SIZE = 512
"""Crops in one forward pass."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """Consecutive recordings of the training split; small, and picklable."""

    rows: NDArray[np.int64]
    """int64 `[N]`: rows of the shard set."""
    first_row: int
    """Row of the part's first output in the tables of knowledge."""
    per_recording: bool
    """Whether outputs are means over the crops of each recording."""
    speaker_N: NDArray[np.int64] | None = None
    """int64 `[N]`: index of the network that computes the logits of each recording, as
    `speakers_of`; None: the teacher."""


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
    """Return int64 `[N]`: number of the grid's crops of each recording; reads no signals."""
    return view.n_crops(shards.n_samples()[split.rows])


def parts_of(
    split: Split,
    n_crops_N: NDArray[np.int64],
    *,
    per_recording: bool = False,
    speaker_N: NDArray[np.int64] | None = None,
    crops_per_part: int = CROPS_PER_PART,
) -> Sequence[Part]:
    """Return the parts of a split: at least one recording each, of about equally many crops.

    Args:
        split: The split.
        n_crops_N: int64 `[N]`: number of crops of each recording, as `crops_of`.
        per_recording: Whether outputs are means over the crops of each recording.
        speaker_N: int64 `[N]`: as in `Part`.
        crops_per_part: Approximate number of crops of a part.
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
        teacher: The teacher, in evaluation mode, on the device.
        shards: Shards of the recordings.
        view: The teacher's view.
        part: The recordings.
        cross_fitted: Networks by group of patients, for a part with `speaker_N`; as the teacher.
        batch_size: Crops in one forward pass.
        device: Device of the teacher.

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
    """Collects one of the teacher's outputs, one row for each crop, in float16."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: list[NDArray[np.float16]] = []

    def add(self, output_BX: Tensor, example_B: NDArray[np.int64]) -> None:
        _refuse_overflow(output_BX, self._name)
        self._parts.append(output_BX.half().cpu().numpy())

    def rows(self) -> NDArray[np.float16]:
        return np.concatenate(self._parts)


class _RecordingMeans:
    """Collects the mean of one of the teacher's outputs over the crops of each recording.

    Sums are in float32, the rows in float16; crops must arrive in the order of recordings.
    """

    def __init__(self, name: str, n_crops_N: NDArray[np.int64]) -> None:
        self._name = name
        self._n_crops_N1 = n_crops_N[:, None].astype(np.float32)
        self._mean_NX: NDArray[np.float32] | None = None

    def add(self, output_BX: Tensor, example_B: NDArray[np.int64]) -> None:
        _refuse_overflow(output_BX, self._name)
        if self._mean_NX is None:
            self._mean_NX = np.zeros((len(self._n_crops_N1), output_BX.shape[1]), dtype=np.float32)
        share_BX = output_BX.float().cpu().numpy() / self._n_crops_N1[example_B]
        # Added, since a batch may begin or end within a recording.
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
