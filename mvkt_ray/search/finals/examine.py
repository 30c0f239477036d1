"""The examination: predictions of finished students and of the teacher on the test split.

The only module that may import `data.held_out`. Each student, and the teacher, is one item of a
runner's map; its predictions are a file, written aside and renamed, so that a killed examination
continues with the missing ones.

Reads: shards, weights, an opening that is in the ledger.
Writes: `test.arrow` in each training's folder, and two files of the teacher's.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import safetensors.torch

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.data.held_out import open_test_split
from mvkt_ray.data.loader import EvalLoader
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.splits import Split, open_training_splits
from mvkt_ray.data.views import View
from mvkt_ray.errors import ArtifactError
from mvkt_ray.models.ensemble import Ensemble
from mvkt_ray.models.network import Network
from mvkt_ray.records import Trial
from mvkt_ray.search.finals.finals_results import OPENING, WEIGHTS, hash_of_all
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.study_folder import FinalsFolder
from mvkt_ray.search.runner import Runner
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import (
    StoredPredictions,
    predictions_to_arrow,
    read_predictions,
    with_tags,
)
from mvkt_ray.training.process import EVALUATION_BATCH_SIZE, current_device, torch_threads
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.students.student_learner import build_student
from mvkt_ray.training.students.trial_inputs import TrialInputs
from mvkt_ray.training.teacher import WEIGHTS_FILE, open_teacher
from mvkt_ray.training.trial_files import TrialFolder
from mvkt_ray.training.validation import predict

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """The common inputs of all examined models; small, and picklable."""

    inputs: TrialInputs
    """Inputs of the trainings; `trials` is the folder of their files."""
    folder: str
    """Folder of the finals."""
    opening: Opening


@dataclass(frozen=True, kw_only=True, slots=True)
class Marks:
    """The record that one student, or the teacher, was examined."""

    number: int | None
    """Number of the training; None: the teacher."""
    sha256: str
    """Hash of the recordings' ids and the probabilities of their classes."""


def examine_all(
    examination: Examination,
    trials: Sequence[Trial],
    runner: Runner,
    on_progress: Callable[[int, int], None],
) -> str:
    """Examine finished students and the teacher by the map of a runner.

    Args:
        examination: The common inputs.
        trials: Complete trainings.
        runner: Executes the examinations.
        on_progress: Called with the numbers of models done and in total.

    Returns:
        One hash over all predictions.
    """
    items: list[Trial | None] = [None, *trials]
    hashes: dict[int | None, str] = {}
    on_progress(0, len(items))
    # One core of any node that trials fit on is free: nothing is trained meanwhile.
    core = WorkersConfig(cpus_per_worker=min(1.0, examination.inputs.resources.trial.cpus))
    for marks in runner.map(partial(examine, examination), items, reserving=core):
        hashes[marks.number] = marks.sha256
        on_progress(len(hashes), len(items))
    return hash_of_all(hashes)


def examine(examination: Examination, trial: Trial | None) -> Marks:
    """Examine one student, or the teacher (None), unless its predictions exist already.

    Raises:
        ArtifactError: Weights are missing or do not fit.
        DataError: The test split stays closed; see `open_test_split`.
    """
    inputs, opening = examination.inputs, examination.opening
    shards = open_shards(inputs.shards)
    test = open_test_split(shards, inputs.task, inputs.folds, inputs.min_likelihood, opening)
    folder = FinalsFolder(Location(examination.folder))
    if trial is not None:
        student = _student(inputs, trial)
        sha256 = _examine_on(test, folder.test(trial.number), student, examination)
        return Marks(number=trial.number, sha256=sha256)
    teacher = _teacher(inputs, shards)
    splits = open_training_splits(shards, inputs.task, inputs.folds, inputs.min_likelihood)
    _examine_on(splits.val, folder.teacher_validation, teacher, examination)
    sha256 = _examine_on(test, folder.teacher_test, teacher, examination)
    return Marks(number=None, sha256=sha256)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """A model to examine: a student, or the teacher."""

    network: Network | Ensemble
    weights: str
    """SHA-256 of the weights."""
    view: View
    bf16: bool
    """Whether the network was trained, and runs, under bf16 autocast."""


def _student(inputs: TrialInputs, trial: Trial) -> _Candidate:
    files = TrialFolder.of(inputs.trials, trial.number)
    hyperparameters = Hyperparameters.of(trial.hyperparameters)
    n_leads, n_classes = len(trial.condition.leads), len(inputs.task.classes)
    network = build_student(hyperparameters, n_leads, n_classes)
    content = files.read_student()
    try:
        network.load_state_dict(safetensors.torch.load(content))
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise ArtifactError(
            f"{files.student} does not hold the weights of a {hyperparameters.student} of "
            f"{trial.condition.name} ({str(error).splitlines()[0]}). Remove the folder "
            f"{files.location} and finalize again: the training is repeated."
        ) from None
    return _Candidate(
        network=network,
        weights=hashlib.sha256(content).hexdigest(),
        view=inputs.view.with_leads(trial.condition.leads),
        bf16=inputs.computes_in_bf16(hyperparameters.student, current_device()),
    )


def _teacher(inputs: TrialInputs, shards: Shards) -> _Candidate:
    if inputs.teacher is None:
        raise ArtifactError("the study has no teacher yet. Run `mvkt search --resume` first.")
    teacher = open_teacher(inputs.teacher, shards=shards, task=inputs.task)
    return _Candidate(
        network=teacher.network,
        weights=teacher.manifest.files[WEIGHTS_FILE].sha256,
        view=teacher.view,
        bf16=teacher.precision == "bf16",
    )


def _known(location: Location) -> StoredPredictions | None:
    """Read the predictions of a killed examination; None where they are missing or damaged."""
    if not location.exists():
        return None
    try:
        return read_predictions(location)
    except ArtifactError as error:
        _LOG.warning("predicting again under the same opening: %s", error)
        return None


def _examine_on(
    split: Split, location: Location, candidate: _Candidate, examination: Examination
) -> str:
    """Write the predictions on a split unless they exist, and return their hash."""
    # Predictions of other weights, or from before this opening, are made again.
    tags = {OPENING: examination.opening.seal, WEIGHTS: candidate.weights}
    known = _known(location)
    if known is not None and {key: known.tags.get(key) for key in tags} == tags:
        return known.sha256
    device = current_device()
    windows = EvalLoader(
        open_shards(examination.inputs.shards),
        split,
        candidate.view,
        batch_size=EVALUATION_BATCH_SIZE,
        device=device,
    )
    # One thread, so that sums have the same order, and hashes are equal, in process and on Ray.
    with torch_threads(1):
        predictions = predict(
            candidate.network.to(device),
            windows,
            split.labels,
            device=device,
            bf16=candidate.bf16,
            ranks=Ranks(),
        )
    location.write_bytes(with_tags(predictions_to_arrow(split, predictions), tags))
    return read_predictions(location).sha256
