"""Writes knowledge from the teacher's outputs for parts of the training split.

Reads: lengths of the training recordings. Writes: an artifact of kind `knowledge`. It reads no
signals, so the node of this process needs no shards.

Shapes: R rows (crops, or recordings), X logits or embedding.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mvkt_ray.data.mapping import MapFunction, in_process_map
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.splits import Split
from mvkt_ray.data.views import View
from mvkt_ray.distill.knowledge import (
    CROPS_FILE,
    KIND,
    RECORDINGS_FILE,
    knowledge_config,
    split_fingerprint,
    view_fingerprint,
)
from mvkt_ray.distill.knowledge_parts import CROPS_PER_PART, Answer, Part, crops_of, parts_of
from mvkt_ray.machine_faults import naming_the_file
from mvkt_ray.storage.artifacts import build_folder, discard_partial, publish
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest


def write_knowledge(
    out: str | Location,
    *,
    ask: Callable[[Part], Answer],
    shards: Shards,
    split: Split,
    view: View,
    teacher_fingerprint: str,
    embedding_dim: int,
    per_recording: bool = False,
    speaker_N: NDArray[np.int64] | None = None,
    map_function: MapFunction = in_process_map,
    crops_per_part: int = CROPS_PER_PART,
    on_progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Compute the teacher's outputs for every crop of the training split, and publish them.

    The remains of a killed writer at `out` are discarded.

    Args:
        out: A folder that does not exist yet.
        ask: Returns the teacher's outputs for a part, as `ask_teacher`; called by `map_function`.
        shards: Shards of the split.
        split: The training split.
        view: The teacher's view.
        teacher_fingerprint: Fingerprint of the teacher's artifact.
        embedding_dim: Dimension of the teacher's embedding.
        per_recording: Write the mean over the crops of each recording instead of each crop.
        speaker_N: int64 `[N]`: index of the network whose logits are written for each recording,
            as `speakers_of`; None: the teacher.
        map_function: Applies `ask` to all parts; results may arrive in any order.
        crops_per_part: Approximate number of crops of a part.
        on_progress: Called with the numbers of crops done and in total.

    Raises:
        DataError: The teacher's logits or embeddings leave the range of float16.
    """
    location = Location.parse(out)
    discard_partial(location)
    n_crops_N = crops_of(shards, split, view)
    first_crop_N = np.cumsum(n_crops_N) - n_crops_N
    n_crops, n_recordings = int(n_crops_N.sum()), len(n_crops_N)
    recordings = {
        "record_id": pa.array(split.record_ids, pa.string()),
        "first_crop": pa.array(np.arange(n_recordings) if per_recording else first_crop_N),
        "n_crops": pa.array(
            (np.ones_like(n_crops_N) if per_recording else n_crops_N).astype(np.int32)
        ),
    }
    parts = parts_of(
        split,
        n_crops_N,
        per_recording=per_recording,
        speaker_N=speaker_N,
        crops_per_part=crops_per_part,
    )
    n_rows = n_recordings if per_recording else n_crops
    with build_folder(location) as folder:
        with (
            _scratch(folder / ".logits", (n_rows, len(split.classes))) as logits_RC,
            _scratch(folder / ".embedding", (n_rows, embedding_dim)) as embedding_RD,
        ):
            n_done = 0
            for answer in map_function(ask, parts):
                _put(logits_RC, answer.first_row, answer.logits_RC)
                _put(embedding_RD, answer.first_row, answer.embedding_RD)
                n_done += answer.n_crops
                if on_progress is not None:
                    on_progress(n_done, n_crops)
            assert n_done == n_crops
            crops = {"logits": _column(logits_RC), "embedding": _column(embedding_RD)}
            _write_ipc(folder / CROPS_FILE, pa.RecordBatch.from_pydict(crops))
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
            n_rows={CROPS_FILE: n_rows, RECORDINGS_FILE: n_recordings},
            counts={"n_crops": n_crops, "n_recordings": n_recordings},
            details={"classes": list(split.classes), "embedding_dim": embedding_dim},
        )


def _put(table_RX: NDArray[np.float16], first_row: int, part_RX: NDArray[np.float16]) -> None:
    table_RX[first_row : first_row + len(part_RX)] = part_RX


@contextmanager
def _scratch(path: Path, shape: tuple[int, int]) -> Iterator[NDArray[np.float16]]:
    """Yield a table of zeros on disk, so that millions of recordings need not fit in memory."""
    n_bytes = shape[0] * shape[1] * np.dtype(np.float16).itemsize
    try:
        # Reserved before it is mapped: a full disk is then an OSError, while a write to a mapped
        # file without space kills the process (SIGBUS).
        with naming_the_file(path, n_bytes), path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        yield np.memmap(path, dtype=np.float16, mode="r+", shape=shape)
    finally:
        path.unlink(missing_ok=True)


def _column(table_RX: NDArray[np.float16]) -> pa.FixedSizeListArray:
    values = pa.array(table_RX.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, table_RX.shape[1])


def _write_ipc(path: Path, batch: pa.RecordBatch) -> None:
    """Write one record batch, so that each column is contiguous in the file."""
    with (
        Location.parse(path).writing_aside() as aside,
        pa.OSFile(str(aside), "wb") as sink,
        pa.ipc.new_file(sink, batch.schema) as writer,
    ):
        writer.write_batch(batch)
