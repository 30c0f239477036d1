"""What the teacher says of every crop of the training split, computed once, mapped by every trial.

Reads: shards, a teacher. Writes: an artifact of two Arrow IPC files. `crops.arrow` has one row per
crop of the grid, recording by recording: `logits` and `embedding`, float16. `recordings.arrow` has
one row per recording of the training split, in its order: `record_id`, `first_crop`, `n_crops`.

`knowledge: record` takes what the teacher says of a recording as a whole: the mean over all its
crops, of the logits and of the embeddings. The classifier is linear, so the mean logits are what it
makes of the mean embedding: both are one and the same opinion, whatever loss and temperature a
trial has. (Means of probabilities would need one temperature for all trials.) It is computed from
the crops when a trial opens them, or written as such: then `crops.arrow` has one row per recording.

Shapes: B batch, R rows (crops), N recordings, C classes, D embedding of the teacher.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvkt_ray.data.loader import GridLoader
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.splits import Split
from mvkt_ray.data.views import View
from mvkt_ray.errors import DataError, StaleArtifactError
from mvkt_ray.machine_faults import naming_the_file
from mvkt_ray.models import Network
from mvkt_ray.storage.artifacts import (
    Manifest,
    build_folder,
    discard_partial,
    expect_input,
    fingerprint_of,
    open_file,
    publish,
    read_manifest,
)
from mvkt_ray.storage.location import Location

KIND = "knowledge"
CROPS_FILE = "crops.arrow"
RECORDINGS_FILE = "recordings.arrow"
_RECORDINGS = "recordings"
"""What a row of `crops.arrow` is of when it is not of a crop, in the manifest."""
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
    per_recording: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Run the teacher over every crop of the training split and publish what it says.

    What an earlier, killed writer left at `out` is begun again.

    Args:
        out: a folder that does not exist yet.
        teacher: left in evaluation mode, on the device.
        shards: what the split and the view are of.
        split: the training split.
        view: the teacher's.
        teacher_fingerprint: of the teacher's artifact.
        batch_size: crops in one forward pass.
        bf16: run the teacher under bf16 autocast.
        device: where to run it; by default a GPU where there is one.
        per_recording: write the mean over the crops of each recording instead of each crop.
        on_progress: called with crops done and crops in total.

    Raises:
        DataError: The teacher's logits or embeddings leave the range of float16.
    """
    location = Location.parse(out)
    discard_partial(location)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = GridLoader(shards, split.rows, view, batch_size=batch_size, device=device)
    n_crops_N = np.diff(loader.crop_offsets)
    first_row_N = np.arange(len(n_crops_N)) if per_recording else loader.crop_offsets[:-1]
    recordings = {
        "record_id": pa.array(split.record_ids, pa.string()),
        "first_crop": pa.array(first_row_N),
        "n_crops": pa.array(
            (np.ones_like(n_crops_N) if per_recording else n_crops_N).astype(np.int32)
        ),
    }
    with build_folder(location) as folder:
        n_rows = _write_crops(
            folder,
            teacher.to(device).eval(),
            loader,
            n_classes=len(split.classes),
            bf16=bf16,
            per_recording=per_recording,
            on_progress=on_progress,
        )
        _write_ipc(folder / RECORDINGS_FILE, pa.RecordBatch.from_pydict(recordings))
        return publish(
            location,
            kind=KIND,
            config=knowledge_config(view, per_recording=per_recording),
            inputs={
                "shards": shards.fingerprint,
                "teacher": teacher_fingerprint,
                "view": view_fingerprint(view),
                "training split": split_fingerprint(split),
            },
            built=folder,
            n_rows={CROPS_FILE: n_rows, RECORDINGS_FILE: len(split.rows)},
            counts={"n_crops": loader.n_crops_total, "n_recordings": len(split.rows)},
            details={"classes": list(split.classes), "embedding_dim": teacher.embedding_dim},
        )


def _write_crops(
    folder: Path,
    teacher: Network,
    loader: GridLoader,
    *,
    n_classes: int,
    bf16: bool,
    per_recording: bool,
    on_progress: Callable[[int, int], None] | None,
) -> int:
    """Run the teacher over the crops of a loader and write `CROPS_FILE`; return its rows."""
    n_crops_N = np.diff(loader.crop_offsets)
    n_rows = len(n_crops_N) if per_recording else loader.n_crops_total

    def table(name: str, n_columns: int) -> AbstractContextManager[NDArray[np.floating]]:
        return _scratch(folder / f".{name}", (n_rows, n_columns), is_sum=per_recording)

    with (
        table("logits", n_classes) as logits_RC,
        table("embedding", teacher.embedding_dim) as embedding_RD,
    ):
        done = 0
        for batch in loader.batches():
            device_type = batch.signal_BLS.device.type
            with torch.autocast(device_type, dtype=torch.bfloat16, enabled=bf16):
                logits_BC, embedding_BD = teacher(batch.signal_BLS)
            for rows_RX, said_BX, name in (
                (logits_RC, logits_BC, "logits"),
                (embedding_RD, embedding_BD, "embedding"),
            ):
                _refuse_overflow(said_BX, name)
                if per_recording:
                    _add_shares(rows_RX, said_BX, batch.example_B, n_crops_N)
                else:
                    rows_RX[done : done + len(said_BX)] = said_BX.half().cpu().numpy()
            done += len(logits_BC)
            if on_progress is not None:
                on_progress(done, loader.n_crops_total)
        assert done == loader.n_crops_total
        crops = {"logits": _column(logits_RC), "embedding": _column(embedding_RD)}
        _write_ipc(folder / CROPS_FILE, pa.RecordBatch.from_pydict(crops))
    return n_rows


def knowledge_config(view: View, *, per_recording: bool = False) -> dict[str, Any]:
    """Return what is asked for when knowledge is made, for `recipe_of`."""
    config = {"dtype": "float16", "view": view.to_json()}
    return config | {"rows": _RECORDINGS} if per_recording else config


@dataclass(frozen=True, kw_only=True, slots=True)
class Knowledge:
    """The teacher's logits and embeddings, memory-mapped: pages are shared by all processes."""

    manifest: Manifest
    logits_RC: NDArray[np.float16]
    embedding_RD: NDArray[np.float16]
    first_crop_N: NDArray[np.int64]
    per_recording: bool = False
    """One row per recording, for all its crops, instead of one row per crop."""

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
        row_B = self.first_crop_N[example_B.cpu().numpy()]
        if not self.per_recording:
            row_B = row_B + crop_B.cpu().numpy()
        logits_BC = torch.from_numpy(self.logits_RC[row_B])
        return logits_BC.float(), torch.from_numpy(self.embedding_RD[row_B]).float()

    def of_recordings(self) -> "Knowledge":
        """Return knowledge of the recordings as a whole: means over their crops, in memory."""
        if self.per_recording:
            return self
        return replace(
            self,
            logits_RC=_means(self.logits_RC, self.first_crop_N),
            embedding_RD=_means(self.embedding_RD, self.first_crop_N),
            first_crop_N=np.arange(len(self.first_crop_N)),
            per_recording=True,
        )


def open_knowledge(
    location: str | Location,
    *,
    shards: Shards,
    teacher: str | None = None,
    split: Split | None = None,
    view: View | None = None,
    per_recording: bool = False,
) -> Knowledge:
    """Map finished knowledge, after comparing what it was made from with what it is used with.

    Args:
        location: its folder; one in a store is mapped as the node's cache has it.
        shards: what the students are trained on.
        teacher: fingerprint of the teacher; None: not compared.
        split: the students' training split; None: not compared.
        view: the students' view, of any leads; None: not compared.
        per_recording: return what the teacher says of whole recordings, not of each crop.

    Raises:
        ArtifactError: Nothing finished is there.
        StaleArtifactError: It was made from something else, or has no crops and they are needed.
    """
    root = Location.parse(location)
    manifest = read_manifest(root, KIND)
    expected = {
        "shards": shards.fingerprint,
        "teacher": teacher,
        "view": view_fingerprint(view) if view else None,
        "training split": split_fingerprint(split) if split else None,
    }
    for kind, fingerprint in expected.items():
        if fingerprint is not None:
            expect_input(f"The teacher's knowledge {root}", manifest, kind, fingerprint)
    is_per_recording = manifest.config.get("rows") == _RECORDINGS
    if is_per_recording and not per_recording:
        raise StaleArtifactError(
            f"The teacher's knowledge {root} was made for `knowledge: record`: it is of whole "
            "recordings and says nothing of single crops. Set student.knowledge to record, or "
            "compute it again with `mvkt cache` for `knowledge: cached`."
        )
    crops = open_file(root, manifest, CROPS_FILE, _map_ipc)
    recordings = open_file(root, manifest, RECORDINGS_FILE, _map_ipc)
    knowledge = Knowledge(
        manifest=manifest,
        logits_RC=_matrix(crops.column("logits")),
        embedding_RD=_matrix(crops.column("embedding")),
        first_crop_N=recordings.column("first_crop").to_numpy(),
        per_recording=is_per_recording,
    )
    return knowledge.of_recordings() if per_recording else knowledge


@contextmanager
def _scratch(path: Path, shape: tuple[int, int], *, is_sum: bool) -> Iterator[NDArray[np.floating]]:
    """Give a table of zeros on disk, so that millions of recordings need not fit in memory."""
    dtype = np.dtype(np.float32 if is_sum else np.float16)
    n_bytes = shape[0] * shape[1] * dtype.itemsize
    try:
        # Reserved before it is mapped: where the disk is full that is an error, while writing to a
        # mapped file that has no room ends the process without a word (SIGBUS).
        with naming_the_file(path, n_bytes), path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        yield np.memmap(path, dtype=dtype, mode="r+", shape=shape)
    finally:
        path.unlink(missing_ok=True)


def _refuse_overflow(tensor: Tensor, name: str) -> None:
    if not bool(torch.isfinite(tensor.half()).all()):
        raise DataError(
            f"The teacher's {name} are not finite in float16 (up to {float(tensor.abs().max()):g}, "
            f"the largest float16 is {torch.finfo(torch.float16).max:.0f}). Train the teacher "
            "again at a lower learning rate, or set `knowledge: online`."
        )


def _add_shares(
    mean_NX: NDArray[np.floating], said_BX: Tensor, example_B: Tensor, n_crops_N: NDArray[np.int64]
) -> None:
    """Add the shares that crops have in the means of their recordings; crops come in order."""
    example = example_B.cpu().numpy()
    first = np.flatnonzero(np.diff(example, prepend=-1))
    share_BX = said_BX.float().cpu().numpy() / n_crops_N[example, None].astype(np.float32)
    mean_NX[example[first]] += np.add.reduceat(share_BX, first, axis=0)


def _means(value_RD: NDArray[np.float16], first_N: NDArray[np.int64]) -> NDArray[np.float16]:
    """Return the mean over the rows of each recording, which follow each other."""
    count_N = np.diff(first_N, append=len(value_RD))
    sum_ND = np.add.reduceat(value_RD, first_N, axis=0, dtype=np.float32)
    return (sum_ND / count_N[:, None]).astype(np.float16)


def _column(table: NDArray[np.floating]) -> pa.FixedSizeListArray:
    values = pa.array(table.astype(np.float16, copy=False).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, table.shape[1])


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
