"""The folder of a trial: what is in it, and how its result is written and found again.

Reads and writes, in `trials/00012/`: `checkpoint.pt` while the trial is unfinished; at its end
`student.safetensors` and `validation.arrow` (a complete trial's), and, last, `result.json`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import safetensors.torch
from numpy.typing import NDArray
from torch import nn

from mvkt_ray.data.splits import Split
from mvkt_ray.errors import ArtifactError
from mvkt_ray.records import Trial, TrialResult, trial_folder_name
from mvkt_ray.storage.location import Location
from mvkt_ray.training.checkpoint import EpochRecord
from mvkt_ray.training.validation import Predictions

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredResult:
    """What `result.json` tells of a finished trial."""

    result: TrialResult
    history: tuple[EpochRecord, ...]


@dataclass(frozen=True, slots=True)
class TrialFolder:
    """Paths and files of one trial."""

    location: Location

    @classmethod
    def of(cls, trials: str | Location, number: int) -> "TrialFolder":
        """Return the folder of a trial by its number."""
        return cls(Location.parse(trials) / trial_folder_name(number))

    @property
    def checkpoint(self) -> Location:
        """Where an unfinished trial goes on from."""
        return self.location / "checkpoint.pt"

    @property
    def student(self) -> Location:
        """Weights of a complete trial."""
        return self.location / "student.safetensors"

    @property
    def validation(self) -> Location:
        """Predictions of a complete trial on the validation split."""
        return self.location / "validation.arrow"

    @property
    def result(self) -> Location:
        """How the trial ended; where it is, the trial has ended."""
        return self.location / "result.json"

    def result_content(self) -> bytes | None:
        """Return `result.json` as it is, None while the trial has not ended."""
        return self.result.read_bytes() if self.result.exists() else None

    def parse_result(self, content: bytes | None, recipe: str) -> StoredResult | None:
        """Read what `write_result` wrote.

        Raises:
            ArtifactError: The result is that of another trial, or cannot be read.
        """
        if content is None:
            return None
        try:
            value = json.loads(content)
            found = value["recipe"]
            stored = StoredResult(
                result=TrialResult.from_json(value["result"]),
                history=tuple(EpochRecord.from_json(item) for item in value["history"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"{self.result} cannot be read as the result of a trial ({error}). Remove it to "
                "run the trial again."
            ) from None
        if found != recipe:
            raise ArtifactError(
                f"{self.result} is the result of another trial (recipe {found[:12]}, asked for "
                f"{recipe[:12]}): other hyper-parameters, data or seed. Give a new folder, or "
                "remove that one."
            )
        return stored

    def write_complete(self, student: nn.Module, split: Split, predictions: Predictions) -> None:
        """Write what a complete trial leaves beside its result."""
        weights = {name: value.cpu().contiguous() for name, value in student.state_dict().items()}
        self.student.write_bytes(safetensors.torch.save(weights))
        self.validation.write_bytes(predictions_to_arrow(split, predictions))

    def write_result(
        self,
        trial: Trial,
        result: TrialResult,
        history: Sequence[EpochRecord],
        *,
        recipe: str,
        facts: dict[str, Any],
    ) -> None:
        """Write how the trial ended; nothing is written after it."""
        value = {
            "schema_version": SCHEMA_VERSION,
            "recipe": recipe,
            "trial": trial.to_json(),
            "result": result.to_json(),
            "history": [record.to_json() for record in history],
            "made_from": facts,
        }
        self.result.write_bytes((json.dumps(value, indent=2, allow_nan=False) + "\n").encode())

    def discard_checkpoint(self) -> None:
        """Remove what only an unfinished trial needs: banks and moments, many times its weights."""
        self.checkpoint.delete()


def predictions_to_arrow(split: Split, predictions: Predictions) -> bytes:
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
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _lists(values_NC: NDArray[Any]) -> pa.FixedSizeListArray:
    flat = pa.array(np.ascontiguousarray(values_NC).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values_NC.shape[1])
