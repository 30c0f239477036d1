"""What the teacher says of every crop of the training split, computed once, mapped by every trial.

Reads: shards, a teacher. Writes: an artifact of two Arrow IPC files. `crops.arrow` has one row per
crop of the grid, recording by recording: `logits` and `embedding`, float16. `recordings.arrow` has
one row per recording of the training split, in its order: `record_id`, `first_crop`, `n_crops`.

Shapes: B batch, R rows (crops), N recordings, C classes, D embedding of the teacher.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvkt_ray.artifacts import (
    Manifest,
    discard_partial,
    expect_input,
    fingerprint_of,
    partial_location,
    publish,
    read_manifest,
)
from mvkt_ray.data.loader import GridLoader
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.splits import Split
from mvkt_ray.data.views import View
from mvkt_ray.errors import DataError
from mvkt_ray.location import Location
from mvkt_ray.models import Network

KIND = "knowledge"
CROPS_FILE = "crops.arrow"
RECORDINGS_FILE = "recordings.arrow"
_FLOAT16_BYTES = 2
_RECORDING_BYTES = 32
"""About what a row of `recordings.arrow` takes: a short id and three numbers."""
_ARROW_BYTES = 2000
"""About what headers and footers of both files take."""


def knowledge_size_bytes(
    n_crops_total: int, n_classes: int, embedding_dim: int, *, n_recordings: int = 0
) -> int:
    """Predict the size of the artifact's data before anything is computed."""
    row_bytes = (n_classes + embedding_dim) * _FLOAT16_BYTES
    return n_crops_total * row_bytes + n_recordings * _RECORDING_BYTES + _ARROW_BYTES


def view_fingerprint(view: View) -> str:
    """Hash what a crop is, without the leads: the student's differ from the teacher's."""
    return fingerprint_of({key: value for key, value in view.to_json().items() if key != "leads"})


def split_fingerprint(split: Split) -> str:
    """Hash which recordings a split has, and their order."""
    return hashlib.sha256("\n".join(split.record_ids).encode()).hexdigest()


@torch.no_grad()
def write_knowledge(
    out: str | Location,
    *,
    teacher: Network,
    shards: Shards,
    split: Split,
    view: View,
    teacher_fingerprint: str,
    batch_size: int = 512,
    bf16: bool = False,
    device: torch.device | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Run the teacher over every crop of the training split and publish what it says.

    What an earlier, killed writer left at `out` is begun again.

    Args:
        out: a local folder that does not exist yet.
        teacher: left in evaluation mode, on the device.
        shards: what the split and the view are of.
        split: the training split.
        view: the teacher's.
        teacher_fingerprint: of the teacher's artifact.
        batch_size: crops in one forward pass.
        bf16: run the teacher under bf16 autocast.
        device: where to run it; by default a GPU where there is one.
        on_progress: called with crops done and crops in total.

    Raises:
        DataError: The teacher's logits or embeddings leave the range of float16.
    """
    location = Location.parse(out)
    discard_partial(location)
    folder = partial_location(location).local_path
    folder.mkdir(parents=True)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = GridLoader(shards, split.rows, view, batch_size=batch_size, device=device)
    n_crops = loader.n_crops_total
    n_classes = len(split.classes)
    teacher.to(device).eval()

    with (
        _scratch(folder / ".logits", (n_crops, n_classes)) as logits_RC,
        _scratch(folder / ".embedding", (n_crops, teacher.embedding_dim)) as embedding_RD,
    ):
        done = 0
        for batch in loader.batches():
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                logits_BC, embedding_BD = teacher(batch.signal_BLS)
            rows = slice(done, done + len(logits_BC))
            logits_RC[rows] = _to_float16(logits_BC, "logits")
            embedding_RD[rows] = _to_float16(embedding_BD, "embedding")
            done = rows.stop
            if on_progress is not None:
                on_progress(done, n_crops)
        assert done == n_crops
        crops = {"logits": _column(logits_RC), "embedding": _column(embedding_RD)}
        _write_ipc(folder / CROPS_FILE, pa.RecordBatch.from_pydict(crops))

    offsets_N1 = loader.crop_offsets
    recordings = {
        "record_id": pa.array(split.record_ids, pa.string()),
        "first_crop": pa.array(offsets_N1[:-1]),
        "n_crops": pa.array(np.diff(offsets_N1).astype(np.int32)),
    }
    _write_ipc(folder / RECORDINGS_FILE, pa.RecordBatch.from_pydict(recordings))
    return publish(
        location,
        kind=KIND,
        config=knowledge_config(view),
        inputs={
            "shards": shards.fingerprint,
            "teacher": teacher_fingerprint,
            "view": view_fingerprint(view),
            "training split": split_fingerprint(split),
        },
        n_rows={CROPS_FILE: n_crops, RECORDINGS_FILE: len(split.rows)},
        counts={"n_crops": n_crops, "n_recordings": len(split.rows)},
        details={"classes": list(split.classes), "embedding_dim": teacher.embedding_dim},
    )


def knowledge_config(view: View) -> dict[str, Any]:
    """Return what is asked for when knowledge is made, for `recipe_of`."""
    return {"dtype": "float16", "view": view.to_json()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Knowledge:
    """The teacher's logits and embeddings, memory-mapped: pages are shared by all processes."""

    manifest: Manifest
    logits_RC: NDArray[np.float16]
    embedding_RD: NDArray[np.float16]
    first_crop_N: NDArray[np.int64]

    @property
    def embedding_dim(self) -> int:
        """D, of the teacher."""
        return self.embedding_RD.shape[1]

    def gather(self, example_B: Tensor, crop_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits_BC and embedding_BD of crops, float32, on the CPU.

        Args:
            example_B: index of the recording in the training split.
            crop_B: index of the crop on the recording's grid.
        """
        row_B = self.first_crop_N[example_B.cpu().numpy()] + crop_B.cpu().numpy()
        logits_BC = torch.from_numpy(self.logits_RC[row_B])
        return logits_BC.float(), torch.from_numpy(self.embedding_RD[row_B]).float()


def open_knowledge(
    location: str | Location,
    *,
    shards: Shards,
    teacher: str | None = None,
    split: Split | None = None,
    view: View | None = None,
) -> Knowledge:
    """Map finished knowledge, after comparing what it was made from with what it is used with.

    Args:
        location: a local folder.
        shards: what the students are trained on.
        teacher: fingerprint of the teacher; None: not compared.
        split: the students' training split; None: not compared.
        view: the students' view, of any leads; None: not compared.

    Raises:
        ArtifactError: Nothing finished is there.
        StaleArtifactError: It was made from something else.
    """
    place = Location.parse(location)
    manifest = read_manifest(place, KIND)
    expected = {
        "shards": shards.fingerprint,
        "teacher": teacher,
        "view": view_fingerprint(view) if view else None,
        "training split": split_fingerprint(split) if split else None,
    }
    for kind, fingerprint in expected.items():
        if fingerprint is not None:
            expect_input(f"The teacher's knowledge {place}", manifest, kind, fingerprint)
    crops = _map_ipc((place / CROPS_FILE).local_path)
    recordings = _map_ipc((place / RECORDINGS_FILE).local_path)
    return Knowledge(
        manifest=manifest,
        logits_RC=_matrix(crops.column("logits")),
        embedding_RD=_matrix(crops.column("embedding")),
        first_crop_N=recordings.column("first_crop").to_numpy(),
    )


@contextmanager
def _scratch(path: Path, shape: tuple[int, int]) -> Iterator[NDArray[np.float16]]:
    """Give a float16 table on disk, so that millions of recordings need not fit in memory."""
    try:
        yield np.memmap(path, dtype=np.float16, mode="w+", shape=shape)
    finally:
        path.unlink(missing_ok=True)


def _to_float16(tensor: Tensor, name: str) -> NDArray[np.float16]:
    values = tensor.half()
    if not bool(torch.isfinite(values).all()):
        raise DataError(
            f"The teacher's {name} are not finite in float16 (up to {float(tensor.abs().max()):g}, "
            "the largest float16 is 65504). Train the teacher again at a lower learning rate, or "
            "set `knowledge: online`."
        )
    return values.cpu().numpy()


def _column(table: NDArray[np.float16]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(table.reshape(-1)), table.shape[1])


def _matrix(column: pa.FixedSizeListArray) -> NDArray[np.float16]:
    values = column.flatten().to_numpy(zero_copy_only=True)
    return values.reshape(len(column), column.type.list_size)


def _write_ipc(path: Path, batch: pa.RecordBatch) -> None:
    """Write one record batch, so that each column is one piece of the file."""
    with (
        Location.parse(path).writing_aside() as aside,
        pa.OSFile(str(aside), "wb") as sink,
        pa.ipc.new_file(sink, batch.schema) as writer,
    ):
        writer.write_batch(batch)


def _map_ipc(path: Path) -> pa.RecordBatch:
    return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
