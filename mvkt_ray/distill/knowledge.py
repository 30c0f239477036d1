"""Teacher outputs for every crop of the training split: computed once, memory-mapped by trials.

`knowledge_parts` computes it, `knowledge_writer` writes it: an artifact of two Arrow IPC files.
`crops.arrow` has one row per crop of the grid, recording by recording: `logits` and `embedding`,
float16. `recordings.arrow` has one row per recording of the training split, in its order:
`record_id`, `first_crop`, `n_crops`.

`knowledge: record` uses the teacher's outputs for a recording as a whole: the means of logits and
embeddings over all its crops. The classifier is linear, so the mean logits are the logits of the
mean embedding, and the two are consistent for every loss and temperature. (Means of probabilities
would need one temperature for all trials.) The means are computed from the crops when a trial opens
them, or are stored: then `crops.arrow` has one row per recording.

Shapes: B batch, R rows (crops), N recordings, C classes, D embedding of the teacher.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvkt_ray.data.shards import Shards
from mvkt_ray.data.splits import Split
from mvkt_ray.data.views import View
from mvkt_ray.errors import StaleArtifactError
from mvkt_ray.storage.artifacts import expect_input, open_file, read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest, fingerprint_of

KIND = "knowledge"
CROPS_FILE = "crops.arrow"
RECORDINGS_FILE = "recordings.arrow"
_RECORDINGS = "recordings"
"""The manifest's `rows` if rows of `crops.arrow` are whole recordings, not crops."""
_FLOAT16_BYTES = 2
_RECORDING_BYTES = 32
"""Approximate size of a row of `recordings.arrow`: a short id and three numbers."""
_ARROW_BYTES = 2000
"""Approximate size of the headers and footers of both files."""


def knowledge_size_bytes(
    n_crops_total: int, n_classes: int, embedding_dim: int, *, n_recordings: int = 0
) -> int:
    """Return the predicted size of the artifact, in bytes, before it is computed."""
    row_bytes = (n_classes + embedding_dim) * _FLOAT16_BYTES
    return n_crops_total * row_bytes + n_recordings * _RECORDING_BYTES + _ARROW_BYTES


def view_fingerprint(view: View) -> str:
    """Return the hash of a view without its leads, in which student and teacher differ."""
    return fingerprint_of({key: value for key, value in view.to_json().items() if key != "leads"})


def split_fingerprint(split: Split) -> str:
    """Return the hash of a split's recordings, in order."""
    return hashlib.sha256("\n".join(split.record_ids).encode()).hexdigest()


def knowledge_config(view: View, *, per_recording: bool = False) -> dict[str, Any]:
    """Return the configuration of knowledge, for the manifest and `recipe_of`."""
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
    """Whether there is one row per recording instead of one per crop."""

    @property
    def embedding_dim(self) -> int:
        """D, the dimension of the teacher's embedding."""
        return self.embedding_RD.shape[1]

    def gather(self, example_B: Tensor, crop_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits `[B, C]` and embedding `[B, D]` of crops, float32, on the CPU.

        Args:
            example_B: int64: index of the recording in the training split.
            crop_B: int64: index of the crop on the recording's grid.
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
    """Memory-map finished knowledge, after comparing its inputs with those of the students.

    Args:
        location: Folder of the knowledge; from a store it is mapped in the node's cache.
        shards: The students' shards.
        teacher: Fingerprint of the teacher; None: not compared.
        split: The students' training split; None: not compared.
        view: The students' view, of any leads; None: not compared.
        per_recording: Return outputs for whole recordings, not for crops.

    Raises:
        ArtifactError: There is no finished knowledge.
        StaleArtifactError: It has other inputs, or only whole recordings where crops are needed.
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
            f"The teacher's knowledge {root} was made for `knowledge: record`: it has teacher "
            "outputs for whole recordings, not for single crops. Set student.knowledge to "
            "record, or compute it again with `mvkt cache` for `knowledge: cached`."
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


def _means(value_RD: NDArray[np.float16], first_N: NDArray[np.int64]) -> NDArray[np.float16]:
    """Return float16 `[N, D]`: means over the consecutive rows of each recording."""
    count_N = np.diff(first_N, append=len(value_RD))
    sum_ND = np.add.reduceat(value_RD, first_N, axis=0, dtype=np.float32)
    return (sum_ND / count_N[:, None]).astype(np.float16)


def _matrix(column: pa.FixedSizeListArray) -> NDArray[np.float16]:
    values = column.flatten().to_numpy(zero_copy_only=True)
    return values.reshape(len(column), column.type.list_size)


def _map_ipc(path: Path) -> pa.RecordBatch:
    return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
