"""Files of a model's predictions on a split: written, read, tagged and hashed.

Reads and writes: an Arrow IPC file whose metadata has the SHA-256 of the file, computed with zeros
in its place. The hash is verified before the file is parsed, since Arrow does not check the offsets
that it reads.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mvkt_ray.errors import ArtifactError
from mvkt_ray.file_guards import reading
from mvkt_ray.storage.location import Location

if TYPE_CHECKING:
    from mvkt_ray.data.splits import Split
    from mvkt_ray.training.validation import Predictions

_SEAL = b"sha256 of this file, with zeros here"
_NO_HASH = b"0" * 64
_STORED_HASH = re.compile(rb"mvkt-sha256:([0-9a-f]{64})")

_ADVICE = (
    "It was damaged after it was written: restore it from a copy; predictions on the test split "
    "are repeated while their opening lasts."
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoredPredictions:
    """Predictions of one model for one split, N recordings and C classes."""

    record_ids_N: NDArray[Any]
    """`[N]`, str."""
    patient_ids_N: NDArray[Any]
    """`[N]`, str."""
    labels_NC: NDArray[np.float32]
    probabilities_NC: NDArray[np.float32]
    classes: tuple[str, ...]
    tags: Mapping[str, str]
    """Other metadata of the file."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the recordings' ids and the probabilities, independent of time and place."""
        digest = hashlib.sha256("\n".join(self.record_ids_N).encode())
        digest.update(np.ascontiguousarray(self.probabilities_NC).tobytes())
        return digest.hexdigest()


def predictions_to_arrow(split: "Split", predictions: "Predictions") -> bytes:
    """Return an Arrow IPC file: one row per recording of the split, in its order.

    Columns: `record_id`, `patient_id`, `probabilities` (a float32 list, one per class) and `labels`
    (an int8 list); the classes are in the schema's metadata, as JSON.
    """
    columns = {
        "record_id": pa.array(split.record_ids, pa.string()),
        "patient_id": pa.array(split.patient_ids, pa.string()),
        "probabilities": _lists(predictions.probabilities_NC),
        "labels": _lists(predictions.labels_NC.astype(np.int8)),
    }
    table = pa.table(columns).replace_schema_metadata({"classes": json.dumps(list(split.classes))})
    return sealed_arrow(table)


def read_predictions(location: Location) -> StoredPredictions:
    """Read a file of predictions.

    Raises:
        ArtifactError: The file is not there, or is something else.
    """
    with reading(f"{location}, a file of predictions,", _ADVICE, ArtifactError):
        content = location.read_bytes()
    return parse_predictions(content, location)


def parse_predictions(content: bytes, location: Location) -> StoredPredictions:
    """Read the content of a file of predictions.

    Args:
        content: Of the file.
        location: Of the file, for messages.

    Raises:
        ArtifactError: The file was damaged, or is something else.
    """
    with reading(f"{location}, a file of predictions,", _ADVICE, ArtifactError):
        table = _table(content).combine_chunks()
        tags = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        tags.pop(_SEAL.decode())
        classes = tuple(json.loads(tags.pop("classes")))
        return StoredPredictions(
            record_ids_N=table["record_id"].to_numpy(),
            patient_ids_N=table["patient_id"].to_numpy(),
            labels_NC=_matrix(table["labels"], len(classes)),
            probabilities_NC=_matrix(table["probabilities"], len(classes)),
            classes=classes,
            tags=tags,
        )


def with_tags(content: bytes, tags: Mapping[str, str]) -> bytes:
    """Return a file of predictions with more in its metadata."""
    table = _table(content)
    return sealed_arrow(table.replace_schema_metadata({**table.schema.metadata, **tags}))


def sealed_arrow(table: pa.Table) -> bytes:
    """Return a table as an Arrow IPC file that has its own hash in its metadata."""
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != _SEAL}
    table = table.replace_schema_metadata({**metadata, _SEAL: b"mvkt-sha256:" + _NO_HASH})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    own_hash = hashlib.sha256(content).hexdigest()
    # In the schema at the beginning, and in its copy in the footer.
    return content.replace(b"mvkt-sha256:" + _NO_HASH, f"mvkt-sha256:{own_hash}".encode())


def _table(content: bytes) -> pa.Table:
    stored = set(_STORED_HASH.findall(content))
    if len(stored) != 1:
        raise ValueError("it lacks its hash")
    [own_hash] = stored
    unsealed = content.replace(own_hash, _NO_HASH)
    if hashlib.sha256(unsealed).hexdigest() != own_hash.decode():
        raise ValueError("its content does not match its hash")
    with pa.ipc.open_file(pa.BufferReader(content)) as reader:
        return reader.read_all()


def _matrix(column: pa.ChunkedArray, n_classes: int) -> NDArray[np.float32]:
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    flat = np.concatenate(parts) if parts else np.empty(0)
    return flat.reshape(-1, n_classes).astype(np.float32)


def _lists(values_NC: NDArray[Any]) -> pa.FixedSizeListArray:
    flat = pa.array(np.ascontiguousarray(values_NC).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values_NC.shape[1])
