"""TensorBoard: a folder per trial, with its curves, hyper-parameters and end.

Writes: event files under the folder that the user gave, in a folder of the study's name.
"""

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from mvkt_ray.records import EpochMetrics, Trial, TrialResult
from mvkt_ray.tracking.tracker import (
    TrackedStudy,
    end_values,
    epoch_values,
    trial_name,
    trial_parameters,
)

_SHOWN = (".yaml", ".json")
"""Suffixes of files that are logged: TensorBoard shows text, but no HTML page."""


class InTensorboard:
    """Tracks with event files, which TensorBoard reads while they grow."""

    def __init__(self, folder: str) -> None:
        """Set the folder, TensorBoard's --logdir."""
        self._folder = Path(folder)
        self._writers: dict[int, SummaryWriter] = {}

    def start_study(self, study: TrackedStudy) -> None:
        """Set the study's folder."""
        self._root = self._folder / study.name

    def start_trial(self, trial: Trial) -> None:
        """Open a new event file in the trial's folder."""
        self._writers[trial.number] = SummaryWriter(str(self._root / trial_name(trial)))

    def log_epoch(self, trial: Trial, metrics: EpochMetrics) -> None:
        """Log an epoch as a step."""
        writer = self._writers[trial.number]
        for name, value in epoch_values(metrics).items():
            writer.add_scalar(name, value, metrics.epoch)
        writer.flush()

    def end_trial(self, trial: Trial, result: TrialResult) -> None:
        """Log hyper-parameters with final values, and the trial's end."""
        with self._writers.pop(trial.number) as writer:
            writer.add_text("state", f"{result.state.value} {result.reason}".strip())
            writer.add_hparams(trial_parameters(trial), end_values(result), run_name=".")

    def end_study(self, files: Mapping[str, bytes]) -> None:
        """Log the text files, and close all event files."""
        for writer in self._writers.values():
            writer.close()
        with SummaryWriter(str(self._root)) as writer:
            for name, content in files.items():
                if name.endswith(_SHOWN):
                    writer.add_text(name, f"```\n{content.decode()}\n```")
