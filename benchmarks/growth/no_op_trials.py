"""Trials that train nothing, whoever runs them: what is left is what a search costs beside them."""

from collections.abc import Callable
from pathlib import Path

from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.views import View
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult
from mvkt_ray.training.student import TrialInputs

from .long_studies import EPOCHS, ended, macro_auroc


def no_op(
    trial: Trial, inputs: TrialInputs, report: Callable[[EpochMetrics], Decision]
) -> TrialResult:
    """Report made-up scores at once, as `run_trial` reports real ones after its epochs."""
    epoch, decision = 0, Decision.CONTINUE
    while decision is Decision.CONTINUE and epoch < EPOCHS:
        epoch += 1
        decision = report(EpochMetrics(epoch=epoch, macro_auroc=macro_auroc(trial, epoch)))
    return ended(trial, epoch, decision)


def inputs_in(folder: Path) -> TrialInputs:
    """Return inputs that nobody reads, but for the folder of the trials' own files."""
    return TrialInputs(
        shards=str(folder),
        task=Task(name="no-op", classes=("A",), class_of_code={"a": ("A",)}),
        folds=FoldsConfig(),
        min_likelihood=0.0,
        view=View(
            leads=LEADS,
            crop_samples=250,
            grid_samples=50,
            stride_samples=125,
            mean_mv=0.0,
            std_mv=1.0,
        ),
        student=StudentConfig(epochs=EPOCHS),
        knowledge=None,
        teacher=None,
        study_seed=0,
        trials=str(folder / "trials"),
        precision="float32",
    )
