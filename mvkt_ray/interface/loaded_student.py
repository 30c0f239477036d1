"""A trained student as a torch module with all that stands before it: rate, windows, scaling.

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
from mvkt_ray.interface.python_errors import for_python, told_to_python
from mvkt_ray.search.stages import prepare


class Student(nn.Module):
    """A student in evaluation mode, on the CPU: millivolts in, probabilities out.

    Call it with windows, `[B, L, window_samples]` in mV at `sampling_rate_hz`, leads in the order
    of `leads`; longer ones do as well. `predict` takes a recording as it is.

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
        """Leads of its input, in the order of the rows."""
        self.classes = task.classes
        """Classes, in the order of its outputs."""
        self.sampling_rate_hz = sampling_rate_hz
        self.window_samples, self.stride_samples = view.crop_samples, view.stride_samples
        self.mean_mv, self.std_mv = view.mean_mv, view.std_mv
        network = trained_network(chosen, len(view.leads), len(task.classes))
        self.network = MillivoltNetwork(network, mean_mv=view.mean_mv, std_mv=view.std_mv)
        self.eval()

    def forward(self, signal_mv_BLS: Tensor) -> Tensor:
        """Return float32 `[B, C]`, probabilities of windows in mV."""
        return self.network(signal_mv_BLS)

    @torch.no_grad()
    def predict(self, recording: Recording) -> dict[str, float]:
        """Return the probability of each class: the highest of the windows', as in examination.

        Args:
            recording: At any rate, with any leads among which are `leads`.

        Raises:
            RecordingError: It cannot be used, with the reason: no such lead, flat, too short, not
                in mV.
        """
        with told_to_python():
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
    """Load a student that a study has trained: that of finals, which the test split has seen.

    Args:
        study: An opened study, or its folder or URI.
        lead: What it sees, `V5` or `I+V5`; by default the highest ranked.
        contender: Which one of its lead, by default the one that is the answer.
        seed: Of the finals; by default the first that was completed.
        from_search: Take a trial of the search, which the test split has not seen.

    Raises:
        ConfigError: There is no such lead, contender or seed, or there are no finals.
        ArtifactError: There is no study, or its files are not there or damaged.
        DataError: The shards of the study are not there any more: they say how signals are scaled.
    """
    opened = study if isinstance(study, Study) else open_study(study)
    material = opened.material
    # Leads are ranked by the whole report, which takes seconds.
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
