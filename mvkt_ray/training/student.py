"""The unit of work of a study: one student trained with one set of hyper-parameters.

Reads: shards, and the teacher or its knowledge. Writes: the trial's own folder, see `trial_files`.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from mvkt_ray.config.recipes import TEACHING_WEIGHTS, Hyperparameters, StudentConfig
from mvkt_ray.config.resources import ResourcesConfig
from mvkt_ray.config.schema import ALL_LABELS, FoldsConfig, LabelUse
from mvkt_ray.data.loader import EvalLoader, TrainLoader
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.splits import Split, TrainingSplits, open_training_splits, with_labels_of
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.views import View
from mvkt_ray.distill.knowledge import open_knowledge, view_fingerprint
from mvkt_ray.distill.objective import Objective
from mvkt_ray.errors import ArtifactError, ConfigError, MachineError, MvktError, StaleArtifactError
from mvkt_ray.machine_faults import GOES_ON, is_out_of_gpu_memory, machine_fault
from mvkt_ray.models import Network, build_network, facts_of_unbuilt
from mvkt_ray.models.latency import median_latency_ms
from mvkt_ray.plugins.packages import expect_packages
from mvkt_ray.records import (
    Arm,
    Condition,
    Decision,
    EpochMetrics,
    Trial,
    TrialResult,
    TrialState,
)
from mvkt_ray.storage.artifacts import MANIFEST_NAME, fingerprint_of, read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.training.cpu_precision import computes_in_bf16
from mvkt_ray.training.fit import Course, Outcome, fit
from mvkt_ray.training.guidance import (
    Lessons,
    with_knowledge,
    with_mixup,
    with_teacher,
    without_teacher,
)
from mvkt_ray.training.learner import Learner
from mvkt_ray.training.optimizers import Steering
from mvkt_ray.training.process import (
    EVALUATION_BATCH_SIZE,
    check_batch_size,
    check_validation,
    current_device,
    seeded,
    torch_threads,
)
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.refit import with_validation
from mvkt_ray.training.seeds import derive_seed, result_of_seeds, trial_seed
from mvkt_ray.training.teacher import KIND as TEACHER
from mvkt_ray.training.teacher import Teacher, open_teacher
from mvkt_ray.training.trial_files import StoredResult, TrialFolder

Report = Callable[[EpochMetrics], Decision]

TIMED_RECORDING_S = 10.0
"""Length of the recording that `latency_ms` is for: that of a resting ECG."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assistant:
    """Where the assistant of a condition and its knowledge are; see `AssistantConfig`."""

    teacher: str
    knowledge: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialInputs:
    """What is the same for all trials of a study; small, and picklable."""

    shards: str
    task: Task
    folds: FoldsConfig
    min_likelihood: float
    view: View
    """The teacher's; a student sees the same crops through its own leads."""
    student: StudentConfig
    knowledge: str | None
    """Where the teacher's knowledge is; needed by `student.knowledge: cached` and `record`."""
    teacher: str | None
    """Where the teacher is; needed by `student.knowledge: online`."""
    assistants: Mapping[str, Assistant] = field(default_factory=dict[str, Assistant])
    """By name of the condition, for all conditions or none: who teaches its students in the
    teacher's place."""
    study_seed: int
    trials: str
    """The folder that holds the trials' own."""
    precision: str
    """As asked for; what `auto` is on CPUs is in `cpu_precision`."""
    cpu_precision: Mapping[str, str] = field(default_factory=dict[str, str])
    """By name of the network: what `auto` was found to be when the study began."""
    finer_task: Task | None = None
    """A second task, whose labels students learn beside the first's where they weigh them."""
    label_use: LabelUse = ALL_LABELS
    """A student that hears the teacher is trained on recordings without a label, too; one that does
    not, on the others alone, in as many steps."""
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    """Of which a trial reads the number of parts that its batches are computed in."""
    refit: bool = False
    """Train on the training and validation splits together; `knowledge` is then of both, and what
    a student scores on the validation split is on recordings that it has seen."""
    seeds_per_trial: int = 1
    """From which trials of the search are trained, one after the other; finals are of one each."""
    measures_latency: bool = False
    """Whether trials are to say how long their students take; likewise no part of it."""
    plugins: Mapping[str, str] = field(default_factory=dict[str, str])
    """Packages of plug-ins that the study names, with versions: whoever trains must have them."""
    validated_epochs: frozenset[int] | None = None
    """After which a student is validated, beside its last; None: after each. It changes no other
    number, and is no part of what a checkpoint or a result is known by."""

    def n_seeds(self, trial: Trial) -> int:
        """Return from how many seeds a trial is trained."""
        searched = trial.arm not in (Arm.FINAL, Arm.ASSISTANT)
        return self.seeds_per_trial if searched else 1

    def computes_in_bf16(self, network: str, device: torch.device) -> bool:
        """Return whether a network of the study runs in bf16 on a device."""
        return computes_in_bf16(self.precision, device, network, self.cpu_precision)

    def assistant_of(self, condition: Condition) -> Assistant | None:
        """Return who teaches a condition's students in the teacher's place, if anybody does.

        Raises:
            ConfigError: The other conditions have an assistant.
        """
        if self.assistants and condition.name not in self.assistants:
            raise ConfigError(
                f"There is no assistant for {condition.name}, only for "
                f"{', '.join(self.assistants)}. Start a study whose search.leads have it, too."
            )
        return self.assistants.get(condition.name)

    @property
    def read(self) -> dict[str, str | None]:
        """Every artifact that trials read, by what it is."""
        named = {"shards": self.shards, "teacher": self.teacher, "knowledge": self.knowledge}
        for name, assistant in self.assistants.items():
            named[f"assistant of {name}"] = assistant.teacher
            named[f"knowledge of {name}"] = assistant.knowledge
        return named

    def writing_to(self, trials: str) -> "TrialInputs":
        """Return the same inputs with another folder for the trials' files."""
        return replace(self, trials=trials)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Setting:
    """A trial with all that was opened and checked for it."""

    trial: Trial
    inputs: TrialInputs
    hyperparameters: Hyperparameters
    shards: Shards
    splits: TrainingSplits
    lessons: Split
    """What is trained on, with all labels that are learned."""
    view: View
    device: torch.device
    ranks: Ranks
    assistant: Assistant | None
    facts: dict[str, Any]
    """What the numbers depend on beside the trial itself, as plain values."""

    @property
    def seed(self) -> int:
        return trial_seed(self.inputs.study_seed, self.trial)

    @property
    def bf16(self) -> bool:
        return self.inputs.computes_in_bf16(self.hyperparameters.student, self.device)

    @property
    def gradient_accumulation(self) -> int:
        return self.inputs.resources.of_trial(self.trial.hyperparameters).gradient_accumulation

    @property
    def recipe(self) -> str:
        return fingerprint_of([self.trial.to_json(), self.facts])

    @property
    def epochs(self) -> int:
        return self.hyperparameters.epochs or self.inputs.student.epochs

    @property
    def taught(self) -> Split:
        """What the student is trained on, with the labels that it is examined on."""
        return _taught(self.hyperparameters, self.splits)

    @property
    def n_finer(self) -> int:
        """How many classes it learns beside those."""
        return len(self.lessons.classes) - len(self.inputs.task.classes)

    def train_loader(self, view: View) -> TrainLoader:
        """Batches of a view; those of two views are of the same crops in the same order.

        An epoch has as many steps whatever it is on, so that students are compared which were
        moved as often.
        """
        batch_size = self.hyperparameters.batch_size
        n_train = len(self.splits.train)
        return TrainLoader(
            self.shards,
            self.lessons,
            view,
            batch_size=batch_size,
            seed=derive_seed(self.seed, 1),
            steps_per_epoch=n_train // min(batch_size, n_train),
            rank=self.ranks.rank,
            world_size=self.ranks.world_size,
            device=self.device,
        )


def run_trial(trial: Trial, inputs: TrialInputs, report: Report) -> TrialResult:
    """Train one student, from its checkpoint if it has one, and write what it came to.

    The same in this process, in a Ray worker, and on every rank of a process group, where the
    first rank reports and writes. Everything random follows from (study seed, trial number,
    repetition): the same trial gives the same numbers again, interrupted or not.

    A trial that has ended before is not run again: its epochs are reported and its result is
    returned, as a driver may have died before it committed them. Where its result or its checkpoint
    is damaged, or is another trial's, it is trained from the start, which the log says.

    Args:
        trial: its number, condition and hyper-parameters.
        inputs: what it is trained on.
        report: called once per epoch, validated or not, after the epoch's checkpoint is on disk,
            and again for the epochs that a found checkpoint holds; it decides whether the trial
            goes on.

    Returns:
        COMPLETE, PRUNED or DIVERGED; `macro_auroc` is that of the last epoch that was validated.
        RUNNING when it was told to stop: the same call goes on from its checkpoint.

    Raises:
        ConfigError: A hyper-parameter is wrong, or there are more ranks than a batch has examples.
        DataError: The shards lack the lead, or an artifact is missing, damaged, or made from other
            inputs.
        MachineError: This process lacks a plug-in of the study.
    """
    setting = _open(trial, inputs)
    if inputs.n_seeds(trial) > 1:
        return _run_seeds(setting, report)
    ranks, folder = setting.ranks, TrialFolder.of(inputs.trials, trial.number)
    content = ranks.from_first(folder.result_content() if ranks.is_first else None)
    stored = folder.parse_result(content, setting.recipe)
    if stored is not None:
        if ranks.is_first:
            # Whoever wrote the result may have died before this.
            folder.discard_checkpoint()
        return _replay(stored, report, ranks)

    result, outcome, learner = _train(setting, folder, report)
    if ranks.is_first and result.state.is_finished:
        left: dict[str, str] = {}
        if outcome.predictions is not None:
            left = folder.write_complete(learner.network, setting.splits.val, outcome.predictions)
        folder.write_result(
            trial,
            result,
            outcome.history,
            recipe=setting.recipe,
            facts=setting.facts,
            files=left,
        )
        folder.discard_checkpoint()
    return result


def _run_seeds(setting: _Setting, report: Report) -> TrialResult:
    """Train a trial from several seeds, one after the other, and write what they came to together.

    Each seed is a training of its own with a checkpoint of its own, and what it came to is kept
    until the last has ended. Their epochs are counted on, so that a report tells how far the trial
    is; those of later seeds come without a score, as nobody decides by it.
    """
    trial, inputs, ranks = setting.trial, setting.inputs, setting.ranks
    folder = TrialFolder.of(inputs.trials, trial.number)
    seeds = [
        replace(setting, trial=replace(trial, repetition=seed))
        for seed in range(inputs.n_seeds(trial))
    ]
    recipes = [each.recipe for each in seeds]
    recipe = fingerprint_of(recipes)
    content = ranks.from_first(folder.result_content() if ranks.is_first else None)
    stored = folder.parse_result(content, recipe)
    if stored is not None:
        if ranks.is_first:
            folder.discard_checkpoint()
            folder.seeds.delete()
        return _replay(stored, report, ranks)

    content = ranks.from_first(folder.seeds_content() if ranks.is_first else None)
    ended = folder.parse_seeds(content, recipes)
    results = [
        _replay(each, _counted_on(report, seed * setting.epochs), ranks)
        for seed, each in enumerate(ended)
    ]
    for seed, of_seed in enumerate(seeds[len(ended) :], start=len(ended)):
        tell = _counted_on(report, seed * setting.epochs)
        result, outcome, learner = _train(of_seed, folder, tell)
        results.append(result)
        if result.state is TrialState.RUNNING:
            return replace(result_of_seeds(results), reason=result.reason)
        left: dict[str, str] = {}
        if ranks.is_first and seed == 0 and outcome.predictions is not None:
            left = folder.write_complete(learner.network, setting.splits.val, outcome.predictions)
        ended.append(
            StoredResult(recipe=of_seed.recipe, result=result, history=outcome.history, files=left)
        )
        if ranks.is_first:
            folder.write_seeds(ended)
            folder.discard_checkpoint()
        if result.state is not TrialState.COMPLETE:
            break
    return _end_seeds(setting, folder, recipe, ended)


def _end_seeds(
    setting: _Setting, folder: TrialFolder, recipe: str, ended: Sequence[StoredResult]
) -> TrialResult:
    """Write the result of a trial of several seeds; its curve is that of the first."""
    results = [each.result for each in ended]
    whole = result_of_seeds(results)
    if setting.ranks.is_first:
        is_complete = whole.state is TrialState.COMPLETE
        folder.write_result(
            setting.trial,
            whole,
            ended[0].history,
            recipe=recipe,
            facts=setting.facts | {"seeds": [each.macro_auroc for each in results]},
            files=ended[0].files if is_complete else {},
        )
        folder.discard_checkpoint()
        folder.seeds.delete()
        if not is_complete:
            folder.student.delete()
            folder.validation.delete()
    return whole


def _counted_on(report: Report, n_before: int) -> Report:
    """Report epochs that come after those of other seeds, which nobody decides by."""
    if n_before == 0:
        return report

    def tell(metrics: EpochMetrics) -> Decision:
        return report(replace(metrics, epoch=n_before + metrics.epoch, macro_auroc=None))

    return tell


def _train(
    setting: _Setting, folder: TrialFolder, report: Report
) -> tuple[TrialResult, Outcome, Learner]:
    """Train from the checkpoint of the folder, or from the start; nothing else is written."""
    inputs, ranks = setting.inputs, setting.ranks
    learner, lessons = _build(setting)
    loader = setting.train_loader(setting.view)
    course = Course(
        lessons=lessons,
        steps_per_epoch=loader.steps_per_epoch,
        examples_per_epoch=loader.steps_per_epoch * loader.examples_per_step,
        windows=EvalLoader(
            setting.shards,
            setting.splits.val,
            setting.view,
            batch_size=EVALUATION_BATCH_SIZE,
            rank=ranks.rank,
            world_size=ranks.world_size,
            device=setting.device,
        ),
        val_labels_NC=setting.splits.val.labels,
        classes=inputs.task.classes,
        epochs=setting.epochs,
        steering=Steering.of(setting.hyperparameters),
        seed=derive_seed(setting.seed, 2),
        recipe=setting.recipe,
        ema_decay=setting.hyperparameters.ema_decay,
        gradient_accumulation=setting.gradient_accumulation,
        validated_epochs=inputs.validated_epochs,
    )
    outcome = fit(
        learner,
        course,
        folder.checkpoint,
        report,
        device=setting.device,
        ranks=ranks,
        is_own_place=True,
    )
    return _result(setting, outcome, learner), outcome, learner


def build_student(hyperparameters: Hyperparameters, n_leads: int, n_classes: int) -> Network:
    """Build the network of a student, with fresh weights from torch's global random state.

    Raises:
        ConfigError: There is no network of its name.
    """
    return build_network(
        hyperparameters.student,
        n_leads,
        n_classes,
        dropout=hyperparameters.dropout,
        width=hyperparameters.student_width,
        depth=hyperparameters.student_depth,
    )


def failed_result(trial: Trial, error: BaseException) -> TrialResult:
    """Return the result of a trial that an error ended."""
    text = " ".join(str(error).split())
    return TrialResult(
        number=trial.number,
        state=TrialState.FAILED,
        reason=f"{type(error).__name__}: {text}",
        retriable=is_out_of_gpu_memory(error) or (isinstance(error, MvktError) and error.retriable),
        node=platform.node(),
    )


def machine_fault_behind(error: BaseException, inputs: TrialInputs) -> MachineError | None:
    """Return what the machine did, if that ended a trial; None where the trial did it itself.

    Args:
        error: What the trial raised; called where that is.
        inputs: Of the trial: that they are gone, which were there before it, is not its doing.
    """
    fault = machine_fault(error, in_trial=True)
    if fault is not None or not isinstance(error, ArtifactError):
        return fault
    if isinstance(error.__cause__, OSError):
        # A file of an artifact that was whole when the study began.
        return machine_fault(error.__cause__, in_trial=True)
    for name, location in inputs.read.items():
        if location is not None and not (Location.parse(location) / MANIFEST_NAME).exists():
            return MachineError(
                f"The machine fails: what the study was given as its {name} is no longer at "
                f"{location} ({error}) Has a disk been unmounted, or a folder been moved? {GOES_ON}"
            )
    return None


def _open(trial: Trial, inputs: TrialInputs) -> _Setting:
    try:
        hyperparameters = Hyperparameters.of(trial.hyperparameters)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"The hyper-parameters of trial {trial.number} are wrong: {error}. Correct `space` in "
            "the study file."
        ) from None
    expect_packages(inputs.plugins)
    shards = open_shards(inputs.shards)
    splits = open_training_splits(
        shards, inputs.task, inputs.folds, inputs.min_likelihood, inputs.label_use
    )
    check_validation(splits.val)
    if inputs.refit:
        splits = with_validation(splits)
    teacher = read_manifest(inputs.teacher, TEACHER).fingerprint if inputs.teacher else None
    facts = {
        "shards": shards.fingerprint,
        "teacher": teacher,
        "knowledge": inputs.student.knowledge,
        "task": inputs.task.to_json(),
        "folds": asdict(inputs.folds),
        "min_likelihood": inputs.min_likelihood,
        "label_use": asdict(inputs.label_use),
        "view": inputs.view.to_json(),
        "epochs": inputs.student.epochs,
        "precision": inputs.precision,
        "cpu_precision": inputs.cpu_precision.get(hyperparameters.student),
        "study_seed": inputs.study_seed,
        "refit": inputs.refit,
        "plugins": dict(inputs.plugins),
    }
    assistant = inputs.assistant_of(trial.condition)
    if assistant is not None:
        facts["assistant"] = read_manifest(assistant.teacher, TEACHER).fingerprint
    lessons = _taught(hyperparameters, splits)
    if hyperparameters.finer_weight > 0:
        if inputs.finer_task is None:
            raise ConfigError(
                f"finer_weight of trial {trial.number} is {hyperparameters.finer_weight!r}, but "
                "there is no second task. Set data.finer_task in the study file."
            )
        lessons = with_labels_of(lessons, inputs.finer_task, inputs.min_likelihood)
        facts["finer_task"] = inputs.finer_task.to_json()
    ranks = Ranks.here()
    check_batch_size(hyperparameters.batch_size, ranks)
    return _Setting(
        trial=trial,
        inputs=inputs,
        hyperparameters=hyperparameters,
        shards=shards,
        splits=splits,
        lessons=lessons,
        view=inputs.view.with_leads(trial.condition.leads),
        device=current_device(),
        ranks=ranks,
        assistant=assistant,
        facts=facts,
    )


def _taught(hyperparameters: Hyperparameters, splits: TrainingSplits) -> Split:
    """Choose what a student is trained on: without a teacher's word labels are all it has."""
    return splits.train if hyperparameters.hears_teacher else splits.train.labelled()


def _build(setting: _Setting) -> tuple[Learner, Lessons]:
    hyperparameters = setting.hyperparameters
    with seeded(derive_seed(setting.seed, 0)):
        n_leads, n_classes = len(setting.view.leads), len(setting.inputs.task.classes)
        network = build_student(hyperparameters, n_leads, n_classes)
    lessons, teacher_dim = _lessons(setting)
    if hyperparameters.mixup > 0:
        lessons = with_mixup(
            lessons, alpha=hyperparameters.mixup, seed=derive_seed(setting.seed, 4)
        )
    objective = Objective(
        hyperparameters=hyperparameters,
        train_labels_NC=torch.from_numpy(setting.taught.labels),
        student_dim=network.embedding_dim,
        teacher_dim=teacher_dim,
        seed=derive_seed(setting.seed, 3),
        teacher_classifier_CD=_teacher_classifier(setting),
        n_finer=setting.n_finer,
        kd_class_weights_C=_kd_class_weights(setting),
    )
    return Learner(network, objective, bf16=setting.bf16), lessons


def _kd_class_weights(setting: _Setting) -> Tensor | None:
    weights = setting.trial.kd_class_weights
    if not weights:
        return None
    of_classes = [weights[name] for name in setting.inputs.task.classes]
    return torch.tensor(of_classes, dtype=torch.float32, device=setting.device)


def _lessons(setting: _Setting) -> tuple[Lessons, int]:
    """Return the batches, and the dimension of the teacher's embedding (0 without a teacher)."""
    inputs, loader = setting.inputs, setting.train_loader(setting.view)
    if not setting.hyperparameters.hears_teacher:
        return without_teacher(loader), 0
    if inputs.student.knowledge != "online":
        knowledge = open_knowledge(
            _required(_knowledge_of(setting), "knowledge", "mvkt cache"),
            shards=setting.shards,
            teacher=setting.facts["assistant" if setting.assistant else "teacher"],
            split=setting.taught,
            view=setting.view,
            per_recording=inputs.student.knowledge == "record",
        )
        return with_knowledge(loader, knowledge, setting.device), knowledge.embedding_dim
    teacher = _teacher(setting)
    if view_fingerprint(teacher.view) != view_fingerprint(inputs.view):
        raise StaleArtifactError(
            f"The teacher {inputs.teacher} was trained on {teacher.view}, but is used with "
            f"{inputs.view}. Use its folds and view, or train another teacher."
        )
    network = teacher.network.to(setting.device)
    teacher_loader = setting.train_loader(inputs.view.with_leads(teacher.view.leads))
    lessons = with_teacher(loader, teacher_loader, network, bf16=setting.bf16)
    return lessons, network.embedding_dim


def _teacher_classifier(setting: _Setting) -> Tensor | None:
    """Return the weights by which logits are linear in embeddings; knowledge does not hold them."""
    if setting.hyperparameters.label_embedding_weight == 0:
        return None
    return _teacher(setting).network.classifier_weight


def _teacher(setting: _Setting) -> Teacher:
    """Open whoever teaches the student: its assistant if it has one."""
    location = setting.assistant.teacher if setting.assistant else setting.inputs.teacher
    return open_teacher(
        _required(location, "teacher", "mvkt train-teacher"),
        shards=setting.shards,
        task=setting.inputs.task,
    )


def _knowledge_of(setting: _Setting) -> str | None:
    """Return where is what the student distils: of its assistant if it has one."""
    return setting.assistant.knowledge if setting.assistant else setting.inputs.knowledge


def _required(location: str | None, kind: str, command: str) -> str:
    if location is None:
        raise ConfigError(
            f"The trial distils ({', '.join(TEACHING_WEIGHTS)}: one is above 0), but no {kind} is "
            f"given. Give one that `{command}` made, or set all of them to 0."
        )
    return location


def _result(setting: _Setting, outcome: Outcome, learner: Learner) -> TrialResult:
    last = outcome.last_validated
    hyperparameters = setting.hyperparameters
    facts = facts_of_unbuilt(
        hyperparameters.student,
        len(setting.view.leads),
        len(setting.inputs.task.classes),
        setting.view.crop_samples,
        width=hyperparameters.student_width,
        depth=hyperparameters.student_depth,
    )
    is_timed = setting.inputs.measures_latency and setting.ranks.is_first
    has_come_through = outcome.state in (TrialState.COMPLETE, TrialState.PRUNED)
    return TrialResult(
        number=setting.trial.number,
        state=outcome.state,
        reason=outcome.reason,
        macro_auroc=last.metrics.macro_auroc if last else None,
        per_class_auroc=last.per_class_auroc if last else {},
        epochs=outcome.epochs,
        wall_s=outcome.wall_s,
        cpu_s=outcome.cpu_s,
        n_parameters=facts.n_parameters,
        n_multiply_accumulates=facts.n_multiply_accumulates,
        latency_ms=_latency_ms(setting, learner) if is_timed and has_come_through else None,
        node=platform.node(),
    )


def _latency_ms(setting: _Setting, learner: Learner) -> float:
    """Time the trained student on one core for the windows of a recording, whatever trained it.

    Pruned students are timed, too: the sampler sees them with all that they are worth.
    """
    view = setting.view
    n_windows = int(view.n_windows(round(TIMED_RECORDING_S * setting.shards.sampling_rate_hz)))
    with torch_threads(1), seeded(0):
        n_leads, n_classes = len(setting.view.leads), len(setting.inputs.task.classes)
        network = build_student(setting.hyperparameters, n_leads, n_classes)
        network.load_state_dict(learner.network.state_dict())
        return median_latency_ms(network, n_windows, len(view.leads), view.crop_samples)


def _replay(stored: StoredResult, report: Report, ranks: Ranks) -> TrialResult:
    if ranks.is_first:
        for record in stored.history:
            report(record.metrics)
    return stored.result
