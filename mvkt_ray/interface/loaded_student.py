"""A trained student as a torch module with its preprocessing: resampling, windows, scaling.

Reads: the study, its shards, the files of the training.

Shapes: B batch, L leads, S samples, C classes, W windows.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from mvkt_ray.data.recording import Recording
from mvkt_ray.data.shard_columns import MV_PER_BIT
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.views import View
from mvkt_ray.delivery.exporting.exported_student import (
    ExportedStudent,
    ExportRequest,
    choose_student,
    trained_network,
)
from mvkt_ray.delivery.exporting.millivolt_network import MillivoltNetwork
from mvkt_ray.delivery.predicting.prepared_signal import SignalPreparation
from mvkt_ray.errors import DataError
from mvkt_ray.interface.opened_study import Study, open_study
from mvkt_ray.interface.python_errors import converted_errors, for_python
from mvkt_ray.search.stages import prepare


class Student(nn.Module):
    """A student in evaluation mode, on the CPU: millivolts in, probabilities out.

    Call it with windows in mV, `[B, L, S]` with S of at least `window_samples`, at
    `sampling_rate_hz`, with leads in the order of `leads`. `predict` takes a whole recording.

    >>> student = load_student(study_dir, "V1", seed=0)
    >>> student.leads, student.sampling_rate_hz, student.window_samples
    (('V1',), 100, 100)
    >>> student(torch.zeros(2, 1, student.window_samples)).shape
    torch.Size([2, 6])
    >>> list(student.predict(open_shards(shards_dir)[0]))
    ['AF', 'CD', 'HYP', 'MI', 'NORM', 'STTC']
    """

    mv_per_bit = MV_PER_BIT

    def __init__(self, chosen: ExportedStudent, view: View, task: Task, sampling_rate_hz: int):
        """Use `load_student`."""
        super().__init__()
        self.name = f"trial {chosen.trial.number}, {chosen.contender} of {chosen.condition.name}"
        self.hyperparameters = dict(chosen.trial.hyperparameters)
        self.leads = view.leads
        """Leads in the order of its input's rows."""
        self.classes = task.classes
        """Classes in the order of its outputs."""
        self.sampling_rate_hz = sampling_rate_hz
        self.window_samples, self.stride_samples = view.crop_samples, view.stride_samples
        self.mean_mv, self.std_mv = view.mean_mv, view.std_mv
        network = trained_network(chosen, len(view.leads), len(task.classes))
        self.network = MillivoltNetwork(network, mean_mv=view.mean_mv, std_mv=view.std_mv)
        self.eval()

    def forward(self, signal_mv_BLS: Tensor) -> Tensor:
        """Return the probabilities, float32 `[B, C]`, of windows `[B, L, S]` in mV."""
        return self.network(signal_mv_BLS)

    @torch.no_grad()
    def predict(self, recording: Recording) -> dict[str, float]:
        """Return the probability of each class: the maximum over windows, as in examination.

        Args:
            recording: Recording at any sampling rate, with all of `leads`.

        Raises:
            RecordingError: The recording is unusable: lead missing or flat, too short, not in mV.
        """
        with converted_errors():
            signal = SignalPreparation(self).prepare(recording)
        windows_WLS = torch.from_numpy(signal.windows(0, signal.n_windows, self.window_samples))
        device = next(self.parameters()).device
        probabilities_C = self(windows_WLS.to(device)).amax(dim=0)
        return dict(zip(self.classes, probabilities_C.tolist(), strict=True))


@for_python
def load_student(
    study: str | Path | Study,
    lead: str | None = None,
    *,
    contender: str | None = None,
    seed: int | None = None,
    from_search: bool = False,
) -> Student:
    """Load a trained student of a study, by default one that was examined on the test split.

    Args:
        study: An opened study, or its folder or URI.
        lead: Lead or lead set of the student, `V5` or `I+V5`; by default the highest ranked.
        contender: Name of the contender; by default the answer.
        seed: Seed of the finals; by default the lowest complete one.
        from_search: Whether to load a trial of the search, which was not examined on the test
            split.

    Raises:
        ConfigError: There is no such lead, contender or seed, or there are no finals.
        ArtifactError: There is no study, or files are missing or damaged.
        DataError: The shards of the study, which define the input scaling, are missing.
    """
    opened = study if isinstance(study, Study) else open_study(study)
    material = opened.material
    # The ranking needs the whole report, which takes seconds.
    ranked = () if lead else tuple(each.lead for each in opened.facts.leads)
    request = ExportRequest(
        lead=lead, contender=contender, repetition=seed, from_search=from_search
    )
    chosen = choose_student(material, request, ranked)
    location = material.shards_location
    if location is None or not location.exists():
        raise DataError(
            f"the shards {location or 'of the study'} are missing, from which the scaling of a "
            "student's input is computed. Restore them, or ingest the recordings to that "
            "location again."
        )
    prepared = prepare(material.config, location)
    view = prepared.view.with_leads(chosen.condition.leads)
    return Student(chosen, view, prepared.task, prepared.shards.sampling_rate_hz)
