"""The stage of assistants: trains and publishes missing ones, and computes their knowledge.

Reads: shards, the teacher and its knowledge. Writes, for each condition, an artifact of kind
`teacher` and one of kind `knowledge`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.distill.knowledge import open_knowledge
from mvkt_ray.errors import TrialError
from mvkt_ray.records import Condition, Trial, TrialResult, TrialState, Usage
from mvkt_ray.search.assistants.assistant_trainings import AssistantTrainings
from mvkt_ray.search.choosing.assistant_trials import assistant_trials
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.study_folder import AssistantsFolder, StudyFolder
from mvkt_ray.search.listener import StageListener
from mvkt_ray.search.runner import Runner
from mvkt_ray.search.spending.breakdown import with_earlier_attempts
from mvkt_ray.search.stage_timer import timed_stage
from mvkt_ray.search.stages import Prepared, cache_knowledge, plan_knowledge, teacher_job
from mvkt_ray.storage.artifacts import claim_output, read_manifest
from mvkt_ray.storage.manifest import MANIFEST_NAME, Manifest
from mvkt_ray.training.students.trial_inputs import Assistant, TrialInputs
from mvkt_ray.training.teacher import KIND as TEACHER
from mvkt_ray.training.teacher import Teacher, open_teacher
from mvkt_ray.training.teaching.assistant import AssistantJob, publish_assistant


def assistants_at(
    teachers: AssistantsFolder, knowledge: AssistantsFolder, conditions: Sequence[Condition]
) -> dict[str, Assistant]:
    """Return the locations of present or future assistants and their knowledge, by condition."""
    return {
        condition.name: Assistant(
            teacher=str(teachers.teacher(condition.name)),
            knowledge=str(knowledge.knowledge(condition.name)),
        )
        for condition in conditions
    }


def provide_assistants(
    config: StudyConfig,
    space: SearchSpace,
    folder: StudyFolder,
    runner: Runner,
    listener: StageListener,
    prepared: Prepared,
    inputs: TrialInputs,
    what: str,
) -> dict[str, str]:
    """Train missing assistants of all conditions, and compute their missing knowledge.

    Args:
        config: The study; its teacher has an assistant.
        space: The study's search space.
        folder: Folder of the study.
        runner: Executes the work.
        listener: Receives the progress.
        prepared: The study's checked shards.
        inputs: Inputs of the study's trials; teacher and knowledge exist.
        what: Description of the stage.

    Returns:
        The fingerprint of each assistant, by condition.

    Raises:
        ArtifactError: There is an assistant of another configuration or teacher.
        TrialError: The training of an assistant failed or diverged.
        MachineError: The machine failed under a training; resume by `--resume`.
    """
    at, trials = folder.assistants, assistant_trials(config, space)
    jobs = {trial.number: _job(config, prepared, inputs, trial) for trial in trials}
    missing = [
        trial
        for trial in trials
        if claim_output(at.teacher(trial.condition.name), jobs[trial.number].recipe, resume=True)
        is None
    ]
    knowledge = [at.knowledge(trial.condition.name) for trial in trials]
    if not missing and all((each / MANIFEST_NAME).exists() for each in knowledge):
        listener.stage_finished("assistants", str(at.root), True)
    else:
        with timed_stage(folder, listener, "assistants", what):
            if missing:
                _train(config, runner, listener, prepared, at, inputs, jobs, missing)
            for trial in trials:
                _ask(config, runner, prepared, at, at, trial.condition)
    for trial in trials:
        _check_knowledge(config, prepared, at, at, trial.condition)
    return {t.condition.name: _manifest(at, t.condition).fingerprint for t in trials}


def ask_assistants(
    config: StudyConfig,
    space: SearchSpace,
    folder: StudyFolder,
    runner: Runner,
    listener: StageListener,
    prepared: Prepared,
    out: AssistantsFolder,
) -> None:
    """Compute the missing knowledge of a study's assistants for another training split.

    Args:
        config: The study.
        space: The study's search space.
        folder: Folder of the study, with its assistants.
        runner: Executes the work.
        listener: Receives the progress.
        prepared: Checked shards with the split.
        out: Folder of the knowledge.
    """
    if all((out.knowledge(c.name) / MANIFEST_NAME).exists() for c in space.conditions):
        listener.stage_finished("assistants", str(out.root), True)
    else:
        what = f"knowledge of the assistants of {len(space.conditions)} conditions"
        with timed_stage(folder, listener, "assistants", what):
            for condition in space.conditions:
                _ask(config, runner, prepared, folder.assistants, out, condition)
    for condition in space.conditions:
        _check_knowledge(config, prepared, folder.assistants, out, condition)


def _job(
    config: StudyConfig, prepared: Prepared, inputs: TrialInputs, trial: Trial
) -> AssistantJob:
    made = config.teacher.of_assistant()
    assert made is not None
    assert inputs.teacher is not None
    assert inputs.knowledge is not None
    own = replace(prepared, view=prepared.view.with_leads(trial.condition.leads))
    return AssistantJob(
        trial=trial,
        job=replace(teacher_job(config, own), config=made),
        study_seed=config.seed,
        per_recording=config.student.knowledge == "record",
        inputs={
            "shards": prepared.shards.fingerprint,
            "teacher": read_manifest(inputs.teacher, TEACHER).fingerprint,
            "knowledge": read_manifest(inputs.knowledge).fingerprint,
        },
    )


def _train(
    config: StudyConfig,
    runner: Runner,
    listener: StageListener,
    prepared: Prepared,
    at: AssistantsFolder,
    inputs: TrialInputs,
    jobs: Mapping[int, AssistantJob],
    trials: Sequence[Trial],
) -> None:
    """Train assistants side by side, and publish each that is complete."""
    inputs, n_epochs = _inputs(config, at, inputs)
    used = at.read_usage()

    def on_end(trial: Trial, result: TrialResult, usage: Usage) -> None:
        n_workers = config.resources.of_trial(trial.hyperparameters).min_workers
        used[trial.condition.name] = with_earlier_attempts(
            usage, wall_s=result.wall_s, n_workers=n_workers
        )
        at.write_usage(used)
        publish_assistant(
            at.teacher(trial.condition.name),
            jobs[trial.number],
            inputs.trials,
            result=result,
            epochs=trainings.epochs(trial.number),
            splits=prepared.splits,
        )

    trainings = AssistantTrainings(
        config,
        trials,
        on_epoch=lambda done: listener.stage_progress(done, n_epochs * len(trials)),
        on_end=on_end,
    )
    runner.run_trials(trainings, inputs, lambda: None)
    failed = [
        f"that of {trial.condition.name} {result.state.value}: {result.reason}"
        for trial, result in trainings.results
        if result.state is not TrialState.COMPLETE
    ]
    if failed:
        raise TrialError(
            f"{len(failed)} of {len(trials)} assistants failed, without which students cannot be "
            f"distilled: {'; '.join(failed)}. Remove the cause and continue by --resume; or start "
            "another study with another teacher.assistant."
        )


def _inputs(
    config: StudyConfig, at: AssistantsFolder, inputs: TrialInputs
) -> tuple[TrialInputs, int]:
    """Return the inputs of the trainings, and the number of epochs of each."""
    made = config.teacher.of_assistant()
    assert made is not None
    assert inputs.teacher is not None
    # The teacher's resolved `auto`: that of the students is measured later, with the study.
    teacher = read_manifest(inputs.teacher, TEACHER)
    precision = {str(teacher.config["teacher"]["network"]): str(teacher.details["precision"])}
    given = replace(
        inputs.writing_to(str(at.trials)),
        assistants={},
        student=replace(config.student, epochs=made.epochs),
        cpu_precision=precision,
        measures_latency=False,
        validated_epochs=None if config.student.validate == "every_epoch" else frozenset(),
    )
    return given, made.epochs


def _ask(
    config: StudyConfig,
    runner: Runner,
    prepared: Prepared,
    at: AssistantsFolder,
    out: AssistantsFolder,
    condition: Condition,
) -> None:
    """Compute an assistant's knowledge of the training split, unless it exists."""
    location = out.knowledge(condition.name)
    if (location / MANIFEST_NAME).exists():
        return
    own, teacher = _opened(prepared, at, condition)
    per_recording = config.student.knowledge == "record"
    plan = plan_knowledge(own, teacher, at.teacher(condition.name), per_recording=per_recording)
    cache_knowledge(plan, location, runner, config.resources, lambda _done, _total: None)


def _check_knowledge(
    config: StudyConfig,
    prepared: Prepared,
    at: AssistantsFolder,
    out: AssistantsFolder,
    condition: Condition,
) -> None:
    """Raise unless the knowledge is that of the assistant for this split."""
    open_knowledge(
        out.knowledge(condition.name),
        shards=prepared.shards,
        teacher=_manifest(at, condition).fingerprint,
        split=prepared.splits.train,
        view=prepared.view,
        per_recording=config.student.knowledge == "record",
    )


def _opened(
    prepared: Prepared, at: AssistantsFolder, condition: Condition
) -> tuple[Prepared, Teacher]:
    own = replace(prepared, view=prepared.view.with_leads(condition.leads))
    location = at.teacher(condition.name)
    return own, open_teacher(location, shards=prepared.shards, task=prepared.task)


def _manifest(at: AssistantsFolder, condition: Condition) -> Manifest:
    return read_manifest(at.teacher(condition.name), TEACHER)
