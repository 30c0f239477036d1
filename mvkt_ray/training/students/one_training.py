"""One training of a student: its course and its result.

Reads: batches and evaluation windows. Writes: the trial's checkpoint.
"""

import platform
from dataclasses import dataclass

from mvkt_ray.data.loader import EvalLoader
from mvkt_ray.models.latency import median_latency_ms
from mvkt_ray.models.network import Network
from mvkt_ray.models.networks import facts_of_unbuilt
from mvkt_ray.records import TrialResult, TrialState
from mvkt_ray.training.course import Course, Outcome, Report
from mvkt_ray.training.fit import fit
from mvkt_ray.training.learner import Learner
from mvkt_ray.training.optimizers import Steering
from mvkt_ray.training.process import EVALUATION_BATCH_SIZE, seeded, torch_threads
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.seeds import derive_seed
from mvkt_ray.training.students.opened_trial import OpenedTrial
from mvkt_ray.training.students.student_learner import build_learner, build_student
from mvkt_ray.training.trial_files import StoredResult, TrialFolder

TIMED_RECORDING_S = 10.0
"""Length of the recording for `latency_ms`: that of a resting ECG."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OneTraining:
    """A training that has ended, or was stopped."""

    opened: OpenedTrial
    result: TrialResult
    outcome: Outcome
    network: Network

    def leave(self, folder: TrialFolder) -> dict[str, str]:
        """Write weights and predictions of a complete training; return hashes by file name.

        Called on the first rank.
        """
        if self.outcome.predictions is None:
            return {}
        return folder.write_complete(self.network, self.opened.splits.val, self.outcome.predictions)


def train_once(opened: OpenedTrial, folder: TrialFolder, report: Report) -> OneTraining:
    """Train from the checkpoint of the folder, or from the start; nothing else is written.

    Args:
        opened: The trial.
        folder: Folder of the trial.
        report: See `fit`.

    Raises:
        ConfigError: See `build_learner`.
        ArtifactError: Likewise.
    """
    inputs, ranks = opened.inputs, opened.ranks
    learner, lessons = build_learner(opened)
    loader = opened.train_loader(opened.view)
    course = Course(
        lessons=lessons,
        steps_per_epoch=loader.steps_per_epoch,
        examples_per_epoch=loader.steps_per_epoch * loader.examples_per_step,
        windows=EvalLoader(
            opened.shards,
            opened.splits.val,
            opened.view,
            batch_size=EVALUATION_BATCH_SIZE,
            rank=ranks.rank,
            world_size=ranks.world_size,
            device=opened.device,
        ),
        val_labels_NC=opened.splits.val.labels,
        classes=inputs.task.classes,
        epochs=opened.epochs,
        steering=Steering.of(opened.hyperparameters),
        seed=derive_seed(opened.seed, 2),
        recipe=opened.recipe,
        ema_decay=opened.hyperparameters.ema_decay,
        gradient_accumulation=opened.gradient_accumulation,
        validated_epochs=inputs.validated_epochs,
    )
    outcome = fit(
        learner,
        course,
        folder.checkpoint,
        report,
        device=opened.device,
        ranks=ranks,
        is_own_place=True,
    )
    result = _result(opened, outcome, learner)
    return OneTraining(opened=opened, result=result, outcome=outcome, network=learner.network)


def replay(stored: StoredResult, report: Report, ranks: Ranks) -> TrialResult:
    """Report the epochs of a training that has ended, and return its result."""
    if ranks.is_first:
        for record in stored.history:
            report(record.metrics)
    return stored.result


def _result(opened: OpenedTrial, outcome: Outcome, learner: Learner) -> TrialResult:
    last = outcome.last_validated
    hyperparameters = opened.hyperparameters
    facts = facts_of_unbuilt(
        hyperparameters.student,
        len(opened.view.leads),
        len(opened.inputs.task.classes),
        opened.view.crop_samples,
        width=hyperparameters.student_width,
        depth=hyperparameters.student_depth,
    )
    is_timed = opened.inputs.measures_latency and opened.ranks.is_first
    has_come_through = outcome.state in (TrialState.COMPLETE, TrialState.PRUNED)
    return TrialResult(
        number=opened.trial.number,
        state=outcome.state,
        reason=outcome.reason,
        macro_auroc=last.metrics.macro_auroc if last else None,
        per_class_auroc=last.per_class_auroc if last else {},
        epochs=outcome.epochs,
        wall_s=outcome.wall_s,
        cpu_s=outcome.cpu_s,
        n_parameters=facts.n_parameters,
        n_multiply_accumulates=facts.n_multiply_accumulates,
        latency_ms=_latency_ms(opened, learner) if is_timed and has_come_through else None,
        node=platform.node(),
    )


def _latency_ms(opened: OpenedTrial, learner: Learner) -> float:
    """Measure the student on one core for the windows of a recording, also after a GPU training.

    Pruned students are measured, too, since the sampler uses all their objectives.
    """
    view = opened.view
    n_windows = int(view.n_windows(round(TIMED_RECORDING_S * opened.shards.sampling_rate_hz)))
    with torch_threads(1), seeded(0):
        n_classes = len(opened.inputs.task.classes)
        network = build_student(opened.hyperparameters, len(view.leads), n_classes)
        network.load_state_dict(learner.network.state_dict())
        return median_latency_ms(network, n_windows, len(view.leads), view.crop_samples)
