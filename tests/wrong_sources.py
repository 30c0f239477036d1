"""A source that keeps the contract, and others that each break it in one place."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from mvkt_ray.data.recording import LEADS, Recording, RecordingRef
from mvkt_ray.data.sources.record_files import NotListed
from mvkt_ray.data.tasks import Task


@dataclass(frozen=True, kw_only=True)
class MadeUp:
    """A source that is right; its children are not."""

    name: ClassVar[str] = "made_up"
    has_folds: ClassVar[bool] = False
    location: str = ""

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        for number in range(3):
            yield RecordingRef(source=self.name, record_id=f"R{number}", path="")

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        return NotListed()

    def read(self, ref: RecordingRef) -> Recording:
        return Recording(
            source=self.name,
            record_id=ref.record_id,
            patient_id=f"P{ref.record_id}",
            signal_mv=np.full((12, 50), 0.5, dtype=np.float32),
            sampling_rate_hz=100,
            leads=LEADS,
            codes=("MI",),
            likelihoods=(100.0,),
        )

    def tasks(self) -> dict[str, Task]:
        return {"t": Task.of_classes("t", {"MI": ["MI"]})}


class InMicrovolts(MadeUp):
    def read(self, ref: RecordingRef) -> Recording:
        found = super().read(ref)
        return replace(found, signal_mv=found.signal_mv * 1000)


class Unordered(MadeUp):
    def read(self, ref: RecordingRef) -> Recording:
        return replace(super().read(ref), leads=LEADS[::-1])


class Anonymous(MadeUp):
    def read(self, ref: RecordingRef) -> Recording:
        return replace(super().read(ref), patient_id="")


class AsList(MadeUp):
    def references(self, sampling_rate_hz: int) -> Any:
        return list(super().references(sampling_rate_hz))


class Nobody(MadeUp):
    def tasks(self) -> dict[str, Task]:
        return {}
