"""Patients whom only the headers of files name: their hashed ids become numbers in the shards.

A hash of a hospital's patient number can be undone by trying all numbers, so none is published. The
numbers follow the order of the listing; they are written down before the first shard is written
again, so that an ingest that was killed in between goes on with the same.

Reads: the patients of the shards that the jobs have built.
Writes: in `.work/`, which goes when the shards are published, the hashed ids in their order.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from mvkt_ray.data.identity import is_header_patient, numbered_patient
from mvkt_ray.data.ingest.ingest_plan import IngestPlan, patients_file
from mvkt_ray.data.ingest.shard_totals import HasColumns
from mvkt_ray.errors import ArtifactError
from mvkt_ray.file_guards import reading
from mvkt_ray.storage.sealed import sealed_json, unsealed_json

_COLUMN = "patient_id"


class NumberedShard:
    """A built shard, with numbers in place of hashed ids."""

    def __init__(self, shard: HasColumns, number_of: Mapping[str, str]) -> None:
        self._shard = shard
        self._number_of = number_of

    def column(self, name: str) -> pa.Array:
        """Return one column."""
        column = self._shard.column(name)
        return numbered(column, self._number_of) if name == _COLUMN else column


def number_of_patients(plan: IngestPlan, shards: Sequence[HasColumns]) -> dict[str, str]:
    """Return the id that each hashed one becomes; nothing where no header named a patient.

    Args:
        plan: The ingest's.
        shards: As they were built, in order; those that are written again already may be among
            them.
    """
    kept = patients_file(plan)
    if kept.exists():
        advice = f"Remove {plan.partial} and ingest from the start."
        with reading(kept, advice, ArtifactError):
            hashed = unsealed_json(kept.read_bytes())["patients"]
    else:
        found: dict[str, None] = {}
        for shard in shards:
            ids = pc.call_function("unique", [shard.column(_COLUMN)]).to_pylist()
            found |= dict.fromkeys(filter(is_header_patient, ids))
        hashed = list(found)
        if hashed:
            kept.write_bytes(sealed_json({"patients": hashed}))
    return {each: numbered_patient(number) for number, each in enumerate(hashed, start=1)}


def numbered(ids: pa.Array, number_of: Mapping[str, str]) -> pa.Array:
    """Return ids, with numbers in place of hashed ones."""
    names = ids.to_pylist()
    return pa.array([number_of.get(name, name) for name in names], pa.string())
