"""A network, a loss, a task and a source that mvkt-ray does not have."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from mvkt_ray.data.recording import LEADS, Recording, RecordingRef
from mvkt_ray.data.sources.record_files import NotListed
from mvkt_ray.data.tasks import Task
from mvkt_ray.distill.both_say import BothSay


class TwoLayers(nn.Module):
    """From signals [batch, leads, samples] to features [batch, channels, steps]."""

    def __init__(self, n_leads: int, width: int) -> None:
        super().__init__()
        self.n_channels = 2 * width
        self.layers = nn.Sequential(
            nn.Conv1d(n_leads, width, 9, stride=2, padding=4),
            nn.ReLU(),
            nn.Conv1d(width, self.n_channels, 9, stride=4, padding=4),
            nn.GroupNorm(1, self.n_channels),
            nn.ReLU(),
        )

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """Return the features; pooling and classifier are mvkt-ray's."""
        return self.layers(signal)


def two_layers(n_leads: int, width: int = 8) -> nn.Module:
    """Build the network; a study may search `student_width`, as there is a `width`."""
    return TwoLayers(n_leads, width)


def logit_distance(said: BothSay) -> torch.Tensor:
    """Return the mean squared distance of the student's logits from the teacher's."""
    return (said.student_logits_BC - said.teacher_logits_BC).square().mean()


SICK_OR_NOT = {
    "NORM": ["NORM"],
    "SICK": ["IMI", "AMI", "CLBBB", "CRBBB", "1AVB", "LVH", "ISCAL", "AFIB"],
}


@dataclass(frozen=True, kw_only=True)
class NpyFolder:
    """A folder of `PATIENT-CODE.npy`: millivolts, float32 `[12, samples]`."""

    name: ClassVar[str] = "npy_folder"
    has_folds: ClassVar[bool] = False
    location: str
    rate_hz: int = 100

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the files in a stable order."""
        for file in sorted(Path(self.location).glob("*.npy")):
            yield RecordingRef(source=self.name, record_id=file.stem, path=str(file))

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        """Nothing is left out."""
        return NotListed()

    def read(self, ref: RecordingRef) -> Recording:
        """Read one recording."""
        patient, _, code = ref.record_id.partition("-")
        return Recording(
            source=self.name,
            record_id=ref.record_id,
            patient_id=patient,
            signal_mv=np.load(ref.path),
            sampling_rate_hz=self.rate_hz,
            leads=LEADS,
            codes=(code,),
            likelihoods=(100.0,),
        )

    def tasks(self) -> dict[str, Task]:
        """One class for each disease; there may be other tasks in other plug-ins."""
        return {"diseases": Task.of_classes("diseases", {"MI": ["IMI", "AMI"], "AF": ["AFIB"]})}
